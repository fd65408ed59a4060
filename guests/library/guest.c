// SPDX-License-Identifier: MIT
// Output and ends of test kernels. See guest.h.
#include "guests/library/guest.h"

#define COM1              0x3f8
#define COM1_LINE_STATUS  (COM1 + 5)
#define TRANSMITTER_EMPTY 0x20

#define ACPI_PM1A_CONTROL 0x604
#define ACPI_SLEEP_S5     (0x2000 | 5 << 10) // SLP_EN, SLP_TYP as the DSDT's \_S5 says
#define QEMU_SLEEP_S5     0x2000             // QEMU's own \_S5 type is 0
#define SHUTDOWN_PORT     0x8900
#define TEST_EXIT_PORT    0xf4

static void print_byte(char byte)
{
    while ((port_in8(COM1_LINE_STATUS) & TRANSMITTER_EMPTY) == 0) {
    }
    port_out8(COM1, (uint8_t)byte);
}

void print_text(const char *text)
{
    while (*text != '\0') {
        print_byte(*text++);
    }
}

void print_decimal(uint32_t value)
{
    char digits[11];
    char *digit = &digits[10];

    *digit = '\0';
    do {
        *--digit = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print_text(digit);
}

void print_hexadecimal(uint64_t value)
{
    char digits[17];
    char *digit = &digits[16];

    *digit = '\0';
    do {
        *--digit = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    print_text("0x");
    print_text(digit);
}

bool print_result(bool passed, const char *text)
{
    print_text(passed ? "PASS: " : "FAIL: ");
    print_text(text);
    print_text("\n");
    return passed;
}

// The text behind "NAME=" when `word` begins with that, else null.
static const char *option_value(const char *word, const char *name)
{
    while (*name != '\0') {
        if (*word++ != *name++) {
            return 0;
        }
    }
    return *word == '=' ? word + 1 : 0;
}

bool find_option(const char *line, const char *name, uint32_t *value)
{
    for (const char *at = line; *at != '\0'; at++) {
        const char *digits = at == line || at[-1] == ' ' ? option_value(at, name) : 0;

        if (digits == 0 || *digits < '0' || *digits > '9') {
            continue;
        }
        *value = 0;
        while (*digits >= '0' && *digits <= '9') {
            *value = *value * 10 + (uint32_t)(*digits++ - '0');
        }
        return true;
    }
    return false;
}

static NORETURN void halt_for_ever(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void power_off(void)
{
    port_out16(ACPI_PM1A_CONTROL, ACPI_SLEEP_S5);
    for (const char *letter = "Shutdown"; *letter != '\0'; letter++) {
        port_out8(SHUTDOWN_PORT, (uint8_t)*letter);
    }
    port_out16(ACPI_PM1A_CONTROL, QEMU_SLEEP_S5);
    halt_for_ever();
}

void test_exit(uint32_t value)
{
    port_out32(TEST_EXIT_PORT, value);
    halt_for_ever();
}
