// SPDX-License-Identifier: MIT
// The emulator's access path: RAM, devices and read-only memory behind the guest's page tables, and
// what is remembered between accesses.
#include "test/host/monitor/paged_guest.h"
#include "vmm/devices/bus.h"
#include "vmm/monitor/guest_access.h"

static struct emulate_fault fault;

struct latch {
    struct device device;
    uint8_t bytes[64];
    unsigned last_size;
    unsigned accesses;
};

static uint64_t latch_read(struct device *device, uint32_t reg, unsigned size)
{
    struct latch *latch = CONTAINER_OF(device, struct latch, device);
    uint64_t value = 0;

    memcpy(&value, &latch->bytes[reg], size);
    latch->last_size = size;
    latch->accesses++;
    return value;
}

static void latch_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct latch *latch = CONTAINER_OF(device, struct latch, device);

    memcpy(&latch->bytes[reg], &value, size);
    latch->last_size = size;
    latch->accesses++;
}

static const struct device_ops latch_ops = {
    .name = "latch", .read = latch_read, .write = latch_write};

static struct latch latch;
static struct mmio_bus mmio;
static struct port_bus ports;
static struct guest_access path;
static struct vcpu_page page;

#define DEVICE 0xfed00000ull

// Long mode; 0x5000 is RAM at 0x8000, 0x6000 the device, 0x7000 the ROM, 0x8000 missing.
static int set_up_access(void **state)
{
    unsigned widths = BUS_BYTE | BUS_WORD | BUS_DWORD | BUS_QWORD;

    paged_guest_set_up(state);
    map_long(0, P | W | U, 0);
    put64(0x4000, 5, 0x8000 | P | W);
    put64(0x4000, 6, DEVICE | P | W);
    put64(0x4000, 7, ROM_START | P | W);
    latch = (struct latch){.device = {&latch_ops}};
    mmio_bus_init(&mmio);
    port_bus_init(&ports);
    assert_int_equal(mmio_bus_attach(&mmio, &latch.device, gpa(DEVICE), 64, widths), STATUS_OK);
    assert_int_equal(port_bus_attach(&ports, &latch.device, 0x80, 0x9f, 0, BUS_BYTE), STATUS_OK);
    guest_access_init(&path, &memory, &mmio, &ports);
    memset(&page, 0, sizeof(page));
    page.cr0 = paging.cr0;
    page.cr3 = paging.cr3;
    page.cr4 = paging.cr4;
    page.efer = paging.efer;
    page.valid = VCPU_GROUP_ALL;
    page.segment[SEGMENT_CS].access_rights = 0xa09b;
    page.rip = 0x5000;
    guest_access_start(&path, &page);
    return 0;
}

static enum status path_read(uint64_t address, void *buffer, uint32_t size, uint32_t access)
{
    return guest_access_operations.read(&path, gva(address), buffer, size, access, &fault);
}

static enum status path_write(uint64_t address, const void *buffer, uint32_t size)
{
    return guest_access_operations.write(&path, gva(address), buffer, size, &fault);
}

static void test_access_crosses_into_device(void **state)
{
    const char *text = "abcdefgh";
    char back[9] = {0};

    (void)state;
    assert_int_equal(path_write(0x5ffd, text, 8), STATUS_OK);
    assert_memory_equal(&ram[0x8ffd], "abc", 3);
    assert_memory_equal(latch.bytes, "defgh", 5);
    assert_int_equal(latch.accesses, 2); // 4 bytes and 1
    assert_int_equal(path_read(0x5ffd, back, 8, EMULATE_READ), STATUS_OK);
    assert_string_equal(back, text);
}

static void test_access_keeps_size(void **state)
{
    static const unsigned sizes[] = {1, 2, 4, 8};
    uint64_t value = 0x8877665544332211ull;

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
        assert_int_equal(path_write(0x6008, &value, sizes[i]), STATUS_OK);
        assert_int_equal(latch.last_size, sizes[i]);
        assert_int_equal(latch.accesses, i + 1);
    }
}

