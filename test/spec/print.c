// SPDX-License-Identifier: MIT
// States and differences in words (print.h). One list of fields serves both.
#include "test/spec/print.h"
#include <inttypes.h>
#include <string.h>

enum kind { CPU, THREAD, LOCK, CHANNEL, CONTAINER, MACHINE };

static const char *const kind_words[] = {"cpu",     "thread",    "lock",
                                         "channel", "container", "machine"};

// One field of the state: what it is of, its name, its value as a number, and how to print that.
struct field {
    enum kind kind;
    uint32_t index;
    const char *name;
    uint64_t value;
    const char *const *words; // null: a number
};

typedef void field_function(void *context, const struct field *field);

static const char *const state_words[] = {"unused", "ready", "running", "sleeping", "dead"};
static const char *const flag_words[] = {"no", "yes"};

static void one(field_function *call, void *context, enum kind kind, uint32_t index,
                const char *name, uint64_t value, const char *const *words)
{
    const struct field field = {kind, index, name, value, words};

    call(context, &field);
}

static void cpu_fields(const struct spec_cpu *cpu, uint32_t i, field_function *call, void *context)
{
    one(call, context, CPU, i, "online", cpu->online, flag_words);
    one(call, context, CPU, i, "interrupts", cpu->interrupts, flag_words);
    one(call, context, CPU, i, "init", cpu->mode.init, flag_words);
    one(call, context, CPU, i, "ikern", cpu->mode.ikern, flag_words);
    one(call, context, CPU, i, "ihost", cpu->mode.ihost, flag_words);
    one(call, context, CPU, i, "pg", cpu->mode.pg, flag_words);
    one(call, context, CPU, i, "ipt", cpu->mode.ipt, flag_words);
    one(call, context, CPU, i, "page table", cpu->page_table, NULL);
    one(call, context, CPU, i, "thread", cpu->current, NULL);
    one(call, context, CPU, i, "waits for lock", cpu->waits_for, NULL);
    one(call, context, CPU, i, "ticket", cpu->ticket, NULL);
    one(call, context, CPU, i, "locks held", cpu->held_count, NULL);
    for (uint32_t k = 0; k < SPEC_LOCK_DEPTH; k++) {
        one(call, context, CPU, i, "holds lock", k < cpu->held_count ? cpu->held[k] : SPEC_NONE,
            NULL);
    }
    one(call, context, CPU, i, "fault address", cpu->fault_address, NULL);
    one(call, context, CPU, i, "return address", cpu->return_address, NULL);
}

static void thread_fields(const struct spec_thread *thread, uint32_t i, field_function *call,
                          void *context)
{
    one(call, context, THREAD, i, "state", thread->state, state_words);
    one(call, context, THREAD, i, "cpu", thread->cpu, NULL);
    one(call, context, THREAD, i, "priority", thread->priority, NULL);
    one(call, context, THREAD, i, "process", thread->process, NULL);
    one(call, context, THREAD, i, "container", thread->container, NULL);
    one(call, context, THREAD, i, "killed", thread->killed, flag_words);
    one(call, context, THREAD, i, "chosen", thread->chosen, flag_words);
    one(call, context, THREAD, i, "in the message queue", thread->queued, flag_words);
    one(call, context, THREAD, i, "events", thread->events, NULL);
    one(call, context, THREAD, i, "waits on condition", thread->condition, NULL);
    one(call, context, THREAD, i, "turn", thread->turn, NULL);
    one(call, context, THREAD, i, "deadline", thread->deadline, NULL);
    one(call, context, THREAD, i, "kernel stack from", thread->stack_low, NULL);
    one(call, context, THREAD, i, "kernel stack to", thread->stack_high, NULL);
    one(call, context, THREAD, i, "registers set", thread->registers_set, NULL);
    for (uint32_t k = 0; k < SPEC_REGISTERS; k++) {
        static const char *const names[SPEC_REGISTERS] = {
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
            "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"};

        one(call, context, THREAD, i, names[k], thread->registers[k], NULL);
    }
}

static void other_fields(const struct spec_machine *machine, field_function *call, void *context)
{
    one(call, context, MACHINE, 0, "clock", machine->clock, NULL);
    one(call, context, MACHINE, 0, "cpus", machine->cpu_count, NULL);
    for (uint32_t i = 0; i < SPEC_LOCKS; i++) {
        one(call, context, LOCK, i, "exists", machine->locks[i].exists, flag_words);
        one(call, context, LOCK, i, "rank", machine->locks[i].rank, NULL);
        one(call, context, LOCK, i, "holder", machine->locks[i].holder, NULL);
    }
    for (uint32_t i = 0; i < SPEC_CHANNELS; i++) {
        one(call, context, CHANNEL, i, "exists", machine->channels[i].exists, flag_words);
        one(call, context, CHANNEL, i, "container", machine->channels[i].container, NULL);
        one(call, context, CHANNEL, i, "busy", machine->channels[i].busy, NULL);
        one(call, context, CHANNEL, i, "count", machine->channels[i].count, NULL);
    }
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        const struct spec_container *slot = &machine->containers.slots[i];

        one(call, context, CONTAINER, i, "used", slot->used, flag_words);
        one(call, context, CONTAINER, i, "parent", slot->parent, NULL);
        one(call, context, CONTAINER, i, "quota", slot->quota, NULL);
        one(call, context, CONTAINER, i, "usage", slot->usage, NULL);
        one(call, context, CONTAINER, i, "generation", slot->generation, NULL);
    }
}

