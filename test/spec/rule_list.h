// SPDX-License-Identifier: MIT
// The rules of the specification: module, name, primitive, the kernel's status, and in words what
// is asked for. A rule that a lock-step test never sees broken fails that test.
#pragma once

#define SPEC_ENUM_ROW(name, ...) name,

#define SPEC_MODULES(X)                                                                            \
    X(SPEC_CONTAINER, "containers")                                                                \
    X(SPEC_LOCK, "locks")                                                                          \
    X(SPEC_CHANNEL, "channels")                                                                    \
    X(SPEC_THREAD, "threads")                                                                      \
    X(SPEC_MODE, "modes and user contexts")                                                        \
    X(SPEC_PAGE, "page allocator")                                                                 \
    X(SPEC_HANDLE, "handle tables")                                                                \
    X(SPEC_QUEUE, "queues")                                                                        \
    X(SPEC_TABLE, "page tables and EPT")                                                           \
    X(SPEC_SPACE, "address spaces")                                                                \
    X(SPEC_COPY, "user copies")                                                                    \
    X(SPEC_GRANT, "guest memory")                                                                  \
    X(SPEC_PROCESS, "processes, handles, device owner")                                            \
    X(SPEC_SERIAL, "serial, console, interrupt control")                                           \
    X(SPEC_VCPU, "VMCS: injection, windows, shadow")                                               \
    X(SPEC_GUEST, "VMs, vCPUs, exits that the kernel finishes")                                    \
    X(SPEC_TRAP, "traps, interrupts of the host")                                                  \
    X(SPEC_APIC, "local APIC")                                                                     \
    X(SPEC_LOG, "log of text")                                                                     \
    X(SPEC_STOP, "the end of the machine")

#define SPEC_RULES_CONTAINER(X)                                                                    \
    X(SPLIT_PARENT, SPEC_CONTAINER, "split", STATUS_NOT_FOUND, "the parent is in use")             \
    X(SPLIT_QUOTA_ZERO, SPEC_CONTAINER, "split", STATUS_INVALID, "the quota is not 0")             \
    X(SPLIT_QUOTA, SPEC_CONTAINER, "split", STATUS_QUOTA, "the parent has that much left")         \
    X(SPLIT_SLOT, SPEC_CONTAINER, "split", STATUS_NO_MEMORY, "a slot is free")                     \
    X(SPLIT_DEPTH, SPEC_CONTAINER, "split", STATUS_NO_MEMORY, "the child is not too far down")     \
    X(SPLIT_CHILD, SPEC_CONTAINER, "split", SPEC_PANIC, "the child's slot was free")               \
    X(ALLOC_CONTAINER, SPEC_CONTAINER, "alloc", STATUS_NOT_FOUND, "the container is in use")       \
    X(ALLOC_QUOTA, SPEC_CONTAINER, "alloc", STATUS_QUOTA, "usage stays within quota")              \
    X(FREE_CONTAINER, SPEC_CONTAINER, "free", STATUS_NOT_FOUND, "the container is in use")         \
    X(FREE_OWN, SPEC_CONTAINER, "free", STATUS_STATE, "its own usage is at least that")            \
    X(REVOKE_CONTAINER, SPEC_CONTAINER, "revoke", STATUS_NOT_FOUND, "the container is in use")     \
    X(REVOKE_ROOT, SPEC_CONTAINER, "revoke", STATUS_DENIED, "it is not the root")                  \
    X(REVOKE_EMPTY, SPEC_CONTAINER, "revoke", STATUS_BUSY, "nothing is charged, no children")      \
    X(GET_CONTAINER, SPEC_CONTAINER, "getters", STATUS_NOT_FOUND, "the container is in use")