static void test_access_faults_first(void **state)
{
    uint64_t value = ~0ull;

    (void)state;
    put64(0x4000, 7, 0);
    assert_int_equal(path_write(0x6ffc, &value, 8), STATUS_FAULT);
    assert_int_equal(fault.address, 0x7000);
    assert_int_equal(fault.error_code, 2);
    assert_int_equal(latch.accesses, 0);
    assert_int_equal(guest_access_operations.probe(&path, gva(0x6ffc), 8, EMULATE_READ, &fault),
                     STATUS_FAULT);
    assert_int_equal(guest_access_operations.probe(&path, gva(0x6ff8), 8, EMULATE_READ, &fault),
                     STATUS_OK);
}

static void test_access_rom(void **state)
{
    uint32_t value = 0x12345678;

    (void)state;
    assert_int_equal(path_write(0x7000, &value, 4), STATUS_OK);
    assert_int_equal(rom[0], 0);
    assert_int_equal(path.dropped_writes, 1);
    assert_int_equal(path_read(0x6000, &value, 4, EMULATE_FETCH), STATUS_NOT_FOUND);
}

// The processor's translation stands in for a walk, for the accesses it was made for.
static void test_access_known_translation(void **state)
{
    uint32_t value = 0;

    (void)state;
    page.exit.kind = EXIT_MEMORY;
    page.exit.memory.gva = 0x123456789010ull;
    page.exit.memory.gva_valid = 1;
    page.exit.memory.gpa = DEVICE | 0x10;
    page.exit.memory.read = 1;
    guest_access_start(&path, &page);
    assert_int_equal(path_read(0x123456789020ull, &value, 4, EMULATE_READ), STATUS_OK);
    assert_int_equal(latch.accesses, 1);
    assert_int_equal(path_write(0x123456789020ull, &value, 4), STATUS_FAULT);
    assert_int_equal(path_read(0x123456789020ull, &value, 4, EMULATE_FETCH), STATUS_FAULT);
    page.exit.memory.write = 1;
    guest_access_start(&path, &page);
    assert_int_equal(path_write(0x123456789020ull, &value, 4), STATUS_OK);
    page.exit.memory.in_page_walk = 1;
    guest_access_start(&path, &page);
    assert_int_equal(path_write(0x123456789020ull, &value, 4), STATUS_FAULT);
}

// All of it together: an instruction in RAM works on the device and on a port.
static void test_access_emulates(void **state)
{
    static const uint8_t code[] = {0x83, 0x0c, 0x25, 0x00, 0x60, 0x00, 0x00, 0x40, // or dword, 0x40
                                   0x6e};                                          // outsb
    struct emulate_result result;

    (void)state;
    memcpy(&ram[0x8000], code, sizeof(code));
    latch.bytes[0] = 3;
    emulate_instruction(&page, &guest_access_operations, &path, &result);
    assert_int_equal(result.outcome, EMULATE_DONE);
    assert_int_equal(latch.bytes[0], 0x43);
    page.gpr[GPR_RSI] = 0x5000;
    page.gpr[GPR_RDX] = 0x85;
    emulate_instruction(&page, &guest_access_operations, &path, &result);
    assert_int_equal(result.outcome, EMULATE_DONE);
    assert_int_equal(latch.bytes[5], 0x83);
    assert_int_equal(page.rip, 0x5009);
}

