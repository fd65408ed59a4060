// SPDX-License-Identifier: MIT
// What the children of the system-call checks do, by role.
#include "smoke.h"
#include "smoke_smp.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"

static uint8_t message[4096];

// Sends back what comes, each byte plus one, until a message of one byte.
static int64_t role_echo(void)
{
    int64_t count;

    if (channel_bind(CHILD_FROM_PARENT, 0) != STATUS_OK) {
        return 1;
    }
    do {
        while ((count = channel_receive(CHILD_FROM_PARENT, message, sizeof(message))) ==
               -STATUS_EMPTY) {
            (void)event_wait(0);
        }
        for (int64_t i = 0; i < count; i++) {
            message[i]++;
        }
        if (count < 0 || channel_send(CHILD_TO_PARENT, message, (uint64_t)count) != count) {
            return 2;
        }
    } while (count > 1);
    return 77;
}

static int64_t role_null(void)
{
    uint64_t *nothing = (uint64_t *)0x18;

    __asm__ volatile("" : "+r"(nothing));
    *nothing = 1;
    return 0;
}

static int64_t role_write_text(void)
{
    uint8_t *text = (uint8_t *)0x400000;

    __asm__ volatile("" : "+r"(text));
    *text = 0xc3;
    return 0;
}

static int64_t role_run_data(void)
{
    message[0] = 0xc3;
    ((void (*)(void))(uintptr_t)message)();
    return 0;
}

static int64_t role_read_kernel(void)
{
    const volatile uint64_t *kernel = (const uint64_t *)0xffff800000100000ull;

    return (int64_t)*kernel;
}

static int64_t role_cli(void)
{
    __asm__ volatile("cli");
    return 0;
}

static int64_t role_port(void)
{
    __asm__ volatile("outb %%al, $0x80" ::"a"(0));
    return 0;
}

static int64_t role_syscall(void)
{
    __asm__ volatile("syscall" ::: "rcx", "r11");
    return 0;
}

// SYSENTER that asks to return to a kernel address.
static int64_t role_bad_return(void)
{
    __asm__ volatile("sysenter" ::"a"(0ull), "d"(0xffffffff80100000ull), "c"(0x1000ull));
    return 0;
}

static int64_t role_divide(void)
{
    __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" ::: "rax", "rcx", "rdx");
    return 0;
}

NORETURN static int64_t role_spin(void)
{
    for (;;) {
        __asm__ volatile("pause");
    }
}

static int64_t role_sleep(void)
{
    return (int64_t)event_wait(0);
}

// Sends for ever; nobody receives, so the second one sleeps.
NORETURN static int64_t role_send(void)
{
    for (;;) {
        (void)!channel_send(CHILD_TO_PARENT, message, 16);
    }
}

// Takes memory until the quota ends: in large pieces, then in small ones.
static int64_t role_fill(void)
{
    int64_t pieces = 0;

    while (memory_allocate(LARGE_PAGE_SIZE) > 0) {
        pieces++;
    }
    while (memory_allocate(PAGE_SIZE) > 0) {
        pieces++;
    }
    return pieces > 100 ? 5 : 6;
}

static uint8_t stacks[4][4096] ALIGNED(16);

static void sleeping_thread(uint64_t argument)
{
    (void)event_wait(argument);
    (void)thread_exit();
}

// Several threads asleep, then the process ends.
static int64_t role_threads(void)
{
    for (unsigned i = 0; i < 4; i++) {
        if (thread_create(sleeping_thread, stacks[i] + 4088, 0) < 0) {
            return 1;
        }
    }
    (void)event_wait(tsc_now() + smoke_info->tsc_hz / 100);
    return 9;
}

// Ends with its last thread, not by a call of its own.
static int64_t role_quit(void)
{
    (void)thread_exit();
    return 1;
}

