// SPDX-License-Identifier: MIT
// What the test kernels share: output on COM1, ways to end, port access. Built for 32-bit and for
// 64-bit kernels; one CPU, no lock, interrupts stay off.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// The part of the multiboot1 boot information that guests use ("Boot information format").
struct multiboot_info {
    uint32_t flags;
    uint32_t memory_lower; // KiB
    uint32_t memory_upper; // KiB above 1 MiB
    uint32_t boot_device;
    uint32_t command_line; // address of text
    uint32_t module_count;
    uint32_t modules; // address of struct multiboot_module[]
    uint32_t symbols[4];
    uint32_t map_length;
    uint32_t map;
    uint32_t drives_length;
    uint32_t drives;
    uint32_t configuration;
    uint32_t loader_name; // address of text
};
static_assert(__builtin_offsetof(struct multiboot_info, loader_name) == 64, "multiboot1 layout");

struct multiboot_module {
    uint32_t start;
    uint32_t end;
    uint32_t text; // address
    uint32_t reserved;
};
static_assert(sizeof(struct multiboot_module) == 16, "multiboot1 layout");

#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002u

// What LGDT, SGDT, LIDT and SIDT load and store.
struct PACKED table_register {
    uint16_t limit; // bytes - 1
    uintptr_t base;
};
static_assert(sizeof(struct table_register) == 2 + sizeof(uintptr_t), "GDTR and IDTR layout");

// Each guest's C entry. The meaning of both values depends on its start-up code: a multiboot
// kernel gets EAX and EBX as the loader left them, an ELF64 kernel 0 and RSI.
NORETURN void guest_main(uint32_t magic, uintptr_t information);

static inline void port_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void port_out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void port_out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t port_in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t port_in16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t port_in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

// Prints to COM1, waiting for the transmitter before each byte. Lines end in "\n".
void print_text(const char *text);
void print_decimal(uint32_t value);
void print_hexadecimal(uint64_t value); // with "0x", no leading zeroes

// Prints "PASS: TEXT" or "FAIL: TEXT" and returns `passed`.
bool print_result(bool passed, const char *text);

// True when the words of `line` (separated by blanks) include NAME=NUMBER; stores the number.
bool find_option(const char *line, const char *name, uint32_t *value);

// Ends the machine by ACPI S5: exit status 0. Also ends QEMU and Bochs.
NORETURN void power_off(void);

// Ends the machine through the test device at 0xf4: exit status (value << 1) | 1.
NORETURN void test_exit(uint32_t value);