#define SPEC_RULES_LOCK(X)                                                                         \
    X(ACQUIRE_EXISTS, SPEC_LOCK, "acquire_lock", SPEC_PANIC, "there is such a lock")               \
    X(ACQUIRE_INIT, SPEC_LOCK, "acquire_lock", SPEC_PANIC, "this CPU has finished boot")           \
    X(ACQUIRE_MODE, SPEC_LOCK, "acquire_lock", SPEC_PANIC, "ikern and ihost are set")              \
    X(ACQUIRE_WAITS, SPEC_LOCK, "acquire_lock", SPEC_PANIC, "this CPU waits for no lock")          \
    X(ACQUIRE_NESTED, SPEC_LOCK, "acquire_lock", SPEC_PANIC, "this CPU holds no channel lock")     \
    X(ACQUIRE_ORDER, SPEC_LOCK, "acquire_lock", SPEC_PANIC, "its rank is above those held")        \
    X(ACQUIRE_DEPTH, SPEC_LOCK, "acquire_lock", SPEC_PANIC, "few enough locks are held")           \
    X(OWN_WAITS, SPEC_LOCK, "own_lock", SPEC_PANIC, "this CPU waits for it")                       \
    X(OWN_FREE, SPEC_LOCK, "own_lock", SPEC_PANIC, "no CPU holds it")                              \
    X(OWN_TURN, SPEC_LOCK, "own_lock", SPEC_PANIC, "nobody waits longer")                          \
    X(RELEASE_INIT, SPEC_LOCK, "release_lock", SPEC_PANIC, "this CPU has finished boot")           \
    X(RELEASE_HELD, SPEC_LOCK, "release_lock", SPEC_PANIC, "this CPU holds it")

#define SPEC_RULES_CHANNEL(X)                                                                      \
    X(CHANNEL_EXISTS, SPEC_CHANNEL, "channel", STATUS_NOT_FOUND, "there is such a channel")        \
    X(CHANNEL_FREE, SPEC_CHANNEL, "channel_create", SPEC_PANIC, "the number is not in use")        \
    X(CHANNEL_UNUSED, SPEC_CHANNEL, "channel_destroy", SPEC_PANIC, "nobody waits, lock free")      \
    X(BUSY_LOCK, SPEC_CHANNEL, "get/set_sync_chan_busy", SPEC_PANIC, "in that channel's lock")     \
    X(BUSY_WORD, SPEC_CHANNEL, "set_sync_chan_busy", SPEC_PANIC, "busy is 0 or 1")                 \
    X(SEND_LOCK, SPEC_CHANNEL, "ipc_send_body", SPEC_PANIC, "in that channel's lock")              \
    X(SEND_MODE, SPEC_CHANNEL, "ipc_send_body", SPEC_PANIC, "init and pg are set")                 \
    X(SEND_COUNT, SPEC_CHANNEL, "ipc_send_body", STATUS_INVALID, "1 to 4096 bytes")                \
    X(SEND_RANGE, SPEC_CHANNEL, "ipc_send_body", STATUS_FAULT, "all bytes readable by cur")        \
    X(SEND_SLOT, SPEC_CHANNEL, "ipc_send_body", SPEC_PANIC, "the slot is taken and empty")         \
    X(CLAIM_FREE, SPEC_CHANNEL, "send", STATUS_BUSY, "busy is 0")                                  \
    X(RECEIVE_LOCK, SPEC_CHANNEL, "ipc_receive_body", SPEC_PANIC, "in that channel's lock")        \
    X(RECEIVE_MODE, SPEC_CHANNEL, "ipc_receive_body", SPEC_PANIC, "init and pg are set")           \
    X(RECEIVE_EMPTY, SPEC_CHANNEL, "ipc_receive_body", STATUS_EMPTY, "a message is stored")        \
    X(RECEIVE_SMALL, SPEC_CHANNEL, "ipc_receive_body", STATUS_TOO_SMALL, "the message fits")       \
    X(RECEIVE_RANGE, SPEC_CHANNEL, "ipc_receive_body", STATUS_FAULT, "all bytes writable by cur")  \
    X(EXCHANGE_COUNT, SPEC_CHANNEL, "exchange", STATUS_INVALID, "0 to 4096 bytes, a capacity")     \
    X(EXCHANGE_BOUND, SPEC_CHANNEL, "exchange", STATUS_STATE, "cur is told of its messages")       \
    X(EXCHANGE_RANGE, SPEC_CHANNEL, "exchange", STATUS_FAULT, "all of the buffer writable")        \
    X(PASS_EMPTIED, SPEC_CHANNEL, "receive", SPEC_PANIC, "the slot is taken and emptied")          \
    X(PASS_WOKEN, SPEC_CHANNEL, "receive", SPEC_PANIC, "who waits longest is woken")

