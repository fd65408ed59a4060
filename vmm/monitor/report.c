// SPDX-License-Identifier: MIT
// Reports about a VM. Called by the run loop when the VM stops or the person asks.
#include "vmm/monitor/report.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/guest_walk.h"
#include "vmm/monitor/handlers.h"

#define CODE_BYTES 16u

static void report_exit(struct machine *machine)
{
    const struct vm_exit *exit = &machine->page->exit;

    machine_log(machine,
                "exit \"%s\": raw reason 0x%x, qualification 0x%llx, instruction length %u, words "
                "%llx %llx %llx %llx",
                exit_kind_name(exit->kind), exit->hardware_reason,
                (unsigned long long)exit->hardware_qualification, exit->instruction_length,
                (unsigned long long)exit->words[0], (unsigned long long)exit->words[1],
                (unsigned long long)exit->words[2], (unsigned long long)exit->words[3]);
}

static void report_general(struct machine *machine)
{
    static const char *const names[GPR_COUNT] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
    };
    const struct vcpu_page *page = machine->page;

    machine_log(machine, "rip %016llx rflags %08llx interruptibility %x event %08x:%x",
                (unsigned long long)page->rip, (unsigned long long)page->rflags,
                page->interruptibility, page->event.word, page->event.error_code);
    for (unsigned i = 0; i < GPR_COUNT; i += 4) {
        machine_log(machine, "%3s %016llx %3s %016llx %3s %016llx %3s %016llx", names[i],
                    (unsigned long long)page->gpr[i], names[i + 1],
                    (unsigned long long)page->gpr[i + 1], names[i + 2],
                    (unsigned long long)page->gpr[i + 2], names[i + 3],
                    (unsigned long long)page->gpr[i + 3]);
    }
}

static void report_system(struct machine *machine)
{
    static const char *const names[SEGMENT_COUNT] = {"es", "cs", "ss",   "ds",
                                                     "fs", "gs", "ldtr", "tr"};
    const struct vcpu_page *page = machine->page;

    machine_log(machine, "cr0 %08llx cr2 %016llx cr3 %llx cr4 %08llx efer %llx",
                (unsigned long long)page->cr0, (unsigned long long)page->cr2,
                (unsigned long long)page->cr3, (unsigned long long)page->cr4,
                (unsigned long long)page->efer);
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        const struct vcpu_segment *segment = &page->segment[i];

        machine_log(machine, "%4s %04x base %016llx limit %08x rights %05x", names[i],
                    segment->selector, (unsigned long long)segment->base, segment->limit,
                    segment->access_rights);
    }
    machine_log(machine, "gdtr base %016llx limit %04x idtr base %016llx limit %04x",
                (unsigned long long)page->gdtr.base, page->gdtr.limit,
                (unsigned long long)page->idtr.base, page->idtr.limit);
}

// The bytes at RIP as far as they can be read.
static void report_code(struct machine *machine)
{
    struct guest_paging paging = guest_paging_of(machine->page);
    char text[3 * CODE_BYTES + 1] = "";
    size_t used = 0;

    paging.user = false;
    for (unsigned i = 0; i < CODE_BYTES; i++) {
        uint64_t linear = machine->page->segment[SEGMENT_CS].base + machine->page->rip + i;
        struct emulate_fault fault;
        gpa_t address;
        uint8_t byte;

        if (guest_walk(machine->memory, &paging, gva(linear), EMULATE_READ, &address, &fault) !=
                STATUS_OK ||
            guest_memory_read(machine->memory, address, &byte, 1) != STATUS_OK) {
            break;
        }
        used += format_text(text + used, sizeof(text) - used, " %02x", byte);
    }
    machine_log(machine, "code at rip:%s", used > 0 ? text : " cannot be read");
}

void report_stop(struct machine *machine)
{
    report_exit(machine);
    report_general(machine);
    report_system(machine);
    report_code(machine);
}

struct text {
    char *buffer;
    size_t size;
    size_t used;
};

static void add_line(struct text *text, const char *name, unsigned long long value)
{
    size_t room = text->size - text->used;
    size_t length = format_text(text->buffer + text->used, room, "%-24s %llu\n", name, value);

    text->used += length < room ? length : 0; // a line that does not fit is left out whole
}

size_t report_statistics(const struct machine_counts *counts,
                         const struct vm_statistics *statistics, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};

    add_line(&text, "exits in kernel", statistics->exits_in_kernel);
    add_line(&text, "exits to monitor", statistics->exits_to_monitor);
    add_line(&text, "ticks in guest", statistics->guest_ticks);
    add_line(&text, "bytes granted", statistics->granted_bytes);
    add_line(&text, "msr accesses refused", counts->msr_refused);
    for (uint32_t kind = 0; kind < EXIT_KIND_COUNT; kind++) {
        if (counts->exits[kind] > 0) {
            char name[40];

            (void)format_text(name, sizeof(name), "exit %s", exit_kind_name(kind));
            add_line(&text, name, counts->exits[kind]);
        }
    }
    for (uint32_t reason = 0; reason < ARRAY_COUNT(statistics->kernel_by_reason); reason++) {
        if (statistics->kernel_by_reason[reason] > 0) {
            char name[40];

            (void)format_text(name, sizeof(name), "kernel, raw reason %u", reason);
            add_line(&text, name, statistics->kernel_by_reason[reason]);
        }
    }
    return text.used;
}
