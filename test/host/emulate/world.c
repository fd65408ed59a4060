// SPDX-License-Identifier: MIT
// The flat guest of world.h.
#include "test/host/emulate/world.h"

struct world world;

static enum status check(uint64_t address, uint32_t size, uint32_t access,
                         struct emulate_fault *fault)
{
    for (uint64_t page = align_down(address, PAGE_SIZE); page < address + size; page += PAGE_SIZE) {
        if (page == world.refused || page >= MEMORY_BYTES)
            return STATUS_NOT_FOUND;
        if (page == world.missing || (page == world.read_only && (access & EMULATE_WRITE))) {
            *fault = (struct emulate_fault){.vector = EMULATE_VECTOR_PAGE,
                                            .has_error_code = true,
                                            .error_code = access & EMULATE_WRITE ? 2 : 0,
                                            .address = page > address ? page : address};
            return STATUS_FAULT;
        }
    }
    return STATUS_OK;
}

static enum status world_read(void *context, gva_t address, void *buffer, uint32_t size,
                              uint32_t access, struct emulate_fault *fault)
{
    uint64_t at = address.value;
    enum status status = check(at, size, access, fault);

    assert_ptr_equal(context, &world);
    if (status == STATUS_OK)
        memcpy(buffer, &world.bytes[at], size);
    if (!(access & EMULATE_FETCH))
        world.reads++;
    return status;
}

static enum status world_write(void *context, gva_t address, const void *buffer, uint32_t size,
                               struct emulate_fault *fault)
{
    uint64_t at = address.value;
    enum status status = check(at, size, EMULATE_WRITE, fault);

    assert_ptr_equal(context, &world);
    if (status == STATUS_OK)
        memcpy(&world.bytes[at], buffer, size);
    return status;
}

static enum status world_probe(void *context, gva_t address, uint32_t size, uint32_t access,
                               struct emulate_fault *fault)
{
    assert_ptr_equal(context, &world);
    return check(address.value, size, access, fault);
}

static enum status world_in(void *context, uint16_t port, uint32_t size, uint32_t *value)
{
    assert_ptr_equal(context, &world);
    world.port = port;
    world.port_size = size;
    *value = 0x11223300u + world.port_values++;
    return STATUS_OK;
}

static enum status world_out(void *context, uint16_t port, uint32_t size, uint32_t value)
{
    assert_ptr_equal(context, &world);
    world.port = port;
    world.port_size = size;
    world.port_values++;
    world.port_sum += value;
    return STATUS_OK;
}

const struct emulate_operations world_operations = {
    .read = world_read,
    .write = world_write,
    .probe = world_probe,
    .port_in = world_in,
    .port_out = world_out,
};

void world_start(unsigned mode)
{
    static const uint32_t code_rights[] = {0x9b, 0xc09b, 0xa09b};

    memset(&world, 0, sizeof(world));
    world.missing = world.read_only = world.refused = NO_PAGE;
    world.page.valid = VCPU_GROUP_ALL;
    world.page.cr0 = mode == 16 ? 0 : 0x80000001u;
    world.page.efer = mode == 64 ? 0x500 : 0;
    world.page.rip = 0x1000;
    world.page.rflags = 2;
    for (unsigned i = 0; i < 6; i++) {
        world.page.segment[i].limit = mode == 16 ? 0xffff : 0xffffffffu;
        world.page.segment[i].access_rights = mode == 16 ? 0x93 : 0xc093;
    }
    world.page.segment[SEGMENT_CS].access_rights = code_rights[mode / 32];
    if (mode == 16) {
        world.page.segment[SEGMENT_DS].base = 0x10000;
        world.page.segment[SEGMENT_ES].base = 0x10000;
        world.page.segment[SEGMENT_SS].base = 0x20000;
    }
}

void world_run_at_rip(void)
{
    emulate_instruction(&world.page, &world_operations, &world, &world.result);
}

void world_run(const uint8_t *code, size_t size)
{
    memcpy(&world.bytes[world.page.segment[SEGMENT_CS].base + world.page.rip], code, size);
    world_run_at_rip();
}

void assert_done(uint64_t rip)
{
    assert_int_equal(world.result.outcome, EMULATE_DONE);
    assert_int_equal(world.page.rip, rip);
    assert_true(world.page.dirty & VCPU_GROUP_RIP);
}

void assert_exception(unsigned vector, bool has_error_code, uint32_t error_code)
{
    assert_int_equal(world.result.outcome, EMULATE_EXCEPTION);
    assert_int_equal(world.result.fault.vector, vector);
    assert_int_equal(world.result.fault.has_error_code, has_error_code);
    assert_int_equal(world.result.fault.error_code, error_code);
    assert_int_equal(world.page.rip, 0x1000);
}