#define SPEC_RULES_THREAD(X)                                                                       \
    X(SPAWN_CPU, SPEC_THREAD, "spawn", STATUS_INVALID, "that CPU is online")                       \
    X(SPAWN_FREE, SPEC_THREAD, "spawn", SPEC_PANIC, "the thread's number is not in use")           \
    X(SPAWN_CONTAINER, SPEC_THREAD, "spawn", STATUS_NOT_FOUND, "its container is in use")          \
    X(SWITCH_MODE, SPEC_THREAD, "switch", SPEC_PANIC, "ikern and ihost are set")                   \
    X(SWITCH_READY, SPEC_THREAD, "switch", SPEC_PANIC, "the next thread is READY")                 \
    X(SWITCH_CPU, SPEC_THREAD, "switch", SPEC_PANIC, "the next thread belongs to this CPU")        \
    X(SWITCH_LOCKS, SPEC_THREAD, "switch", SPEC_PANIC, "this CPU holds no lock")                   \
    X(SWITCH_IDLE, SPEC_THREAD, "switch", SPEC_PANIC, "no thread is READY when it idles")          \
    X(SLEEP_CURRENT, SPEC_THREAD, "sleep", SPEC_PANIC, "a thread runs on this CPU")                \
    X(SLEEP_MODE, SPEC_THREAD, "sleep", SPEC_PANIC, "ikern and ihost are set")                     \
    X(SLEEP_LOCK, SPEC_THREAD, "sleep", SPEC_PANIC, "the condition's lock is held")                \
    X(SLEEP_LOCKS, SPEC_THREAD, "sleep", SPEC_PANIC, "no other lock is held")                      \
    X(WAIT_WAITS, SPEC_THREAD, "condition_wait", SPEC_PANIC, "cur waits on a condition")           \
    X(WAIT_LOCK, SPEC_THREAD, "condition_wait", SPEC_PANIC, "the condition's lock is held")        \
    X(WAIT_OVER, SPEC_THREAD, "condition_wait", SPEC_PANIC, "cur was chosen, or is killed")        \
    X(WAKE_EXISTS, SPEC_THREAD, "wake", SPEC_PANIC, "there is such a thread")                      \
    X(WAKE_CHOSEN, SPEC_THREAD, "condition_wake", SPEC_PANIC, "who waits longest is woken")        \
    X(QUEUE_PENDING, SPEC_THREAD, "message_queue", SPEC_PANIC, "the thread is in its queue")       \
    X(EXIT_CURRENT, SPEC_THREAD, "exit", SPEC_PANIC, "a thread runs on this CPU")                  \
    X(EXIT_MODE, SPEC_THREAD, "exit", SPEC_PANIC, "ikern and ihost are set")                       \
    X(EXIT_LOCKS, SPEC_THREAD, "exit", SPEC_PANIC, "this CPU holds no lock")                       \
    X(FREED_DEAD, SPEC_THREAD, "free", SPEC_PANIC, "the thread is DEAD")

#define SPEC_RULES_MODE(X)                                                                         \
    X(HOSTOUT_MODE, SPEC_MODE, "hostout", SPEC_PANIC, "init, ikern, ihost and pg are set")         \
    X(HOSTOUT_LOCKS, SPEC_MODE, "hostout", SPEC_PANIC, "this CPU holds no lock")                   \
    X(HOSTIN_MODE, SPEC_MODE, "hostin", SPEC_PANIC, "init and ikern are set, ihost is not")        \
    X(START_MODE, SPEC_MODE, "proc_start_user", SPEC_PANIC, "init, ikern, ihost, pg and ipt")      \
    X(START_LOCKS, SPEC_MODE, "proc_start_user", SPEC_PANIC, "this CPU holds no lock")             \
    X(START_CONTAINER, SPEC_MODE, "proc_start_user", SPEC_PANIC, "cur's container is in use")      \
    X(START_CONTEXT, SPEC_MODE, "proc_start_user", SPEC_PANIC, "the context is complete")          \
    X(START_RIP, SPEC_MODE, "proc_start_user", SPEC_PANIC, "RIP is canonical and the user's")      \
    X(EXIT_USER_MODE, SPEC_MODE, "proc_exit_user", SPEC_PANIC, "ihost and pg, not ikern")          \
    X(EXIT_USER_CONTAINER, SPEC_MODE, "proc_exit_user", SPEC_PANIC, "cur's container is in use")   \
    X(EXIT_USER_STACK, SPEC_MODE, "proc_exit_user", SPEC_PANIC, "on cur's kernel stack")           \
    X(UCTX_CURRENT, SPEC_MODE, "uctx_get/uctx_set", SPEC_PANIC, "the context is cur's")            \
    X(UCTX_INIT, SPEC_MODE, "uctx_get/uctx_set", SPEC_PANIC, "this CPU has finished boot")         \
    X(UCTX_CONTAINER, SPEC_MODE, "uctx_get/uctx_set", SPEC_PANIC, "cur's container is in use")     \
    X(UCTX_OFFSET, SPEC_MODE, "uctx_get/uctx_set", STATUS_INVALID, "it names a register")          \
    X(UCTX_UNSET, SPEC_MODE, "uctx_get", STATUS_STATE, "the register was set")                     \
    X(UCTX_CHECKED, SPEC_MODE, "uctx_set", STATUS_DENIED, "it is no pointer")                      \
    X(UCTX_PLAIN, SPEC_MODE, "uctx_set_pointer", STATUS_INVALID, "it is a pointer")                \
    X(UCTX_POINTER, SPEC_MODE, "uctx_set_pointer", STATUS_INVALID, "the address is the user's")

