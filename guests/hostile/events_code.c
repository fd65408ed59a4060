// SPDX-License-Identifier: MIT
// Events made of instruction bytes: memory operands on devices in all forms that are emulated, code
// across a page's end, code that changes itself, random bytes in ring 3 and in ring 0; and the ways
// to end the machine.
#include "guests/hostile/hostile.h"
#include "guests/library/machine.h"
#include "guests/library/guest.h"

#define RETURN     0xc3u
#define BREAKPOINT 0xccu
#define FLAG_TRAP  0x100u
#define FLAG_IF    0x200u

// Instructions with a memory operand: opcode bytes, values of ModRM.reg that are meant, immediate.
struct form {
    uint8_t bytes[2];
    uint8_t count;
    uint8_t regs; // bit per value of ModRM.reg
    uint8_t immediate;
};

static const struct form forms[] = {
    {{0x88}, 1, 0xff, 0},       {{0x89}, 1, 0xef, 0},       {{0x8a}, 1, 0xff, 0},
    {{0x8b}, 1, 0xef, 0},       {{0xc6}, 1, 0x01, 1},       {{0xc7}, 1, 0x01, 4},
    {{0x00}, 1, 0xff, 0},       {{0x09}, 1, 0xef, 0},       {{0x12}, 1, 0xff, 0},
    {{0x1b}, 1, 0xef, 0},       {{0x21}, 1, 0xef, 0},       {{0x2a}, 1, 0xff, 0},
    {{0x31}, 1, 0xef, 0},       {{0x3b}, 1, 0xef, 0},       {{0x80}, 1, 0xff, 1},
    {{0x81}, 1, 0xff, 4},       {{0x83}, 1, 0xff, 1},       {{0x84}, 1, 0xff, 0},
    {{0x85}, 1, 0xef, 0},       {{0x86}, 1, 0xff, 0},       {{0x87}, 1, 0xef, 0},
    {{0xf6}, 1, 0x3d, 0},       {{0xf7}, 1, 0x3c, 0},       {{0xfe}, 1, 0x03, 0},
    {{0xff}, 1, 0x43, 0},       {{0x8f}, 1, 0x01, 0},       {{0xd0}, 1, 0xff, 0},
    {{0xd1}, 1, 0xff, 0},       {{0xd3}, 1, 0xff, 0},       {{0xc1}, 1, 0xff, 1},
    {{0x0f, 0xb6}, 2, 0xef, 0}, {{0x0f, 0xb7}, 2, 0xef, 0}, {{0x0f, 0xbe}, 2, 0xef, 0},
    {{0x0f, 0xbf}, 2, 0xef, 0}, {{0x0f, 0xa3}, 2, 0xef, 0}, {{0x0f, 0xab}, 2, 0xef, 0},
    {{0x0f, 0xb3}, 2, 0xef, 0}, {{0x0f, 0xba}, 2, 0xf0, 1}, {{0x0f, 0xb1}, 2, 0xef, 0},
    {{0x0f, 0xc1}, 2, 0xef, 0}, {{0x0f, 0xc7}, 2, 0x02, 0}, {{0x0f, 0x94}, 2, 0xff, 0},
    {{0x0f, 0x42}, 2, 0xef, 0}, {{0x0f, 0xaf}, 2, 0xef, 0}, {{0x69}, 1, 0xef, 4},
};

static const uint8_t strings[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};

static uint64_t saved_rsp;

static uint8_t *put_prefixes(uint8_t *to)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64, 0x65};

    for (uint32_t i = random_below(3); i > 0; i--) {
        *to++ = prefixes[random_below(ARRAY_COUNT(prefixes))];
    }
    if (random_below(3) == 0) {
        *to++ = random_below(2) ? 0x48 : 0x40; // REX.W
    }
    return to;
}

// An instruction on [RDI] at `to`; returns its end.
static uint8_t *put_instruction(uint8_t *to)
{
    const struct form *form = &forms[random_below(ARRAY_COUNT(forms))];
    uint32_t reg;

    to = put_prefixes(to);
    if (random_below(5) == 0) {
        *to++ = strings[random_below(sizeof(strings))];
        return to;
    }
    do {
        reg = random_below(8);
    } while ((form->regs >> reg & 1) == 0);
    for (unsigned i = 0; i < form->count; i++) {
        *to++ = form->bytes[i];
    }
    *to++ = (uint8_t)(reg << 3 | 7);
    // F6 /0 has an immediate that its siblings lack; with 66, an immediate of four bytes has two
    // and the rest are instructions of their own.
    for (unsigned i = form->immediate + (form->bytes[0] == 0xf6 && reg == 0); i > 0; i--) {
        *to++ = 0x90;
    }
    return to;
}

