// SPDX-License-Identifier: MIT
// The report about a guest that died or makes no progress. Called by the run loop. Reads guest
// memory as it is and changes nothing. See post_mortem.h.
#include "vmm/monitor/post_mortem.h"

#include "kernel/lib/format.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/guest_walk.h"
#include "vmm/monitor/handlers.h"

#define CODE_BYTES 32u
#define NAME_BYTES 32u

static unsigned long long wide(uint64_t value)
{
    return value;
}

// -- exits and exceptions ---------------------------------------------------------------------

static void describe_step(const struct exit_step *step, char *text, size_t size)
{
    struct vm_exit exit = {.kind = (uint32_t)step->kind};

    exit.words[0] = step->word;
    text[0] = '\0';
    switch (step->kind) {
    case EXIT_PIO:
        (void)format_text(text, size, ": %s port 0x%x, %u bytes", exit.pio.in ? "in" : "out",
                          exit.pio.port, exit.pio.size);
        break;
    case EXIT_MEMORY:
        (void)format_text(text, size, ": gpa 0x%llx", wide(exit.memory.gpa));
        break;
    case EXIT_CR:
        (void)format_text(text, size, ": cr%u", exit.cr.number);
        break;
    case EXIT_DR:
        (void)format_text(text, size, ": dr%u", exit.dr.number);
        break;
    case EXIT_EXCEPTION: {
        char name[NAME_BYTES];

        exception_name(exit.exception.word, exit.exception.error_code, name, sizeof(name));
        (void)format_text(text, size, ": %s", name);
        break;
    }
    default:
        break;
    }
}

static void report_trail(struct machine *machine, const struct exit_trail *trail)
{
    const struct exit_step *step = trail->at;

    machine_log(machine, "| last exits that reached the monitor, oldest first:");
    for (unsigned i = 0; i < EXIT_TRAIL; i++, step = step->next) {
        char text[64];

        if (step->kind != EXIT_NONE) {
            describe_step(step, text, sizeof(text));
            machine_log(machine, "|   rip 0x%016llx %s%s", wide(step->rip),
                        exit_kind_name((uint32_t)step->kind), text);
        }
    }
}

static void report_exception(struct machine *machine, const struct exception_note *note)
{
    static const char *const results[] = {
        [EXCEPTION_DELIVERED] = "",
        [EXCEPTION_DOUBLE_FAULT] = ", together a double fault",
        [EXCEPTION_SHUTDOWN] = ", which is the triple fault",
        [EXCEPTION_RAISED] = ", raised by the monitor",
    };
    char name[NAME_BYTES], first[NAME_BYTES] = "", address[40] = "";

    exception_name(note->word, note->error_code, name, sizeof(name));
    if (note->during & VCPU_EVENT_VALID) {
        exception_name(note->during & ~VCPU_EVENT_ERROR_CODE, 0, first, sizeof(first));
    }
    if ((note->word & 0xff) == VECTOR_PAGE) {
        (void)format_text(address, sizeof(address), " address 0x%016llx", wide(note->address));
    }
    machine_log(machine, "|   rip 0x%016llx %s%s%s%s%s", wide(note->rip), name, address,
                first[0] ? " during the delivery of " : "", first, results[note->result]);
}

static void report_exceptions(struct machine *machine)
{
    const struct exception_trail *trail = &machine->exceptions;
    uint64_t first = trail->total > EXCEPTION_TRAIL ? trail->total - EXCEPTION_TRAIL : 0;

    if (machine->page->exception_bitmap == 0) {
        machine_log(machine, "| exceptions: those the guest raised by itself are seen with "
                             "--debug-exceptions only");
    }
    if (trail->total > 0) {
        machine_log(machine, "| last exceptions of %llu, oldest first:", wide(trail->total));
    }
    for (uint64_t i = first; i < trail->total; i++) {
        report_exception(machine, &trail->note[i % EXCEPTION_TRAIL]);
    }
}

// -- registers --------------------------------------------------------------------------------

static void report_exit(struct machine *machine)
{
    const struct vm_exit *exit = &machine->page->exit;

    machine_log(
        machine,
        "| exit \"%s\": raw reason 0x%x, qualification 0x%llx, instruction length %u, words "
        "%llx %llx %llx %llx",
        exit_kind_name(exit->kind), exit->hardware_reason, wide(exit->hardware_qualification),
        exit->instruction_length, wide(exit->words[0]), wide(exit->words[1]), wide(exit->words[2]),
        wide(exit->words[3]));
}

static void report_general(struct machine *machine)
{
    static const char *const names[GPR_COUNT] = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
    };
    const struct vcpu_page *page = machine->page;

    machine_log(machine, "| rip 0x%016llx rflags %08llx interruptibility %x event %08x:%x",
                wide(page->rip), wide(page->rflags), page->interruptibility, page->event.word,
                page->event.error_code);
    for (unsigned i = 0; i < GPR_COUNT; i += 4) {
        machine_log(machine, "| %3s %016llx %3s %016llx %3s %016llx %3s %016llx", names[i],
                    wide(page->gpr[i]), names[i + 1], wide(page->gpr[i + 1]), names[i + 2],
                    wide(page->gpr[i + 2]), names[i + 3], wide(page->gpr[i + 3]));
    }
}