#define SPEC_RULES_PAGE(X)                                                                         \
    X(ALLOCATE_OWNER, SPEC_PAGE, "page alloc", STATUS_INVALID, "the owner is one that may own")    \
    X(ALLOCATE_SIZE, SPEC_PAGE, "page alloc", STATUS_INVALID, "4 KiB or 2 MiB")                    \
    X(ALLOCATE_NONE, SPEC_PAGE, "page alloc", STATUS_NO_MEMORY, "a page of that size is free")     \
    X(ALLOCATE_CHOICE, SPEC_PAGE, "page alloc", SPEC_PANIC, "the page given out was free")         \
    X(PAGE_FREE_SIZE, SPEC_PAGE, "page free", STATUS_INVALID, "4 KiB or 2 MiB")                    \
    X(PAGE_FREE_ADDRESS, SPEC_PAGE, "page free", STATUS_INVALID, "aligned, and in RAM")            \
    X(PAGE_FREE_NOBODY, SPEC_PAGE, "page free", STATUS_INVALID, "the owner is one that may own")   \
    X(PAGE_FREE_OWNER, SPEC_PAGE, "page free", STATUS_DENIED, "the caller owns it")                \
    X(PAGE_FREE_KIND, SPEC_PAGE, "page free", STATUS_INVALID, "it was given out in that size")

#define SPEC_RULES_HANDLE(X)                                                                       \
    X(HANDLE_ROOM, SPEC_HANDLE, "handle add", STATUS_NO_MEMORY, "a number is free")                \
    X(HANDLE_GET_USED, SPEC_HANDLE, "handle get", STATUS_NOT_FOUND, "the number is in use")        \
    X(HANDLE_GET_KIND, SPEC_HANDLE, "handle get", STATUS_DENIED, "it is of that kind")             \
    X(HANDLE_REMOVE_USED, SPEC_HANDLE, "handle remove", STATUS_NOT_FOUND, "the number is in use")

#define SPEC_RULES_QUEUE(X)                                                                        \
    X(QUEUE_EMPTY, SPEC_QUEUE, "queue pop", STATUS_EMPTY, "the queue holds somebody")              \
    X(QUEUE_ABSENT, SPEC_QUEUE, "queue remove", STATUS_NOT_FOUND, "the node is in a queue")        \
    X(DEADLINE_NOT_DUE, SPEC_QUEUE, "deadline pop", STATUS_EMPTY, "the earliest deadline is past") \
    X(DEADLINE_ABSENT, SPEC_QUEUE, "deadline remove", STATUS_NOT_FOUND, "the node is queued")

#define SPEC_RULES_TABLE(X)                                                                        \
    X(TABLE_RANGE, SPEC_TABLE, "map", STATUS_INVALID,                                              \
      "aligned, not empty, inside the address space")                                              \
    X(TABLE_PERMISSION, SPEC_TABLE, "map", STATUS_INVALID,                                         \
      "readable, and what the format can say")                                                     \
    X(TABLE_TYPE, SPEC_TABLE, "map", STATUS_INVALID, "memory type 0, 1, 4, 5 or 6")                \
    X(TABLE_TYPE_HOST, SPEC_TABLE, "map", STATUS_UNSUPPORTED, "a type that the host's PAT has")    \
    X(TABLE_PHYSICAL, SPEC_TABLE, "map", STATUS_INVALID, "aligned physical memory that exists")    \
    X(TABLE_BUSY, SPEC_TABLE, "map", STATUS_BUSY, "nothing is mapped there")                       \
    X(TABLE_TABLES, SPEC_TABLE, "map", STATUS_QUOTA, "pages for the tables it needs")              \
    X(UNMAP_RANGE, SPEC_TABLE, "unmap", STATUS_INVALID, "aligned, not empty, inside the space")    \
    X(UNMAP_CUT, SPEC_TABLE, "unmap", STATUS_INVALID, "larger leaves lie inside or outside")       \
    X(TRANSLATE_MAPPED, SPEC_TABLE, "translate", STATUS_NOT_FOUND, "a leaf maps the address")      \
    X(NEXT_MAPPED, SPEC_TABLE, "next", STATUS_NOT_FOUND, "a leaf begins before the limit")

