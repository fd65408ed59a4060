// SPDX-License-Identifier: MIT
// Fuzzes the emulator with the guest page walk and the access path below it: arbitrary registers,
// page tables and code. Besides the sanitizers' checks, an exception outside a string instruction
// must leave the guest as it was.
#include "vmm/devices/bus.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/emulate/decode.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/guest_access.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES 0x8000u
#define ROM_BYTES 0x1000u
#define CALLS     4u

// The first bytes of the input; the rest is guest memory, the code at its beginning.
struct header {
    uint64_t gpr[GPR_COUNT];
    uint64_t rflags;
    uint64_t segment_base[6];
    uint32_t segment_limit[6];
    uint32_t segment_rights[6];
    uint32_t cr0, cr4, efer, cr3;
    uint16_t rip;
    uint8_t mode; // bits 1:0: 16, 32, 64 or as the registers say; bit 2: identity-like addresses
    uint8_t known;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static uint8_t rom[ROM_BYTES] __attribute__((aligned(4096)));
static struct guest_memory memory;
static struct mmio_bus mmio;
static struct port_bus ports;
static struct guest_access path;

static uint64_t device_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)device;
    return reg * 0x0101010101010101ull + size;
}

static void device_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    (void)device;
    if (reg >= 0x1000 || size > 8 || (size < 8 && value >> (8 * size)))
        abort();
}

static const struct device_ops device_operations = {
    .name = "fuzzed", .read = device_read, .write = device_write};
static struct device device = {&device_operations};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void build_machine(const uint8_t *data, size_t size)
{
    const unsigned widths = BUS_BYTE | BUS_WORD | BUS_DWORD | BUS_QWORD;

    memset(ram, 0, sizeof(ram));
    memset(rom, 0x5a, sizeof(rom));
    memcpy(ram, data, size < RAM_BYTES ? size : RAM_BYTES);
    guest_memory_init(&memory);
    mmio_bus_init(&mmio);
    port_bus_init(&ports);
    require(guest_memory_add(&memory, gpa(0), RAM_BYTES, ram, false) == STATUS_OK);
    require(guest_memory_add(&memory, gpa(0x10000), ROM_BYTES, rom, true) == STATUS_OK);
    require(mmio_bus_attach(&mmio, &device, gpa(0x20000), 0x1000, widths) == STATUS_OK);
    require(port_bus_attach(&ports, &device, 0, 0xfff, 0, BUS_BYTE | BUS_WORD) == STATUS_OK);
    guest_access_init(&path, &memory, &mmio, &ports);
}

static void simple_state(struct vcpu_page *page, const struct header *header)
{
    static const uint32_t rights[] = {0x9b, 0xc09b, 0xa09b};

    page->segment[SEGMENT_CS].access_rights = rights[header->mode & 3];
    page->segment[SEGMENT_CS].base = 0;
    page->segment[SEGMENT_CS].limit = 0xffffffffu;
    page->efer = (header->mode & 3) == 2 ? 0x500 : 0;
    page->cr0 &= 0x7fffffffu; // no paging
    for (unsigned i = 0; (header->mode & 4) && i < GPR_COUNT; i++)
        page->gpr[i] &= 0x3ffff;
}

static void build_vcpu(struct vcpu_page *page, const struct header *header)
{
    memset(page, 0, sizeof(*page));
    memcpy(page->gpr, header->gpr, sizeof(page->gpr));
    page->rflags = header->rflags;
    page->rip = header->rip;
    page->cr0 = header->cr0;
    page->cr3 = header->cr3;
    page->cr4 = header->cr4;
    page->efer = header->efer;
    page->valid = VCPU_GROUP_ALL;
    for (unsigned i = 0; i < 6; i++) {
        page->segment[i].base = header->segment_base[i];
        page->segment[i].limit = header->segment_limit[i];
        page->segment[i].access_rights = header->segment_rights[i];
    }
    if ((header->mode & 3) != 3)
        simple_state(page, header);
    if (header->known & 1) {
        page->exit.kind = EXIT_MEMORY;
        page->exit.memory.gva_valid = 1;
        page->exit.memory.gva = header->gpr[GPR_RBX];
        page->exit.memory.gpa = 0x20000;
        page->exit.memory.write = header->known >> 1 & 1;
    }
}

static void check(const struct vcpu_page *before, const struct vcpu_page *after,
                  const struct emulate_result *result)
{
    struct instruction instruction;
    bool decoded = decode_instruction(result->bytes, result->fetched, emulate_mode(before),
                                      &instruction) == DECODE_OK;
    bool string = decoded && instruction.form == FORM_STRING;

    require(result->outcome <= EMULATE_FAILED && result->fetched <= EMULATE_LENGTH_MAXIMUM);
    require(result->length <= result->fetched);
    if (result->outcome == EMULATE_DONE) {
        require(decoded && result->length == instruction.length);
        return;
    }
    require(after->rip == before->rip);
    require(result->outcome != EMULATE_AGAIN || string);
    if (!string) {
        require(memcmp(before->gpr, after->gpr, sizeof(before->gpr)) == 0);
        require(before->rflags == after->rflags);
    }
    if (result->outcome == EMULATE_EXCEPTION)
        require(result->fault.vector < 32);
    else if (result->outcome == EMULATE_FAILED)
        require(result->status != STATUS_OK && result->status != STATUS_FAULT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header header;
    struct vcpu_page page;

    if (size < sizeof(header))
        return 0;
    memcpy(&header, data, sizeof(header));
    build_machine(data + sizeof(header), size - sizeof(header));
    build_vcpu(&page, &header);
    for (unsigned i = 0; i < CALLS; i++) {
        struct vcpu_page before = page;
        struct emulate_result result;

        guest_access_emulate(&path, &page, &result);
        check(&before, &page, &result);
        if (result.outcome != EMULATE_DONE && result.outcome != EMULATE_AGAIN)
            break;
    }
    return 0;
}