// What stands behind an instruction: the way back, whatever became of the registers and the stack.
static void put_return(uint8_t *to)
{
    static const uint8_t load_rsp[] = {0x48, 0x8b, 0x24, 0x25}; // MOV RSP, [address]
    uint32_t address = (uint32_t)(uintptr_t)&saved_rsp;

    for (unsigned i = 0; i < sizeof(load_rsp); i++) {
        *to++ = load_rsp[i];
    }
    for (unsigned i = 0; i < sizeof(address); i++) {
        *to++ = (uint8_t)(address >> 8 * i);
    }
    *to = RETURN;
}

static void call(const uint8_t *code)
{
    uint64_t operand = (uintptr_t)window_page(WINDOW_MMIO) + random_below(PAGE_BYTES + 8);
    uint64_t source = random_below(2) ? operand : (uintptr_t)window_page(WINDOW_DATA);
    uint64_t count = random_below(20);

    __asm__ volatile("push %%rbp; lea -8(%%rsp), %%rbx; mov %%rbx, %[saved]; call *%%rax\n\t"
                     "pop %%rbp; cld"
                     : "+a"(code), "+D"(operand), "+S"(source), "+c"(count), [saved] "=m"(saved_rsp)
                     :
                     : "rbx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
                       "cc");
}

static void map_device_pages(void)
{
    uint64_t first = random_physical();
    uint64_t second = random_physical();

    // Not the local APIC: a random value in its command register could be an INIT.
    if (first >> 12 == 0xfee00) {
        first = 0xff000000;
    }
    if (second >> 12 == 0xfee00) {
        second = 0xfd000000;
    }
    window_map(WINDOW_MMIO, first >> 12 << 12 | ENTRY_DEVICE);
    window_map(WINDOW_MMIO + 1, second >> 12 << 12 | ENTRY_DEVICE);
}

// The instruction lies across the end of the first code page, most of the time.
void event_code(void)
{
    uint8_t *code = window_page(WINDOW_CODE) + PAGE_BYTES - random_below(14);
    uint8_t *end = put_instruction(code);

    put_return(end);
    map_device_pages();
    call(code);
}

// The same place is run three times with another instruction each time; some of it was decoded
// before, and must not be taken for what stands there now.
void event_self_modifying(void)
{
    uint8_t *code = window_page(WINDOW_CODE) + PAGE_BYTES - 6;

    map_device_pages();
    for (unsigned i = 0; i < 3; i++) {
        put_return(put_instruction(code));
        call(code);
    }
}

static uint8_t *put_bytes(void)
{
    uint8_t *code = window_page(WINDOW_CODE) + PAGE_BYTES - random_below(16);

    for (unsigned i = 0; i < 16; i++) {
        code[i] = (uint8_t)random_next();
    }
    for (unsigned i = 16; i < 64; i++) {
        code[i] = BREAKPOINT;
    }
    return code;
}

void event_user_bytes(void)
{
    uint8_t *code = put_bytes();

    machine_enter_user((uintptr_t)code, FLAG_TRAP | FLAG_IF | 2);
}

void event_kernel_bytes(void)
{
    uint8_t *code = put_bytes();

    map_device_pages();
    machine_start_watchdog(); // HLT may be among them
    if (random_below(2)) {
        __asm__ volatile("sti");
    }
    call(code);
}

static void triple_fault(void)
{
    static const struct table_register nothing = {0, 0};

    __asm__ volatile("lidt %0; ud2" : : "m"(nothing));
}

void event_end(void)
{
    event_end_by(random_below(8));
}

void event_end_by(uint32_t way)
{
    switch (way) {
    case 0:
        triple_fault();
        break;
    case 1:
        port_out8(0x64, 0xfe);
        break;
    case 2:
        port_out8(0xcf9, 0x06);
        break;
    case 3:
        port_out32(0xf4, (uint32_t)random_next());
        break;
    case 4: // a page table where no memory is
        cr3_write(0x7f00000000ull);
        break;
    case 5: // descriptor tables in a device
        __asm__ volatile("lidt %0" : : "m"((const struct table_register){0xfff, 0xff000000}));
        __asm__ volatile("int $3");
        break;
    case 6: // code in a device
        ((void (*)(void))(uintptr_t)0xff000000)();
        break;
    default:
        __asm__ volatile("cli; hlt");
        break;
    }
}
