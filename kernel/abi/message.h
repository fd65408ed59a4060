// SPDX-License-Identifier: MIT
// Messages between a monitor and the console process. One message is one channel transfer: this
// header followed by `length` bytes.
#pragma once

#include <stdint.h>

enum message_type {
    // monitor -> console
    MESSAGE_OUTPUT = 1, // bytes the guest wrote to its console
    MESSAGE_LOG,        // one line of host log text about this VM, no line feed
    MESSAGE_ENDED,      // struct message_ended, then a line of text that says why
    MESSAGE_CONSUMED,   // uint64_t: console input bytes taken by the guest so far
    MESSAGE_REPORT,     // text asked for with MESSAGE_STATISTICS, lines end in LF
    MESSAGE_STATS,      // the same for the host log alone: exit tables at the VM's end
    MESSAGE_EXITS,      // struct exit_batch and its entries (exit_log.h)
    // console -> monitor
    MESSAGE_INPUT = 32, // bytes typed to the guest
    MESSAGE_PAUSE,
    MESSAGE_RESUME,
    MESSAGE_STOP,       // end this VM: the monitor answers with MESSAGE_ENDED and exits
    MESSAGE_STATISTICS, // send a MESSAGE_REPORT
};

struct message_header {
    uint32_t type;   // enum message_type
    uint32_t length; // bytes that follow
};

#define MESSAGE_MAXIMUM (4096u - sizeof(struct message_header)) // payload bytes

// Why a VM ended.
enum end_reason {
    END_POWER_OFF,     // status 0
    END_TEST_EXIT,     // write of v to port 0xf4: status (v << 1) | 1 in 8 bits
    END_RESET,         // the guest asked for a reset: the console process starts it anew
    END_STOPPED,       // MESSAGE_STOP
    END_BAD_IMAGE,     // status 66
    END_BAD_CONFIG,    // status 64
    END_TRIPLE_FAULT,  // status 72
    END_ENTRY_REFUSED, // status 74
    END_UNHANDLED,     // status 76
    END_MONITOR_FAULT, // the monitor itself died: status 76
    END_HALTED,        // halted for ever, interrupts off: status 80
    END_NO_PROGRESS,   // spins with interrupts off, and the configuration ends it: status 82
};

struct message_ended {
    uint32_t reason; // enum end_reason
    uint32_t status; // the run's exit status that follows from it
};

// Exit statuses of a run, as scripts/run documents them.
enum run_status {
    RUN_POWER_OFF = 0,
    RUN_USAGE = 64,
    RUN_BAD_IMAGE = 66,
    RUN_HOST_PANIC = 70,
    RUN_TRIPLE_FAULT = 72,
    RUN_ENTRY_REFUSED = 74,
    RUN_UNHANDLED = 76,
    RUN_NO_VMX = 78,
    RUN_HALTED = 80,
    RUN_NO_PROGRESS = 82,
    RUN_TIMEOUT = 124,
};