#define SPEC_RULES_SPACE(X)                                                                        \
    X(SPACE_INIT_QUOTA, SPEC_SPACE, "init", STATUS_QUOTA, "pages for the list and the root")       \
    X(SPACE_DESTROY_PINS, SPEC_SPACE, "destroy", SPEC_PANIC, "nothing is pinned")                  \
    X(SPACE_SIZE, SPEC_SPACE, "allocate", STATUS_INVALID, "not empty, as large as the area")       \
    X(SPACE_GAP, SPEC_SPACE, "allocate, map", STATUS_NO_MEMORY, "a gap of that size")              \
    X(SPACE_ROOM, SPEC_SPACE, "allocate, map", STATUS_NO_MEMORY, "the list has room")              \
    X(SPACE_QUOTA, SPEC_SPACE, "allocate, map", STATUS_QUOTA, "pages for frames and tables")       \
    X(SPACE_BLOCKS, SPEC_SPACE, "allocate", STATUS_NO_MEMORY, "a block for each 2 MiB page")       \
    X(SPACE_AT_RANGE, SPEC_SPACE, "allocate_at", STATUS_INVALID,                                   \
      "aligned, not empty, not 0, the user's")                                                     \
    X(SPACE_AT_BUSY, SPEC_SPACE, "allocate_at", STATUS_BUSY, "it overlaps no region")              \
    X(SPACE_BORROWED, SPEC_SPACE, "map_borrowed", STATUS_INVALID, "aligned, not empty")            \
    X(SPACE_PHYSICAL, SPEC_SPACE, "map_borrowed", STATUS_INVALID, "physical memory that exists")   \
    X(SPACE_FREE_REGION, SPEC_SPACE, "free", STATUS_NOT_FOUND, "it is just one region")            \
    X(SPACE_FREE_KIND, SPEC_SPACE, "free", STATUS_DENIED, "the region is of that kind")            \
    X(SPACE_FREE_PINS, SPEC_SPACE, "free", STATUS_BUSY, "it is not pinned")                        \
    X(SPACE_PIN_REGION, SPEC_SPACE, "pin", STATUS_FAULT, "it lies in one region")                  \
    X(SPACE_PIN_KIND, SPEC_SPACE, "pin", STATUS_DENIED, "a guest may use that region so")          \
    X(SPACE_PIN_COUNT, SPEC_SPACE, "pin", STATUS_NO_MEMORY, "the pins can be counted")             \
    X(SPACE_UNPIN, SPEC_SPACE, "unpin", SPEC_PANIC, "it is pinned")                                \
    X(SPACE_TRANSLATE, SPEC_SPACE, "translate", STATUS_FAULT, "it is mapped for ring 3")           \
    X(COPY_USER, SPEC_COPY, "user range", STATUS_FAULT, "it does not leave the user's half")       \
    X(COPY_MAPPED, SPEC_COPY, "user range", STATUS_FAULT, "all of it is mapped")                   \
    X(COPY_WRITABLE, SPEC_COPY, "user range", STATUS_FAULT, "all of it is writable")

