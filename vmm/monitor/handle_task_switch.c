// SPDX-License-Identifier: MIT
// Hardware task switches, which VMX leaves to the hypervisor: the manual's chapter "Task
// Management", sections "Task Switching" and "Task Linking", and "Treatment of Task Switches". What
// the processor checks before the exit is checked again, since other processors share the tables.
//
// Up to `commit` nothing has changed and faults belong to the old task; from there on they belong
// to the new one, whose registers are loaded already.
#include "vmm/monitor/handlers.h"

#include "kernel/lib/processor.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/task.h"

#define TSS_BUSY_MINIMUM_32 0x67u
#define TSS_BUSY_MINIMUM_16 0x2bu

enum task_source { SOURCE_CALL, SOURCE_IRET, SOURCE_JUMP, SOURCE_GATE };

// True for what the guest did not ask for: error codes of faults on the way then have EXT set.
static bool is_external(const struct vcpu_event *event)
{
    uint32_t type = event->word & VCPU_EVENT_TYPE_MASK;

    return (event->word & VCPU_EVENT_VALID) != 0 &&
           (type == VCPU_EVENT_EXTERNAL || type == VCPU_EVENT_NMI || type == VCPU_EVENT_EXCEPTION);
}

// Instructions are complete in the old task, RIP then being past them; other events come before.
static void begin(struct task_switch *task, struct machine *machine)
{
    struct vcpu_page *page = machine->page;

    *task = (struct task_switch){.source = page->exit.task.source, .event = page->event};
    system_access_begin(&task->access, machine, true);
    task->external = is_external(&task->event);
    task->next_rip = page->rip + (task->external ? 0 : page->exit.instruction_length);
    task->old_is_32 = (page->segment[SEGMENT_TR].access_rights & 8) != 0;
}

// The new TSS by its selector.
static bool find_new(struct task_switch *task, uint16_t selector)
{
    unsigned vector = task->source == SOURCE_IRET ? VECTOR_TASK : VECTOR_PROTECTION;
    uint32_t type, rights;

    if (!system_descriptor(&task->access, selector, true, false, vector, &task->descriptor)) {
        return false;
    }
    rights = task->descriptor.segment.access_rights;
    type = rights & (RIGHTS_CODE_DATA | RIGHTS_TYPE);
    task->is_32 = (type & 8) != 0;
    if ((type & ~(8u | SYSTEM_BUSY)) != SYSTEM_TSS_16 ||
        ((type & SYSTEM_BUSY) != 0) != (task->source == SOURCE_IRET)) {
        return task_fault(task, vector, selector);
    }
    if ((rights & RIGHTS_PRESENT) == 0) {
        return task_fault(task, VECTOR_NOT_PRESENT, selector);
    }
    if (task->descriptor.segment.limit <
        (task->is_32 ? TSS_BUSY_MINIMUM_32 : TSS_BUSY_MINIMUM_16)) {
        return task_fault(task, VECTOR_TASK, selector);
    }
    return true;
}

// The busy bits and the link, after everything that can refuse the switch in the old task.
static bool link_tasks(struct task_switch *task)
{
    struct vcpu_page *page = task->access.machine->page;
    struct vcpu_segment *old = &page->segment[SEGMENT_TR];
    bool leaves = task->source == SOURCE_IRET || task->source == SOURCE_JUMP;
    struct descriptor descriptor;

    if (leaves) {
        if (!system_descriptor(&task->access, old->selector, true, false, VECTOR_TASK,
                               &descriptor) ||
            !system_set_type(&task->access, &descriptor, 0, SYSTEM_BUSY)) {
            return false;
        }
    } else if (!system_write(&task->access, task->descriptor.segment.base, 2, old->selector)) {
        return false;
    }
    return task->source == SOURCE_IRET ||
           system_set_type(&task->access, &task->descriptor, SYSTEM_BUSY, 0);
}

// "Task Switching", steps 1 to 10: what happens in the old task, and the new task's register.
static bool leave_old_task(struct task_switch *task)
{
    struct vcpu_page *page = task->access.machine->page;

    task->old_flags = page->rflags & ~(task->source == SOURCE_IRET ? RFLAGS_NT : 0);
    if (!task_save_old(task) || !link_tasks(task)) {
        return false;
    }
    if (task->source == SOURCE_IRET) {
        page->interruptibility &= ~VCPU_BLOCKED_BY_NMI;
    }
    if (task->source == SOURCE_CALL || task->source == SOURCE_GATE) {
        task->state.flags |= RFLAGS_NT;
    }
    page->segment[SEGMENT_TR] = task->descriptor.segment;
    page->segment[SEGMENT_TR].access_rights |= SYSTEM_BUSY;
    return true;
}

// Registers that a task switch changes besides those in the TSS.
static void change_the_rest(struct vcpu_page *page, const struct task_switch *task)
{
    page->cr0 |= CR0_TS;
    page->dr7 &= ~DR7_LOCAL;
    page->interruptibility &= ~(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS);
    if ((task->event.word & VCPU_EVENT_VALID) != 0 &&
        (task->event.word & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_NMI) {
        page->interruptibility |= VCPU_BLOCKED_BY_NMI;
    }
    page->dirty |= SYSTEM_GROUPS | VCPU_GROUP_DEBUG;
}

// What comes after the new task's registers: the error code on its stack, and its debug trap.
static enum outcome enter_new_task(struct task_switch *task)
{
    struct machine *machine = task->access.machine;

    if (!task_load_segments(task)) {
        return system_access_end(&task->access);
    }
    if ((task->event.word & VCPU_EVENT_ERROR_CODE) != 0 && !task_push_error_code(task)) {
        return system_access_end(&task->access);
    }
    if (task->state.trap) {
        machine->page->dr6 |= DR6_BT;
        event_raise(machine, VECTOR_DEBUG);
    }
    return OUTCOME_RESUME;
}

enum outcome handle_task_switch(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    struct task_switch task;

    if (!machine_has(machine, SYSTEM_GROUPS | VCPU_GROUP_DEBUG)) {
        return OUTCOME_FETCH;
    }
    begin(&task, machine);
    page->event.word = 0; // the new task is its delivery
    if (!find_new(&task, page->exit.task.selector) || !task_read_new(&task) ||
        !leave_old_task(&task)) {
        return system_access_end(&task.access);
    }
    task_load_registers(&task);
    change_the_rest(page, &task);
    return enter_new_task(&task);
}