// A remembered page is given up as soon as an entry of its walk or a register changes.
static void test_access_forgets(void **state)
{
    uint8_t byte = 0;

    (void)state;
    ram[0x8000] = 1;
    ram[0x9000] = 2;
    ram[0xa000] = 3;
    assert_int_equal(path_read(0x5000, &byte, 1, EMULATE_READ), STATUS_OK);
    assert_int_equal(byte, 1);
    put64(0x4000, 5, 0x9000 | P | W);
    assert_int_equal(path_read(0x5000, &byte, 1, EMULATE_READ), STATUS_OK);
    assert_int_equal(byte, 2);
    put64(0x3000, 0, 0x6000 | P | W); // another table
    put64(0x6000, 5, 0xa000 | P | W);
    assert_int_equal(path_read(0x5000, &byte, 1, EMULATE_READ), STATUS_OK);
    assert_int_equal(byte, 3);
    put64(0x6000, 5, 0xa000 | P);
    assert_int_equal(path_write(0x5000, &byte, 1), STATUS_FAULT);
    assert_int_equal(path_read(0x5000, &byte, 1, EMULATE_READ), STATUS_OK);
    page.segment[SEGMENT_SS].access_rights = 0xf3;
    guest_access_start(&path, &page);
    assert_int_equal(path_read(0x5000, &byte, 1, EMULATE_READ), STATUS_FAULT);
    assert_int_equal(fault.error_code, 5);
}

// The dirty bit is set again after the guest has cleared it.
static void test_access_dirties_again(void **state)
{
    uint8_t byte = 7;

    (void)state;
    assert_int_equal(path_write(0x5000, &byte, 1), STATUS_OK);
    put64(0x4000, 5, get64(0x4000, 5) & ~D);
    assert_int_equal(path_write(0x5001, &byte, 1), STATUS_OK);
    assert_true(get64(0x4000, 5) & D);
    assert_int_equal(ram[0x8001], 7);
}

// What another processor writes between the read and the write of one instruction stays.
static void test_modification_is_atomic(void **state)
{
    const struct emulate_operations *to = &guest_access_operations;
    uint32_t value = 0;

    (void)state;
    guest_access_start(&path, &page);
    memcpy(ram + 0x8010, "abcd", 4);
    assert_int_equal(to->read(&path, gva(0x5010), &value, 4, EMULATE_READ | EMULATE_WRITE, &fault),
                     STATUS_OK);
    ram[0x8013] = 'x';
    assert_int_equal(to->write(&path, gva(0x5010), "ABCD", 4, &fault), STATUS_BUSY);
    assert_memory_equal(ram + 0x8010, "abcx", 4);
    for (uint32_t size = 1; size <= 8; size *= 2) {
        uint64_t before = 0;

        memcpy(ram + 0x8021, "abcdefghi", 9); // not aligned
        assert_int_equal(
            to->read(&path, gva(0x5021), &before, size, EMULATE_READ | EMULATE_WRITE, &fault),
            STATUS_OK);
        assert_int_equal(to->write(&path, gva(0x5021), "ABCDEFGH", size, &fault), STATUS_OK);
        assert_memory_equal(ram + 0x8021, "ABCDEFGH", size);
        assert_int_equal(ram[0x8021 + size], "abcdefghi"[size]);
    }
}

// Random MOV and MOVZX forms with an operand [RBX + displacement] in the device: the short way,
// where it is taken, does what emulation does.
static uint32_t random_move(uint32_t (*next)(void), uint8_t code[15])
{
    static const uint8_t opcodes[] = {0x88, 0x89, 0x8a, 0x8b, 0xc6, 0xc7, 0xb6, 0xb7};
    uint8_t opcode = opcodes[next() % ARRAY_COUNT(opcodes)];
    uint32_t length = 0;

    if (next() % 3 == 0)
        code[length++] = 0x66;
    if (next() % 2 == 0)
        code[length++] = (uint8_t)(0x40 | (next() & 0xc)); // REX with W and R
    if (opcode == 0xb6 || opcode == 0xb7)
        code[length++] = 0x0f;
    code[length++] = opcode;
    code[length++] = (uint8_t)(0x43 | (opcode >= 0xc6 ? 0 : next() & 7) << 3);
    code[length++] = (uint8_t)(next() & 0x3f);
    for (uint32_t i = 0; i < 4; i++)
        code[length + i] = (uint8_t)next(); // an immediate, where there is one
    return length + 4;
}