#define SPEC_RULES_GRANT(X)                                                                        \
    X(VM_QUOTA, SPEC_GRANT, "vm_create", STATUS_QUOTA, "pages for the VM")                         \
    X(GRANT_RANGE, SPEC_GRANT, "vm_grant", STATUS_INVALID, "aligned, not empty, addresses exist")  \
    X(GRANT_FLAGS, SPEC_GRANT, "vm_grant", STATUS_INVALID, "readable, no unknown flags")           \
    X(GRANT_ROOM, SPEC_GRANT, "vm_grant", STATUS_NO_MEMORY, "fewer than 128 grants")               \
    X(GRANT_BUSY, SPEC_GRANT, "vm_grant", STATUS_BUSY, "it overlaps no other grant")               \
    X(GRANT_MEMORY, SPEC_GRANT, "vm_grant", STATUS_FAULT, "it lies in one region")                 \
    X(GRANT_KIND, SPEC_GRANT, "vm_grant", STATUS_DENIED, "a guest may use that region so")         \
    X(GRANT_QUOTA, SPEC_GRANT, "vm_grant", STATUS_QUOTA, "pages for the tables")                   \
    X(REVOKE_GRANT, SPEC_GRANT, "vm_revoke", STATUS_NOT_FOUND, "it is just one grant")

#define SPEC_RULES_PROCESS(X)                                                                      \
    X(TAKE_USED, SPEC_PROCESS, "handle", STATUS_NOT_FOUND, "the number is in use")                 \
    X(TAKE_KIND, SPEC_PROCESS, "handle", STATUS_DENIED, "it is of that kind")                      \
    X(TAKE_REVOKED, SPEC_PROCESS, "handle", STATUS_DEAD, "its container was not revoked")          \
    X(NEW_HANDLE_ROOM, SPEC_PROCESS, "new handle", STATUS_NO_MEMORY, "a number is free")           \
    X(CLOSE_OWN, SPEC_PROCESS, "handle_close", STATUS_INVALID, "not a process's first two")        \
    X(CLOSE_USED, SPEC_PROCESS, "handle_close", STATUS_NOT_FOUND, "the number is in use")          \
    X(OWNER_ONLY, SPEC_PROCESS, "device owner", STATUS_DENIED, "cur is the device owner")          \
    X(OWNER_PORT, SPEC_PROCESS, "device owner", STATUS_NOT_FOUND, "there is such a port")          \
    X(MODULE_EXISTS, SPEC_PROCESS, "module_open", STATUS_NOT_FOUND, "there is such a module")      \
    X(MODULE_BUFFER, SPEC_PROCESS, "module_open", STATUS_FAULT, "the buffer is writable")          \
    X(CHANNEL_QUOTA, SPEC_PROCESS, "channel_create", STATUS_QUOTA, "two pages are left")           \
    X(THREAD_CPU, SPEC_PROCESS, "thread_create", STATUS_INVALID, "there is such a CPU")            \
    X(THREAD_POINTERS, SPEC_PROCESS, "thread_create", STATUS_INVALID, "entry, stack: the user's")  \
    X(THREAD_QUOTA, SPEC_PROCESS, "thread_create", STATUS_QUOTA, "pages for thread and stack")     \
    X(CREATE_ARGUMENTS, SPEC_PROCESS, "process_create", STATUS_FAULT, "arguments to read")         \
    X(CREATE_LIMITS, SPEC_PROCESS, "process_create", STATUS_INVALID, "each within its limit")      \
    X(CREATE_PRIORITY, SPEC_PROCESS, "process_create", STATUS_INVALID, "at most the caller's")     \
    X(CREATE_TEXT, SPEC_PROCESS, "process_create", STATUS_FAULT, "the text can be read")           \
    X(CREATE_PASSED, SPEC_PROCESS, "process_create", STATUS_DENIED, "of a kind to pass on")        \
    X(CREATE_PROGRAM, SPEC_PROCESS, "process_create", STATUS_MALFORMED, "it is a program")         \
    X(CREATE_CPU, SPEC_PROCESS, "process_create", STATUS_INVALID, "there is such a CPU")           \
    X(CREATE_QUOTA, SPEC_PROCESS, "process_create", STATUS_QUOTA, "pages for all of it")           \
    X(DESTROY_SELF, SPEC_PROCESS, "process_destroy", STATUS_INVALID, "it is another one")          \
    X(BIND_BIT, SPEC_PROCESS, "process_bind", STATUS_INVALID, "bits 0 to 62")                      \
    X(BIND_OWN, SPEC_PROCESS, "process_bind", STATUS_INVALID, "it is another one")                 \
    X(SIGNAL_BITS, SPEC_PROCESS, "event_signal", STATUS_INVALID, "bits 0 to 62")                   \
    X(WEIGHT_RANGE, SPEC_PROCESS, "container_split", STATUS_INVALID, "a weight up to 1000")        \
    X(WEIGHT_OWNER, SPEC_PROCESS, "container_split", STATUS_DENIED, "only the first gives one")    \
    X(MAKE_ZERO, SPEC_PROCESS, "container_split", STATUS_INVALID, "the quota is not 0")            \
    X(MAKE_QUOTA, SPEC_PROCESS, "container_split", STATUS_QUOTA, "the parent has that much left")  \
    X(ASK_WRITABLE, SPEC_PROCESS, "process_status, _info", STATUS_FAULT, "the buffer is writable") \
    X(END_OWN, SPEC_PROCESS, "container_revoke", STATUS_INVALID, "the caller is outside")

