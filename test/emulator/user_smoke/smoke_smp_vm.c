// SPDX-License-Identifier: MIT
// A guest on one CPU whose memory is taken away and replaced from another. It copies a word from
// one page to another for ever, with interrupts off; the page it reads from changes its frame. Also
// the role of a process whose guest runs until somebody ends it.
#include "smoke_smp.h"
#include "kernel/abi/vcpu.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"
#include "vmm/runtime/vcpu_reset.h"

#define CODE      0x1000u // guest-physical
#define SOURCE    0x3000u
#define TARGET    0x4000u
#define RAM_BYTES 0x10000u
#define ALL       (VM_GRANT_READ | VM_GRANT_WRITE | VM_GRANT_EXECUTE)
#define POISON    0xdeadu
#define SWAPS     100u

// again: mov ax,[SOURCE]; mov [TARGET],ax; jmp again
static const uint8_t copy_loop[] = {0xa1,          SOURCE & 0xff, SOURCE >> 8, 0xa3,
                                    TARGET & 0xff, TARGET >> 8,   0xeb,        0xf8};

static uint32_t vm;
static uint8_t *ram;
static _Atomic uint64_t ready, done;
static _Atomic bool stop;

static int64_t make_vcpu(struct vcpu_page **page)
{
    struct vcpu_info info = {0};
    int64_t vcpu = vcpu_create(vm, &info);

    if (vcpu > 0) {
        *page = (struct vcpu_page *)info.page;
        vcpu_reset(*page);
        (*page)->rip = CODE;
        (*page)->segment[SEGMENT_CS].selector = 0;
        (*page)->segment[SEGMENT_CS].base = 0;
        (*page)->dirty |= VCPU_GROUP_RIP | VCPU_GROUP_SEGMENTS;
    }
    return vcpu;
}

// Runs the guest; no exit but for memory that is away at the moment, and kicks.
static void run_guest(uint64_t argument)
{
    struct vcpu_page *page = NULL;
    int64_t vcpu = make_vcpu(&page);

    (void)argument;
    atomic_store(&ready, vcpu > 0 ? 1 : 2);
    while (vcpu > 0 && !atomic_load(&stop)) {
        if (vcpu_run((uint32_t)vcpu, 0) != STATUS_OK ||
            (page->exit.kind != EXIT_MEMORY && page->exit.kind != EXIT_EVENT)) {
            atomic_store(&ready, 1000 + page->exit.kind);
            break;
        }
    }
    atomic_store(&done, 1);
    (void)handle_close((uint32_t)vcpu);
    (void)thread_exit();
}

static uint16_t copied(void)
{
    return *(volatile uint16_t *)(void *)(ram + TARGET);
}

// Puts `to` in the place of `from` and waits until the guest has read from it.
static void swap(uint8_t *from, uint8_t *to, uint16_t number, uint64_t *poisoned)
{
    uint64_t limit = tsc_now() + smoke_info->tsc_hz * 5;

    memcpy(to, &number, sizeof(number));
    expect("revoke", vm_revoke(vm, SOURCE, PAGE_SIZE), STATUS_OK);
    memcpy(from, &(uint16_t){POISON}, sizeof(uint16_t)); // nobody reads it any more
    expect("grant", vm_grant(vm, SOURCE, (uint64_t)to, PAGE_SIZE, ALL), STATUS_OK);
    while (copied() != number && tsc_now() < limit) {
        *poisoned += copied() == POISON;
    }
    expect("copied", copied(), number);
}

static void make_vm(void)
{
    vm = (uint32_t)vm_create();
    ram = (uint8_t *)memory_allocate(2 * RAM_BYTES);
    memcpy(ram + CODE, copy_loop, sizeof(copy_loop));
    expect("grant", vm_grant(vm, 0, (uint64_t)ram, SOURCE, ALL), STATUS_OK);
    expect("grant", vm_grant(vm, SOURCE, (uint64_t)ram + SOURCE, PAGE_SIZE, ALL), STATUS_OK);
    expect("grant", vm_grant(vm, TARGET, (uint64_t)ram + TARGET, PAGE_SIZE, ALL), STATUS_OK);
}

void test_smp_guests(void)
{
    uint8_t *pages[2];
    uint64_t poisoned = 0;

    if (smoke_info->vm_support.lack != VM_LACKS_NOTHING) {
        return;
    }
    make_vm();
    pages[0] = ram + SOURCE;
    pages[1] = ram + RAM_BYTES;
    uint32_t thread = smp_thread(1, 0, run_guest, 0);
    smp_wait_for("vCPU", &ready, 1);
    for (uint32_t i = 0; i < SWAPS; i++) {
        swap(pages[i % 2], pages[(i + 1) % 2], (uint16_t)(i + 1), &poisoned);
    }
    expect("reads of memory that was taken away", (int64_t)poisoned, 0);
    atomic_store(&stop, true);
    expect("kick", event_signal(thread, 1), STATUS_OK);
    smp_wait_for("end of the guest", &done, 1);
    smp_wait_for("no other exit", &ready, 1);
    expect("close", handle_close(thread), STATUS_OK);
    expect("close", handle_close(vm), STATUS_OK);
    expect("free", memory_free((uint64_t)ram, 2 * RAM_BYTES), STATUS_OK);
}

int64_t role_machine(void)
{
    struct vcpu_page *page;

    make_vm();
    int64_t vcpu = make_vcpu(&page);
    while (vcpu > 0) {
        (void)!vcpu_run((uint32_t)vcpu, 0);
    }
    return 1;
}
