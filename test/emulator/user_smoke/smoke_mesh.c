// SPDX-License-Identifier: MIT
// Messages between processes on all CPUs (where those are more than a process can be given
// channels: on some, spread evenly): each process has a channel to receive from and sends to all of
// them in turn. Each message says who sent it and which of his to this receiver it is, so that one
// lost, doubled, out of order or damaged is noticed. Every other process waits for events, the
// others for messages in channel_exchange.
#include "smoke_smp.h"
#include "kernel/lib/string.h"

#define EVENT_MESSAGE 0u
#define EVENT_ENDED   2u
#define MESH_PAGES    400u
#define MESH_DONE     77
#define WORDS         8u

struct mesh { // behind the role's name
    char role[8];
    uint64_t index;
    uint64_t count;  // processes
    uint64_t number; // of messages from each to each
};

static const struct mesh *mesh(void)
{
    return (const struct mesh *)(const void *)smoke_info->arguments;
}

static uint32_t inbox(uint64_t index)
{
    return HANDLE_FIRST_PASSED + (uint32_t)index;
}

static uint64_t word(uint64_t sender, uint64_t number, uint64_t index)
{
    return (sender << 56 | number) * 0x9e3779b97f4a7c15ull + index;
}

static _Atomic uint64_t send_failures;

static void sender(uint64_t argument)
{
    uint64_t message[WORDS];

    (void)argument;
    for (uint64_t number = 0; number < mesh()->number; number++) {
        message[0] = mesh()->index;
        message[1] = number;
        for (uint64_t i = 2; i < WORDS; i++) {
            message[i] = word(mesh()->index, number, i);
        }
        for (uint64_t i = 1; i <= mesh()->count; i++) {
            uint32_t to = inbox((mesh()->index + i) % mesh()->count);

            if (channel_send(to, message, sizeof(message)) != sizeof(message)) {
                atomic_fetch_add(&send_failures, 1);
            }
        }
    }
    (void)thread_exit();
}

// True when it is the next one of its sender, and whole.
static bool expected(const uint64_t *message, uint64_t *next)
{
    if (message[0] >= mesh()->count || message[1] != next[message[0]]++) {
        return false;
    }
    for (uint64_t i = 2; i < WORDS; i++) {
        if (message[i] != word(message[0], message[1], i)) {
            return false;
        }
    }
    return true;
}

int64_t role_mesh(void)
{
    uint32_t from = inbox(mesh()->index);
    uint64_t wanted = mesh()->count * mesh()->number;
    uint64_t next[SMP_CPUS] = {0};
    uint64_t message[WORDS];
    uint64_t received = 0;

    if (channel_bind(from, EVENT_MESSAGE) != STATUS_OK ||
        thread_create(sender, smp_stack_top(0), 0) < 0) {
        return 1;
    }
    while (received < wanted) {
        int64_t size = mesh()->index % 2 ? channel_exchange(from, from, message, 0, sizeof(message))
                                         : channel_receive(from, message, sizeof(message));

        if (size == -STATUS_EMPTY) {
            (void)event_wait(0);
        } else if (size != sizeof(message) || !expected(message, next)) {
            return 2;
        } else {
            received++;
        }
    }
    return atomic_load(&send_failures) == 0 ? MESH_DONE : 3;
}

// -- the parent's side ----------------------------------------------------------------------------

struct member {
    uint32_t container, process;
};

static void start_member(struct member *member, struct process_arguments *arguments, uint64_t index,
                         uint64_t number)
{
    struct mesh options = {"mesh", index, arguments->handle_count, number};

    member->container = (uint32_t)container_split(HANDLE_SELF_CONTAINER, MESH_PAGES, 0);
    arguments->container = member->container;
    arguments->cpu = THREAD_CPU(index * smp.cpus / arguments->handle_count);
    arguments->arguments = user_address(&options);
    arguments->argument_bytes = sizeof(options);
    int64_t process = process_create(arguments);
    expect("process", process > 0, 1);
    member->process = (uint32_t)process;
    expect("bind", process_bind(member->process, EVENT_ENDED), STATUS_OK);
}

static void finish_member(const struct member *member)
{
    struct process_status status = {0};
    uint64_t limit = tsc_now() + smoke_info->tsc_hz * 3600;

    do {
        expect("status", process_status_get(member->process, &status), STATUS_OK);
    } while (!status.ended && tsc_now() < limit && (event_wait(limit) || 1));
    expect("ended", status.ended, 1);
    expect("code", (int64_t)status.code, MESH_DONE);
    expect("destroy", process_destroy(member->process), STATUS_OK);
    expect("revoke", container_revoke(member->container), STATUS_OK);
}

void test_smp_messages(void)
{
    struct member members[HANDLES_PASSED_MAXIMUM];
    uint32_t count = smp.cpus < HANDLES_PASSED_MAXIMUM ? smp.cpus : HANDLES_PASSED_MAXIMUM;
    struct process_arguments arguments = {.module = smoke_module(), .handle_count = count};

    for (uint32_t i = 0; i < count; i++) {
        arguments.handles[i] = (uint32_t)channel_create();
    }
    for (uint32_t i = 0; i < count; i++) {
        start_member(&members[i], &arguments, i, smp.messages / count / count);
    }
    for (uint32_t i = 0; i < count; i++) {
        finish_member(&members[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        expect("close", handle_close(arguments.handles[i]), STATUS_OK);
    }
}