#define SPEC_RULES_SERIAL(X)                                                                       \
    X(PUTC_CHARACTER, SPEC_SERIAL, "serial_putc", STATUS_INVALID, "a character has 8 bits")        \
    X(PUTC_ALIVE, SPEC_SERIAL, "serial_putc", STATUS_DEAD, "the transmitter frees in time")        \
    X(CONSOLE_EMPTY, SPEC_SERIAL, "cons_buf_read", STATUS_EMPTY, "a character is there")           \
    X(INTR_OUTSIDE, SPEC_SERIAL, "serial_intr_disable", STATUS_STATE, "not inside already")        \
    X(INTR_INSIDE, SPEC_SERIAL, "serial_intr_enable", STATUS_STATE, "inside the section")

#define SPEC_RULES_VCPU(X)                                                                         \
    X(ENTER_MSRS, SPEC_VCPU, "enter", STATUS_INVALID, "MSRs that can be loaded")                   \
    X(ENTER_DEBUG, SPEC_VCPU, "enter", STATUS_INVALID, "DR6 and DR7 of 32 bits")                   \
    X(ENTER_DEADLINE, SPEC_VCPU, "enter", STATUS_TIMEOUT, "the deadline has not passed")           \
    X(ENTER_HARDWARE, SPEC_VCPU, "enter", STATUS_STATE, "the processor accepts the state")

#define SPEC_RULES_GUEST(X)                                                                        \
    X(GUEST_OFFERED, SPEC_GUEST, "vm_create", STATUS_UNSUPPORTED, "the processor has VMs")         \
    X(GUEST_QUOTA, SPEC_GUEST, "vm_create", STATUS_QUOTA, "pages for the VM")                      \
    X(GUEST_ROOM, SPEC_GUEST, "vm_create", STATUS_NO_MEMORY, "a handle is free")                   \
    X(GUEST_FIND, SPEC_GUEST, "vm_*", STATUS_NOT_FOUND, "the handle is in use")                    \
    X(GUEST_KIND, SPEC_GUEST, "vm_*", STATUS_DENIED, "it names a VM")                              \
    X(CPUID_COUNT, SPEC_GUEST, "vm_set_cpuid", STATUS_INVALID, "at most 128 entries")              \
    X(CPUID_QUOTA, SPEC_GUEST, "vm_set_cpuid", STATUS_QUOTA, "a page to build the table in")       \
    X(CPUID_READABLE, SPEC_GUEST, "vm_set_cpuid", STATUS_FAULT, "the entries can be read")         \
    X(CPUID_FLAGS, SPEC_GUEST, "vm_set_cpuid", STATUS_INVALID, "no unknown flags")                 \
    X(MSRS_POLICY, SPEC_GUEST, "vm_set_msr", STATUS_INVALID, "a policy that there is")             \
    X(MSRS_RANGE, SPEC_GUEST, "vm_set_msr", STATUS_INVALID, "in order, of 32 bits")                \
    X(MSRS_KEPT, SPEC_GUEST, "vm_set_msr", STATUS_DENIED, "each is kept with its vCPU")            \
    X(PORTS_RANGE, SPEC_GUEST, "vm_set_port", STATUS_INVALID, "in order, 16 bits, a policy")       \
    X(INTERCEPT_BEFORE, SPEC_GUEST, "vm_intercept", STATUS_STATE, "it has had no vCPU yet")        \
    X(INTERCEPT_RANGE, SPEC_GUEST, "vm_intercept", STATUS_INVALID, "32 bits")                      \
    X(STATISTICS_WRITE, SPEC_GUEST, "vm_statistics", STATUS_FAULT, "the buffer is writable")       \
    X(CORE_WRITE, SPEC_GUEST, "vcpu_create", STATUS_FAULT, "the buffer is writable")               \
    X(CORE_ONE, SPEC_GUEST, "vcpu_create", STATUS_STATE, "the thread has no vCPU")                 \
    X(CORE_QUOTA, SPEC_GUEST, "vcpu_create", STATUS_QUOTA, "pages for the vCPU")                   \
    X(CORE_SPACE, SPEC_GUEST, "vcpu_create", STATUS_NO_MEMORY, "the address space has room")       \
    X(CORE_ROOM, SPEC_GUEST, "vcpu_create", STATUS_NO_MEMORY, "a handle is free")                  \
    X(CORE_FIND, SPEC_GUEST, "vcpu_*", STATUS_NOT_FOUND, "the handle is in use")                   \
    X(CORE_OWN, SPEC_GUEST, "vcpu_*", STATUS_DENIED, "it names the caller's own vCPU")             \
    X(CORE_RUN_FLAGS, SPEC_GUEST, "vcpu_run", STATUS_INVALID, "no unknown flags")                  \
    X(CORE_RUN_LOG, SPEC_GUEST, "vcpu_run", STATUS_STATE, "there is a log to write")               \
    X(READ_FIELD, SPEC_GUEST, "vcpu_read", STATUS_NOT_FOUND, "the processor has the field")        \
    X(READ_WRITE, SPEC_GUEST, "vcpu_read", STATUS_FAULT, "the place for the value is writable")    \
    X(LOG_OWN, SPEC_GUEST, "vcpu_log", STATUS_DENIED, "it names the caller's own vCPU")            \
    X(LOG_ONCE, SPEC_GUEST, "vcpu_log", STATUS_STATE, "the vCPU has no log yet")                   \
    X(LOG_SPACE, SPEC_GUEST, "vcpu_log", STATUS_NO_MEMORY, "the address space has room")           \
    X(LOG_QUOTA, SPEC_GUEST, "vcpu_log", STATUS_QUOTA, "a page for the log")                       \
    X(CLOSE_START, SPEC_GUEST, "handle_close", STATUS_INVALID, "not a process's first two")        \
    X(CLOSE_FIND, SPEC_GUEST, "handle_close", STATUS_NOT_FOUND, "the handle is in use")            \
    X(CLOSE_RUNS, SPEC_GUEST, "handle_close", STATUS_BUSY, "the vCPU is not being run")            \
    X(CLOSE_CPU, SPEC_GUEST, "handle_close", STATUS_BUSY, "the caller is on the vCPU's CPU")