// Keeps a value of its own in XMM7 while others do the same.
static int64_t role_fpu(void)
{
    uint64_t mine = tsc_now() | 1;
    uint64_t value = mine;

    __asm__ volatile("movq %0, %%xmm7" ::"r"(mine));
    for (unsigned i = 0; i < 200 && value == mine; i++) {
        (void)event_wait(tsc_now() + smoke_info->tsc_hz / 10000);
        __asm__ volatile("movq %%xmm7, %0" : "=r"(value));
    }
    return value == mine ? 3 : 4;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

// An argument of a system call: a likely handle or count, a good buffer, or a likely mistake.
static uint64_t random_argument(uint64_t *state)
{
    static uint64_t buffer[1024];
    static const uint64_t words[] = {0x400000,
                                     0xffff800000000000ull,
                                     0xffffffff80100000ull,
                                     UINT64_MAX,
                                     1ull << 63,
                                     0x00007ffffffff000ull,
                                     1ull << 47,
                                     PAGE_SIZE,
                                     LARGE_PAGE_SIZE,
                                     1ull << 32,
                                     UINT32_MAX,
                                     4097};
    uint64_t choice = next_random(state);

    if (choice % 4 == 0) {
        return words[choice / 4 % ARRAY_COUNT(words)];
    }
    return choice % 4 == 1 ? user_address(buffer) + choice / 4 % 64 * 8 : choice / 4 % 12;
}

// Makes random system calls, but for those that end or block the caller. The kernel must live.
static int64_t fuzz(uint64_t seed)
{
    uint64_t state = seed;
    uint64_t refused = 0;

    for (unsigned i = 0; i < FUZZ_CALLS; i++) {
        uint64_t number = next_random(&state) % (SYSTEM_CALL_COUNT + 2);
        uint64_t a = random_argument(&state);
        uint64_t b = random_argument(&state);
        uint64_t c = random_argument(&state);
        uint64_t d = random_argument(&state);

        if (number != SYS_PROCESS_EXIT && number != SYS_THREAD_EXIT && number != SYS_EVENT_WAIT &&
            number != SYS_CHANNEL_SEND && number != SYS_THREAD_CREATE &&
            number != SYS_PROCESS_DESTROY) {
            refused += system_call(number, a, b, c, d, 0) < 0;
        }
    }
    return refused > 10000 ? 4 : 5;
}

// What only the first process may do.
static int64_t role_powers(void)
{
    struct module_info info;
    char byte;

    if (machine_end(0) != -STATUS_DENIED || serial_putc(1, 'x') != -STATUS_DENIED ||
        serial_read(0, &byte, 1) != -STATUS_DENIED || serial_lost(0) != -STATUS_DENIED ||
        log_read(&byte, 1) != -STATUS_DENIED || module_open(0, &info) != -STATUS_DENIED ||
        container_split(HANDLE_SELF_CONTAINER, 1, 100) != -STATUS_DENIED) {
        return 1;
    }
    return 8;
}

static const struct {
    const char *name;
    int64_t (*run)(void);
} roles[] = {
    {"echo", role_echo},         {"null", role_null},          {"write-text", role_write_text},
    {"run-data", role_run_data}, {"kernel", role_read_kernel}, {"cli", role_cli},
    {"port", role_port},         {"syscall", role_syscall},    {"bad-return", role_bad_return},
    {"divide", role_divide},     {"spin", role_spin},          {"sleep", role_sleep},
    {"send", role_send},         {"fill", role_fill},          {"threads", role_threads},
    {"quit", role_quit},         {"mesh", role_mesh},          {"paste", role_paste},
    {"storm", role_storm},       {"machine", role_machine},    {"fpu", role_fpu},
    {"powers", role_powers},
};

int64_t child_main(const char *role)
{
    if (memcmp(role, "fuzz ", 5) == 0) {
        return fuzz(smoke_number(role + 5));
    }
    for (unsigned i = 0; i < ARRAY_COUNT(roles); i++) {
        if (strcmp(roles[i].name, role) == 0) {
            return roles[i].run();
        }
    }
    return 99;
}
