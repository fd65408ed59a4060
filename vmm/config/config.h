// SPDX-License-Identifier: MIT
// The run's configuration: the text module `config`, parsed strictly.
//
// The console process parses the whole text; each monitor parses its own VM section, which it gets
// verbatim. Pure: no system calls, no allocation; the result refers to the text it was parsed from.
// The syntax is one `key value` a line, lines end in LF:
//
//     gatehouse 1
//     console terminal|raw
//     escape on|off
//     vm NAME
//     kernel MODULE
//     kernel-type auto|linux|elf|multiboot|flat
//     kernel-file PATH
//     initrd MODULE
//     initrd-file PATH
//     module MODULE FILE [ARGUMENTS]
//     append COMMAND LINE
//     memory BYTES
//     vcpus COUNT
//     weight N                 share of the CPU beside other VMs, 1 to 1000; default 100
//     apic auto|on|off         local APICs; auto: where there are several virtual processors
//     intercept WORD,WORD...   exits that the guest would not cause else; see intercept.c
//     reset restart|end
//     stats on|off             tables of exits when the VM ends; default off
//     exit-log on|off          every exit to the debug port; default off
//     watchdog SECONDS report|stop  a guest that spins with interrupts off so long; 0: never
//     seed NUMBER              RDRAND and RDSEED exit, and their numbers follow from this one
//     clock SECONDS            since 1970-01-01 UTC, for the guest's real-time clock
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define CONFIG_VM_MAXIMUM       16u
#define CONFIG_MODULE_MAXIMUM   18u
#define CONFIG_VCPU_MAXIMUM     64u
#define CONFIG_WEIGHT_DEFAULT   100u
#define CONFIG_WEIGHT_MAXIMUM   1000u
#define CONFIG_NAME_MAXIMUM     32u
#define CONFIG_CLOCK_DEFAULT    1767225600ull // 2026-01-01
#define CONFIG_WATCHDOG_DEFAULT 30u           // seconds
#define CONFIG_WATCHDOG_MAXIMUM 1000000u
#define CONFIG_CLOCK_MAXIMUM    4102444800ull // 2100-01-01
#define CONFIG_MEMORY_MINIMUM   (1ull << 20)  // bytes
#define CONFIG_MEMORY_MAXIMUM   (1ull << 40)  // bytes

// A piece of the configuration text. No NUL follows it; print it with "%.*s".
struct config_text {
    const char *start;
    uint32_t length;
};

enum config_kernel_type {
    CONFIG_KERNEL_AUTO,
    CONFIG_KERNEL_LINUX,
    CONFIG_KERNEL_ELF,
    CONFIG_KERNEL_MULTIBOOT,
    CONFIG_KERNEL_FLAT,
};

enum config_apic { CONFIG_APIC_AUTO, CONFIG_APIC_ON, CONFIG_APIC_OFF };

struct config_module {
    struct config_text module; // boot module's name
    struct config_text file;   // as the person typed it
    struct config_text arguments;
};

struct config_vm {
    struct config_text section; // the text from `vm` to the next section
    struct config_text name;
    struct config_text kernel;
    struct config_text kernel_file;
    struct config_text initrd;
    struct config_text initrd_file;
    struct config_text append;
    enum config_kernel_type kernel_type;
    bool restart_on_reset;
    bool stats;
    bool exit_log;
    bool seeded;
    uint64_t seed;
    bool watchdog_stops; // the VM ends, else it is only reported
    uint32_t watchdog;   // seconds; 0: off
    uint32_t vcpus;
    uint32_t weight; // of its share of the CPU
    enum config_apic apic;
    uint32_t intercepts; // intercept.h
    uint64_t memory;     // bytes
    uint64_t clock;      // seconds since 1970-01-01 UTC
    uint32_t module_count;
    struct config_module modules[CONFIG_MODULE_MAXIMUM];
};

struct config {
    bool raw;    // the first serial port carries exactly the bytes of the first VM
    bool escape; // Ctrl-A is the escape key
    uint32_t vm_count;
    struct config_vm vms[CONFIG_VM_MAXIMUM];
};

struct config_error {
    uint32_t line; // from 1
    char message[200];
};

// Parses `length` bytes at `text`, which must outlive *config. On STATUS_MALFORMED *error says
// what was expected on which line, and *config is not to be used.
enum status config_parse(const char *text, size_t length, struct config *config,
                         struct config_error *error) MUST_CHECK;

// Parses one VM section, as config_vm.section holds it.
enum status config_parse_section(const char *text, size_t length, struct config_vm *vm,
                                 struct config_error *error) MUST_CHECK;

// True when `text` is exactly the NUL-terminated `word`.
bool config_text_is(struct config_text text, const char *word);