#define SPEC_RULES_TRAP(X)                                                                         \
    X(TRAP_ABORT, SPEC_TRAP, "exception", SPEC_PANIC, "no double fault, no machine check")         \
    X(TRAP_KERNEL, SPEC_TRAP, "exception", SPEC_PANIC, "it comes from ring 3")

#define SPEC_RULES_APIC(X)                                                                         \
    X(APIC_MAPPED, SPEC_APIC, "initialize", STATUS_NO_MEMORY, "its registers can be mapped")

#define SPEC_RULES_LOG(X)                                                                          \
    X(LOG_READER, SPEC_LOG, "log_bind", STATUS_BUSY, "no other thread reads it")

#define SPEC_RULES_STOP(X)                                                                         \
    X(STOP_ENDER, SPEC_STOP, "stop_claim", STATUS_BUSY, "no other CPU ends the machine")

#define SPEC_RULES(X)                                                                              \
    SPEC_RULES_CONTAINER(X)                                                                        \
    SPEC_RULES_LOCK(X)                                                                             \
    SPEC_RULES_CHANNEL(X)                                                                          \
    SPEC_RULES_THREAD(X)                                                                           \
    SPEC_RULES_MODE(X)                                                                             \
    SPEC_RULES_PAGE(X)                                                                             \
    SPEC_RULES_HANDLE(X)                                                                           \
    SPEC_RULES_QUEUE(X)                                                                            \
    SPEC_RULES_TABLE(X)                                                                            \
    SPEC_RULES_SPACE(X)                                                                            \
    SPEC_RULES_GRANT(X)                                                                            \
    SPEC_RULES_PROCESS(X)                                                                          \
    SPEC_RULES_SERIAL(X)                                                                           \
    SPEC_RULES_VCPU(X)                                                                             \
    SPEC_RULES_GUEST(X)                                                                            \
    SPEC_RULES_TRAP(X)                                                                             \
    SPEC_RULES_APIC(X)                                                                             \
    SPEC_RULES_LOG(X)                                                                              \
    SPEC_RULES_STOP(X)