// All fields, in an order that depends on nothing.
static void all_fields(const struct spec_machine *machine, field_function *call, void *context)
{
    for (uint32_t i = 0; i < SPEC_CPUS; i++) {
        cpu_fields(&machine->cpus[i], i, call, context);
    }
    for (uint32_t i = 0; i < SPEC_THREADS; i++) {
        thread_fields(&machine->threads[i], i, call, context);
    }
    other_fields(machine, call, context);
}

static void print_value(FILE *out, const struct field *field)
{
    if (field->words != NULL) {
        fputs(field->words[field->value], out);
    } else if (field->value == SPEC_NONE || field->value == UINT64_MAX) {
        fputs("none", out);
    } else if (field->value < 1u << 20) {
        fprintf(out, "%" PRIu64, field->value);
    } else {
        fprintf(out, "0x%" PRIx64, field->value);
    }
}

// -- what there is ------------------------------------------------------------------------------

struct printer {
    FILE *out;
    const struct spec_machine *machine;
    bool in_line; // of this kind and index
    enum kind kind;
    uint32_t index;
};

static bool is_there(const struct spec_machine *machine, enum kind kind, uint32_t index)
{
    switch (kind) {
    case CPU:
        return machine->cpus[index].online;
    case THREAD:
        return machine->threads[index].state != SPEC_UNUSED;
    case LOCK:
        return machine->locks[index].exists && machine->locks[index].holder != SPEC_NONE;
    case CHANNEL:
        return machine->channels[index].exists;
    case CONTAINER:
        return machine->containers.slots[index].used;
    case MACHINE:
        break;
    }
    return true;
}

// Fields that are as usual would only hide the others.
static bool is_usual(const struct field *field)
{
    return field->value == 0 || field->value == SPEC_NONE || field->value == UINT64_MAX;
}

static void print_field(void *context, const struct field *field)
{
    struct printer *printer = context;

    if (!is_there(printer->machine, field->kind, field->index)) {
        return;
    }
    if (!printer->in_line || printer->kind != field->kind || printer->index != field->index) {
        fprintf(printer->out, "%s%s %u:", printer->in_line ? "\n" : "", kind_words[field->kind],
                field->index);
        printer->in_line = true;
        printer->kind = field->kind;
        printer->index = field->index;
    }
    if (!is_usual(field)) {
        fprintf(printer->out, " %s ", field->name);
        print_value(printer->out, field);
        fputc(';', printer->out);
    }
}

void spec_machine_print(FILE *out, const struct spec_machine *machine)
{
    struct printer printer = {.out = out, .machine = machine};

    all_fields(machine, print_field, &printer);
    fputc('\n', out);
}

// -- what differs -------------------------------------------------------------------------------

#define FIELD_MAXIMUM (SPEC_CPUS * 32u + SPEC_THREADS * 40u + 8000u)

struct values {
    uint32_t count;
    uint64_t value[FIELD_MAXIMUM];
};

struct comparison {
    FILE *out;
    const struct values *before;
    uint32_t at;
    unsigned differences;
};

static void keep_value(void *context, const struct field *field)
{
    struct values *values = context;

    values->value[values->count++] = field->value;
}

static void compare_field(void *context, const struct field *field)
{
    struct comparison *comparison = context;
    struct field before = *field;

    before.value = comparison->before->value[comparison->at++];
    if (before.value == field->value) {
        return;
    }
    comparison->differences++;
    fprintf(comparison->out, "%s %u %s: ", kind_words[field->kind], field->index, field->name);
    print_value(comparison->out, &before);
    fputs(" -> ", comparison->out);
    print_value(comparison->out, field);
    fputc('\n', comparison->out);
}

unsigned spec_machine_difference(FILE *out, const struct spec_machine *before,
                                 const struct spec_machine *after)
{
    static struct values values;
    struct comparison comparison = {out, &values, 0, 0};

    values.count = 0;
    all_fields(before, keep_value, &values);
    all_fields(after, compare_field, &comparison);
    return comparison.differences;
}

void spec_rule_print(FILE *out, enum spec_rule rule)
{
    const struct spec_rule_words *words = spec_rule_words(rule);
    const char *answer = words->status == SPEC_PANIC ? "it stops" : status_name(words->status);

    fprintf(out, "%s: %s (kernel: %s)", words->primitive, words->text, answer);
}
