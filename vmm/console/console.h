// SPDX-License-Identifier: MIT
// The console process: owner of the serial ports, parent of every VM's monitor. One thread, which
// sleeps in one place (main.c) and never waits for a VM, a terminal or a reader of the log.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/message.h"
#include "kernel/abi/syscall.h"
#include "kernel/lib/compiler.h"
#include "vmm/config/config.h"
#include "vmm/console/escape.h"
#include "vmm/console/line.h"
#include "vmm/console/mux.h"
#include "vmm/runtime/ring.h"

#define CONSOLE_PORT_TERMINAL 0u // COM1
#define CONSOLE_PORT_LOG      1u // COM2

#define CONSOLE_LOG_QUEUE   (32u << 10) // bytes of log lines that wait for COM2
#define CONSOLE_INPUT_QUEUE (64u << 10) // typed bytes that wait for one VM
#define CONSOLE_WHY         400u        // bytes of a VM's end message

// Event bits of the thread; VM i has two from EVENT_VM on.
enum console_event {
    EVENT_TERMINAL_INPUT,
    EVENT_TERMINAL_SENT,
    EVENT_LOG_INPUT,
    EVENT_LOG_SENT,
    EVENT_KERNEL_LOG,
    EVENT_VM = 8,
};

enum vm_state { VM_RUNNING, VM_PAUSED, VM_ENDED };

struct vm {
    const struct config_vm *config;
    unsigned number; // from 1: its console, and its N in machine lines
    enum vm_state state;

    // Handles, while it is not VM_ENDED.
    uint32_t container;
    uint32_t process;
    uint32_t to_vm;
    uint32_t from_vm;

    // Handles of its boot modules in the order the monitor expects, for the whole run.
    uint32_t modules[HANDLES_PASSED_MAXIMUM];
    uint32_t module_count;

    bool message_ready;     // the channel may hold a message
    bool process_event;     // its process may have ended
    uint32_t controls;      // bit per message type from MESSAGE_PAUSE on that waits to be sent
    struct ring input;      // typed bytes that wait to be sent
    uint64_t input_lost;    // bytes that found no room there
    uint64_t input_sent;    // bytes sent to its monitors
    uint64_t input_before;  // of them before the present monitor
    uint64_t stop_deadline; // TSC; a monitor that was told to stop dies then; 0: not told
    uint64_t pages;         // of our container that this VM took
    struct line background; // in raw mode: its output, but for the first VM's
    bool report_asked;      // the person waits for its statistics
    uint32_t restarts;
    uint32_t reason; // enum end_reason, VM_ENDED
    uint32_t status;
};

struct console {
    const struct process_info *info;
    struct config config;
    uint32_t monitor_module;
    struct mux mux;
    struct escape_state escape;
    struct line kernel_line;
    struct line script_line; // from the second serial port
    uint64_t typed;          // bytes that arrived from the terminal
    int64_t lost;            // of what was typed, before it was taken
    struct ring log_queue;   // to the second serial port
    bool log_port;           // there is one
    uint64_t log_lost;       // lines that found no room
    uint64_t flush_deadline;
    uint32_t frames;  // sent to the debug port
    bool log_refused; // they cannot be, which was logged
    bool ending;      // the person asked for the end of the run
    unsigned vm_count;
    struct vm vms[CONFIG_VM_MAXIMUM];
    uint8_t log_memory[CONSOLE_LOG_QUEUE];
};

// One line of host log: to the log's console and to the second serial port.
void console_log(struct console *console, const char *format, ...) PRINTF(2, 3);

// A line for scripts: '@' and the text, to the second serial port.
void console_machine_line(struct console *console, const char *format, ...) PRINTF(2, 3);

// Takes what the kernel has logged.
void console_take_kernel_log(struct console *console);

// Hands the queued bytes to the serial ports, as many as they take.
void console_push(struct console *console);

// Sends all that is queued, waits two seconds at most, and ends the machine.
NORETURN void console_end(struct console *console, uint32_t status);
