// SPDX-License-Identifier: MIT
// Paging: error codes of page faults, accessed and dirty flags, INVLPG, PCIDs and INVPCID: the
// manual's chapter "Paging".
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/page_tables.h"
#include "guests/suite/suite_subjects.h"
#include "kernel/lib/processor.h"

#define EFER 0xc0000080u

#define ERROR_PRESENT  1u
#define ERROR_WRITE    2u
#define ERROR_RESERVED 8u
#define ERROR_FETCH    16u

static uint8_t page[4096] __attribute__((aligned(4096)));
static uint8_t other[4096] __attribute__((aligned(4096)));

static unsigned read_page(void)
{
    return TRY("movb %0, %%al", : : "m"(page[5]) : "rax", "memory");
}

static unsigned write_page(void)
{
    return TRY("movb $0x77, %0", : : "m"(page[5]) : "memory");
}

static unsigned run_page(void)
{
    return TRY("call *%0", : : "r"(page + 16) : "memory");
}

static void set_entry(uint64_t value)
{
    *page_entry(page) = value;
    page_flush(page);
}

static void check_error_codes(void)
{
    uint64_t entry = *page_entry(page) & ~(PAGE_ACCESSED | PAGE_DIRTY);
    uint64_t cr0 = cr0_read();

    set_entry(entry & ~PAGE_PRESENT);
    check("#PF, read of a missing page", read_page(), VECTOR_PF);
    check("#PF, read of a missing page, error code", trap_last.error_code, 0);
    check("#PF, read of a missing page, cr2", trap_cr2, (uintptr_t)page + 5);
    check("#PF, write to a missing page", write_page(), VECTOR_PF);
    check("#PF, write to a missing page, error code", trap_last.error_code, ERROR_WRITE);
    set_entry(entry & ~PAGE_WRITABLE);
    cr0_write(cr0 | CR0_WP);
    check("#PF, write to a read-only page", write_page(), VECTOR_PF);
    check("#PF, write to a read-only page, error code", trap_last.error_code,
          ERROR_WRITE | ERROR_PRESENT);
    cr0_write(cr0 & ~CR0_WP);
    check("write to a read-only page without wp", write_page(), TRAP_NONE);
    cr0_write(cr0);
    set_entry(entry | 1ull << 51);
    check("#PF, reserved bit", read_page(), VECTOR_PF);
    check("#PF, reserved bit, error code", trap_last.error_code, ERROR_RESERVED | ERROR_PRESENT);
    set_entry(entry);
}

static void check_execution(void)
{
    uint64_t entry = *page_entry(page);
    uint64_t efer = msr_read(EFER);

    page[16] = 0xc3; // ret
    check("code in a page of its own", run_page(), TRAP_NONE);
    msr_write(EFER, efer | EFER_NXE);
    set_entry(entry | PAGE_NX);
    check("#PF, code in a no-execute page", run_page(), VECTOR_PF);
    check("#PF, code in a no-execute page, error code", trap_last.error_code,
          ERROR_FETCH | ERROR_PRESENT);
    set_entry(entry);
    msr_write(EFER, efer);
    set_entry(entry | PAGE_NX);
    check("#PF, nx without nxe is reserved", read_page(), VECTOR_PF);
    check("#PF, nx without nxe, error code", trap_last.error_code, ERROR_RESERVED | ERROR_PRESENT);
    set_entry(entry);
}

static void check_accessed_and_dirty(void)
{
    uint64_t entry = *page_entry(page) & ~(PAGE_ACCESSED | PAGE_DIRTY);

    set_entry(entry);
    (void)read_page();
    check("accessed", *page_entry(page) & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED);
    (void)write_page();
    check("dirty", *page_entry(page) & (PAGE_ACCESSED | PAGE_DIRTY), PAGE_ACCESSED | PAGE_DIRTY);
}

// The page's translation changes to that of `other`, and INVLPG makes it visible.
static void check_flushes(void)
{
    uint64_t entry = *page_entry(page);
    uint64_t elsewhere = *page_entry(other);
    uint64_t cr3 = cr3_read(), cr4 = cr4_read();

    page[0] = 1;
    other[0] = 2;
    set_entry(elsewhere);
    check("invlpg", *(volatile uint8_t *)page, 2);
    *page_entry(page) = entry;
    cr3_write(cr3);
    check("mov to cr3 flushes", *(volatile uint8_t *)page, 1);
    *page_entry(page) = elsewhere | PAGE_GLOBAL;
    cr4_write(cr4 ^ CR4_PGE);
    check("mov to cr4 flushes", *(volatile uint8_t *)page, 2);
    *page_entry(page) = entry;
    cr4_write(cr4);
    page_flush(page);
    check("invlpg of a global page", *(volatile uint8_t *)page, 1);
    check("invlpg of an address that is not canonical",
          TRY("invlpg (%0)",
              :
              : "r"(1ull << 63)
              : "memory"),
          TRAP_NONE);
}

static unsigned try_invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
    struct {
        uint64_t pcid, address;
    } descriptor = {pcid, address};

    return TRY("invpcid %1, %0", : : "r"(type), "m"(descriptor) : "memory");
}

static void check_pcids(void)
{
    uint64_t cr3 = cr3_read(), cr4 = cr4_read(), entry = *page_entry(page);
    uint64_t elsewhere = *page_entry(other);

    check("cr4 pcide", TRY("mov %0, %%cr4", : : "r"(cr4 | CR4_PCIDE) : "memory"), TRAP_NONE);
    cr3_write(cr3 | 5 | 1ull << 63);
    check("cr3 with a pcid reads without bit 63", cr3_read(), cr3 | 5);
    check("cr4 pcide off with a pcid",
          TRY("mov %0, %%cr4",
              :
              : "r"(cr4 & ~CR4_PCIDE)
              : "memory"),
          TRAP_NONE);
    cr4_write(cr4);
    cr3_write(cr3);
    if ((cpuid(7, 0).ebx >> 10 & 1) == 0) {
        skip("invpcid", "the processor has none");
        return;
    }
    cr4_write(cr4 | CR4_PCIDE);
    for (uint64_t type = 0; type <= 3; type++) {
        *page_entry(page) = (type & 1) != 0 ? entry : elsewhere;
        check("invpcid", try_invpcid(type, 0, (uintptr_t)page), TRAP_NONE);
        check("invpcid makes changes visible", *(volatile uint8_t *)page, (type & 1) != 0 ? 1 : 2);
    }
    set_entry(entry);
    check("invpcid type 4", try_invpcid(4, 0, 0), VECTOR_GP);
    check("invpcid reserved bits", try_invpcid(0, 0x1000, 0), VECTOR_GP);
    check("invpcid address not canonical", try_invpcid(0, 0, 1ull << 63), VECTOR_GP);
    cr4_write(cr4);
    check("invpcid with a pcid, but pcide off", try_invpcid(1, 1, 0), VECTOR_GP);
}

void subject_paging(void)
{
    check_error_codes();
    check_execution();
    check_accessed_and_dirty();
    check_flushes();
    if ((cpuid(1, 0).ecx >> 17 & 1) != 0) {
        check_pcids();
    } else {
        skip("pcids", "the processor has none");
    }
}