static void report_system(struct machine *machine)
{
    static const char *const names[SEGMENT_COUNT] = {"es", "cs", "ss",   "ds",
                                                     "fs", "gs", "ldtr", "tr"};
    const struct vcpu_page *page = machine->page;

    machine_log(machine, "| cr0 %08llx cr2 %016llx cr3 %llx cr4 %08llx efer %llx xcr0 %llx",
                wide(page->cr0), wide(page->cr2), wide(page->cr3), wide(page->cr4),
                wide(page->efer), wide(page->xcr0));
    machine_log(machine, "| dr6 %llx dr7 %llx", wide(page->dr6), wide(page->dr7));
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        const struct vcpu_segment *segment = &page->segment[i];

        machine_log(machine, "| %4s %04x base %016llx limit %08x rights %05x%s", names[i],
                    segment->selector, wide(segment->base), segment->limit, segment->access_rights,
                    segment->access_rights & SEGMENT_UNUSABLE ? " unusable" : "");
    }
    machine_log(machine, "| gdtr base %016llx limit %04x idtr base %016llx limit %04x",
                wide(page->gdtr.base), page->gdtr.limit, wide(page->idtr.base), page->idtr.limit);
}

// -- memory -----------------------------------------------------------------------------------

static void report_entry(struct machine *machine, const struct guest_walk_view *view, uint32_t i)
{
    static const struct {
        const char *name;
        uint64_t bit;
    } bits[] = {{" present", 1u << 0},  {" writable", 1u << 1},     {" user", 1u << 2},
                {" accessed", 1u << 5}, {" dirty", 1u << 6},        {" large", 1u << 7},
                {" global", 1u << 8},   {" no-execute", 1ull << 63}};
    char text[80] = "";
    size_t used = 0;

    for (unsigned k = 0; k < ARRAY_COUNT(bits); k++) {
        if (view->entry[i] & bits[k].bit) {
            used += format_text(text + used, sizeof(text) - used, "%s", bits[k].name);
        }
    }
    machine_log(machine, "|   level %u entry at 0x%llx: 0x%016llx%s", view->level[i],
                wide(view->place[i]), wide(view->entry[i]), text);
}

static void report_walk(struct machine *machine, const char *what, uint64_t address)
{
    static const char *const ends[] = {
        [WALK_NOT_PRESENT] = "not present",
        [WALK_RESERVED] = "reserved bits are set",
        [WALK_OUTSIDE] = "outside of RAM",
        [WALK_UNSUPPORTED] = "5-level paging is not followed",
    };
    struct guest_paging paging = guest_paging_of(machine->page);
    struct guest_walk_view view;

    guest_walk_show(machine->memory, &paging, gva(address), &view);
    machine_log(machine, "| page walk of %s 0x%016llx:", what, wide(address));
    for (uint32_t i = 0; i < view.count; i++) {
        report_entry(machine, &view, i);
    }
    if (view.end == WALK_MAPPED) {
        machine_log(machine, "|   guest-physical 0x%llx, page of %llu KiB", wide(view.result.value),
                    1ull << (view.page_shift - 10));
    } else if (view.end == WALK_NO_PAGING) {
        machine_log(machine, "|   paging is off: guest-physical 0x%llx", wide(view.result.value));
    } else {
        machine_log(machine, "|   %s", ends[view.end]);
    }
}

// The linear address that the last page fault or memory exit was about; false: there is none.
static bool fault_address(const struct machine *machine, uint64_t *address)
{
    const struct exception_trail *trail = &machine->exceptions;
    const struct vm_exit *exit = &machine->page->exit;
    uint64_t oldest = trail->total > EXCEPTION_TRAIL ? trail->total - EXCEPTION_TRAIL : 0;

    if (exit->kind == EXIT_MEMORY && exit->memory.gva_valid) {
        *address = exit->memory.gva;
        return true;
    }
    for (uint64_t i = trail->total; i > oldest; i--) {
        const struct exception_note *note = &trail->note[(i - 1) % EXCEPTION_TRAIL];

        if ((note->word & 0xff) == VECTOR_PAGE) {
            *address = note->address;
            return true;
        }
    }
    *address = machine->page->cr2;
    return machine->page->cr2 != 0;
}

// The bytes at RIP as far as they can be read.
static void report_code(struct machine *machine)
{
    struct guest_paging paging = guest_paging_of(machine->page);
    uint64_t start = machine->page->segment[SEGMENT_CS].base + machine->page->rip;
    char text[3 * CODE_BYTES + 1] = "";
    size_t used = 0;

    for (unsigned i = 0; i < CODE_BYTES; i++) {
        struct guest_walk_view view;
        uint8_t byte;

        guest_walk_show(machine->memory, &paging, gva(start + i), &view);
        if ((view.end != WALK_MAPPED && view.end != WALK_NO_PAGING) ||
            guest_memory_read(machine->memory, view.result, &byte, 1) != STATUS_OK) {
            break;
        }
        used += format_text(text + used, sizeof(text) - used, " %02x", byte);
    }
    machine_log(machine, "| code at 0x%016llx, %u-bit:%s", wide(machine->page->rip),
                emulate_mode(machine->page), used > 0 ? text : " cannot be read");
}

void post_mortem(struct machine *machine, const struct exit_trail *trail, uint32_t vcpu,
                 const char *title)
{
    uint64_t rip = machine->page->segment[SEGMENT_CS].base + machine->page->rip;
    uint64_t address;

    machine_log(machine, "| ---- %s: vCPU %u ----", title, vcpu);
    report_exit(machine);
    report_trail(machine, trail);
    report_exceptions(machine);
    report_general(machine);
    report_system(machine);
    report_walk(machine, "rip", rip);
    if (fault_address(machine, &address)) {
        report_walk(machine, "fault address", address);
    }
    report_code(machine);
    machine_log(machine, "| ---- end ----");
}
