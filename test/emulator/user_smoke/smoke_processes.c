// SPDX-License-Identifier: MIT
// Several processes: talking over channels, faulting, being killed, and giving everything back.
#include "smoke.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

#define EVENT_CHANNEL 1u
#define EVENT_ENDED   2u
#define CHILD_PAGES   400u

void child_start(struct child *child, const char *role, uint64_t pages)
{
    child->container = (uint32_t)container_split(HANDLE_SELF_CONTAINER, pages, 0);
    child->receive = (uint32_t)channel_create();
    child->send = (uint32_t)channel_create();
    struct process_arguments arguments = {
        .module = smoke_module(),
        .container = child->container,
        .handle_count = 2,
        .handles = {child->receive, child->send},
        .arguments = user_address(role),
        .argument_bytes = strlen(role) + 1,
    };
    int64_t process = process_create(&arguments);
    expect("process_create", process >= 0, 1);
    child->process = (uint32_t)process;
    expect("bind", process_bind(child->process, EVENT_ENDED), STATUS_OK);
}

void child_wait(const struct child *child, struct process_status *status)
{
    uint64_t limit = tsc_now() + smoke_info->tsc_hz * 30;

    do {
        expect("status", process_status_get(child->process, status), STATUS_OK);
    } while (!status->ended && tsc_now() < limit && (event_wait(limit) || 1));
    expect("ended", status->ended, 1);
}

void child_finish(struct child *child)
{
    struct container_info info = {0};

    expect("destroy", process_destroy(child->process), STATUS_OK);
    expect("close", handle_close(child->receive), STATUS_OK);
    expect("close", handle_close(child->send), STATUS_OK);
    expect("info", container_info_get(child->container, &info), STATUS_OK);
    if (info.children == 0) { // else what it split off counts; revoking shows that it is empty
        expect("pages the child left", (int64_t)info.used_pages, 0);
    }
    expect("revoke", container_revoke(child->container), STATUS_OK);
}

static void check_echo(void)
{
    static uint8_t message[4096];
    static const uint64_t sizes[] = {2, 100, 4096, 3000, 1};
    struct child child;
    struct process_status status;

    child_start(&child, "echo", CHILD_PAGES);
    expect("bind", channel_bind(child.receive, EVENT_CHANNEL), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
        int64_t count;

        memset(message, (int)i, sizeof(message));
        expect("send", channel_send(child.send, message, sizes[i]), (int64_t)sizes[i]);
        while ((count = channel_receive(child.receive, message, sizeof(message))) ==
               -STATUS_EMPTY) {
            (void)event_wait(0);
        }
        expect("echoed", count, (int64_t)sizes[i]);
        expect("first byte", message[0], i + 1);
        expect("last byte", message[sizes[i] - 1], i + 1);
    }
    child_wait(&child, &status);
    expect("exit code", (int64_t)status.code, 77);
    expect("faulted", status.faulted, 0);
    child_finish(&child);
}

static void check_code(const char *role, uint64_t pages, uint64_t code)
{
    struct child child;
    struct process_status status;

    child_start(&child, role, pages);
    child_wait(&child, &status);
    expect(role, (int64_t)status.code, (int64_t)code);
    expect("faulted", status.faulted, 0);
    child_finish(&child);
}

// Children that make random system calls; each has a seed of its own.
static void check_fuzz(uint64_t seed, uint64_t rounds)
{
    char role[40];

    for (uint64_t i = 0; i < rounds; i++) {
        (void)format_text(role, sizeof(role), "fuzz %lu", seed + i);
        check_code(role, 2000, 4);
    }
}

void test_fuzz(void)
{
    const char *words = smoke_words() + sizeof("fuzz"); // behind the word and its blank
    const char *rounds = words;

    while (*rounds != ' ' && *rounds != 0) {
        rounds++;
    }
    check_fuzz(smoke_number(words), smoke_number(rounds + (*rounds == ' ')));
}

// `other`: the vector that a processor without SYSENTER in 64-bit mode gives.
static void check_fault(const char *role, uint64_t vector, uint64_t other)
{
    struct child child;
    struct process_status status;

    child_start(&child, role, CHILD_PAGES);
    child_wait(&child, &status);
    expect(role, (int64_t)(status.vector == other ? vector : status.vector), (int64_t)vector);
    expect("faulted", status.faulted, 1);
    if (vector == 14 && strcmp(role, "null") == 0) {
        expect("address", (int64_t)status.fault_address, 0x18);
    }
    child_finish(&child);
}

