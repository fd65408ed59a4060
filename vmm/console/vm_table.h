// SPDX-License-Identifier: MIT
// The VMs as the console process sees them: made from a container of their own, talked to through
// two channels, made anew after a reset, and given back to the last page when they end.
#pragma once

#include "vmm/console/console.h"

// Finds the boot modules of every VM and starts them all. One that cannot start is VM_ENDED.
void vm_table_start(struct console *console);

// Starts one VM that does not run. Failure ends it with a message.
void vm_start(struct console *console, struct vm *vm);

// Ends it now, whatever its monitor does, and takes its memory back.
void vm_end(struct console *console, struct vm *vm, uint32_t reason, uint32_t status,
            const char *why);

// Asks its monitor to end it; vm_table_check kills it when that takes too long.
void vm_stop(struct console *console, struct vm *vm);

// Takes the messages that wait in its channel.
void vm_take_messages(struct console *console, struct vm *vm);

// Sends what waits for it. True: something still waits for its channel.
bool vm_send_waiting(struct vm *vm);

// Queues a message without a payload, MESSAGE_PAUSE to MESSAGE_STATISTICS.
void vm_control(struct vm *vm, uint32_t type);

// Deals with a monitor that died, and with one that does not stop.
void vm_check(struct console *console, struct vm *vm);

// A short name of an end reason ("power-off").
const char *vm_reason_name(uint32_t reason);