static uint64_t seed;
static uint32_t random_next(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33);
}

static void check_short_way(uint32_t *taken)
{
    struct latch latch_before = latch;
    struct vcpu_page start = page, expected;
    struct emulate_result result;
    bool single_step = false;

    guest_access_emulate(&path, &page, &result);
    if (result.outcome != EMULATE_DONE)
        return; // the operand crosses the device's end
    expected = page;
    struct latch latch_expected = latch;
    page = start;
    latch = latch_before;
    if (!guest_access_move(&path, &page, &single_step)) {
        assert_memory_equal(&page, &start, sizeof(page));
        assert_memory_equal(&latch, &latch_before, sizeof(latch));
        page = expected;
        return;
    }
    (*taken)++;
    assert_memory_equal(&page, &expected, sizeof(page));
    assert_memory_equal(&latch, &latch_expected, sizeof(latch));
    assert_int_equal(single_step, result.single_step);
}

static void test_short_way(void **state)
{
    uint32_t taken = 0;

    (void)state;
    seed = 20240517;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t code[15] = {0};
        uint32_t length = random_move(random_next, code);

        memcpy(&ram[0x8000], code, length);
        page.rip = 0x5000;
        for (unsigned i = 0; i < GPR_COUNT; i++)
            page.gpr[i] = (uint64_t)random_next() << 32 | random_next();
        page.gpr[GPR_RBX] = 0x6000 + random_next() % 8;
        page.rflags = 2 | (random_next() % 4 == 0 ? 1u << 8 : 0);
        uint64_t offset = (page.gpr[GPR_RBX] & 0xfff) + code[length - 5];
        page.exit = (struct vm_exit){.kind = EXIT_MEMORY};
        page.exit.memory.gva = 0x6000 + offset;
        page.exit.memory.gpa = DEVICE + offset;
        page.exit.memory.gva_valid = 1;
        page.exit.memory.write = 1;
        check_short_way(&taken);
    }
    print_message("%u of 20000 moves took the short way\n", taken);
    assert_true(taken > 10000);
}

// A device page of which an access sees the second half only is not the short way's business.
static void test_short_way_is_whole(void **state)
{
    struct emulate_result result;
    bool single_step;

    (void)state;
    memcpy(&ram[0x8000], "\x8b\x03", 2); // mov eax, [rbx]
    page.gpr[GPR_RBX] = 0x5ffe;
    page.exit = (struct vm_exit){.kind = EXIT_MEMORY};
    page.exit.memory.gva = 0x6000;
    page.exit.memory.gpa = DEVICE;
    page.exit.memory.gva_valid = 1;
    for (unsigned i = 0; i < 2; i++) {
        page.rip = 0x5000;
        assert_false(guest_access_move(&path, &page, &single_step));
        guest_access_emulate(&path, &page, &result);
        assert_int_equal(result.outcome, EMULATE_DONE);
    }
    page.gpr[GPR_RBX] = 0x6000;
    page.rip = 0x5000;
    assert_true(guest_access_move(&path, &page, &single_step));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_access_crosses_into_device, set_up_access),
        cmocka_unit_test_setup(test_access_keeps_size, set_up_access),
        cmocka_unit_test_setup(test_access_faults_first, set_up_access),
        cmocka_unit_test_setup(test_access_rom, set_up_access),
        cmocka_unit_test_setup(test_access_known_translation, set_up_access),
        cmocka_unit_test_setup(test_access_emulates, set_up_access),
        cmocka_unit_test_setup(test_access_forgets, set_up_access),
        cmocka_unit_test_setup(test_access_dirties_again, set_up_access),
        cmocka_unit_test_setup(test_modification_is_atomic, set_up_access),
        cmocka_unit_test_setup(test_short_way, set_up_access),
        cmocka_unit_test_setup(test_short_way_is_whole, set_up_access),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