// A child that would run or sleep for ever is killed by its handle.
static void check_kill(const char *role)
{
    struct child child;
    struct process_status status;

    child_start(&child, role, CHILD_PAGES);
    (void)event_wait(tsc_now() + smoke_info->tsc_hz / 100);
    expect("status", process_status_get(child.process, &status), STATUS_OK);
    expect(role, status.ended, 0);
    child_finish(&child);
}

// Revoking a container ends what lives in it.
static void check_revoke(void)
{
    struct child child;
    struct process_status status;

    child_start(&child, "spin", CHILD_PAGES);
    (void)event_wait(tsc_now() + smoke_info->tsc_hz / 100);
    expect("revoke", container_revoke(child.container), STATUS_OK);
    expect("status", process_status_get(child.process, &status), STATUS_OK);
    expect("ended", status.ended, 1);
    expect("close", handle_close(child.process), STATUS_OK);
    expect("close", handle_close(child.receive), STATUS_OK);
    expect("close", handle_close(child.send), STATUS_OK);
}

static void check_refused_creation(void)
{
    struct container_info info;
    int64_t container = container_split(HANDLE_SELF_CONTAINER, 30, 0);
    struct process_arguments arguments = {.module = smoke_module(),
                                          .container = (uint32_t)container};

    expect("quota too small", process_create(&arguments), -STATUS_QUOTA);
    expect("info", container_info_get((uint32_t)container, &info), STATUS_OK);
    expect("nothing left behind", (int64_t)info.used_pages, 0);
    arguments.container = HANDLE_SELF_CONTAINER;
    arguments.priority = 2;
    expect("priority", process_create(&arguments), -STATUS_INVALID);
    arguments.priority = 0;
    arguments.handle_count = 25;
    expect("handles", process_create(&arguments), -STATUS_INVALID);
    arguments.handle_count = 1;
    arguments.handles[0] = 120;
    expect("no such handle", process_create(&arguments), -STATUS_NOT_FOUND);
    arguments.handles[0] = HANDLE_SELF_PROCESS;
    expect("not to be passed", process_create(&arguments), -STATUS_DENIED);
    arguments.handle_count = 0;
    arguments.module = HANDLE_SELF_PROCESS;
    expect("no module", process_create(&arguments), -STATUS_DENIED);
    arguments.argument_bytes = PROCESS_ARGUMENTS_MAXIMUM + 1;
    expect("long arguments", process_create(&arguments), -STATUS_INVALID);
    expect("bad pointer", process_create((void *)0xffff800000000000ull), -STATUS_FAULT);
    expect("revoke", container_revoke((uint32_t)container), STATUS_OK);
}

// Two children with FPU values of their own at the same time.
static void check_fpu(void)
{
    struct child first;
    struct child second;
    struct process_status status;

    child_start(&first, "fpu", CHILD_PAGES);
    child_start(&second, "fpu", CHILD_PAGES);
    child_wait(&first, &status);
    expect("first's register", (int64_t)status.code, 3);
    child_wait(&second, &status);
    expect("second's register", (int64_t)status.code, 3);
    child_finish(&first);
    child_finish(&second);
}

void test_processes(void)
{
    static const char *const page_faults[] = {"null", "write-text", "run-data", "kernel"};
    static const char *const protections[] = {"cli", "port"};

    check_echo();
    for (unsigned i = 0; i < ARRAY_COUNT(page_faults); i++) {
        check_fault(page_faults[i], 14, 14);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(protections); i++) {
        check_fault(protections[i], 13, 13);
    }
    check_fault("bad-return", 13, 6);
    check_fault("syscall", 6, 6);
    check_fault("divide", 0, 0);
    check_kill("spin");
    check_kill("sleep");
    check_kill("send");
    check_revoke();
    check_code("threads", CHILD_PAGES, 9);
    check_code("quit", CHILD_PAGES, 0);
    check_code("fill", 3000, 5);
    check_code("powers", CHILD_PAGES, 8);
    check_refused_creation();
    check_fuzz(1, 3);
    check_fpu();
}
