// SPDX-License-Identifier: MIT
// See task.h. The checks of segments are those of the manual's table "Exception Conditions Checked
// During a Task Switch".
#include "vmm/monitor/task.h"

#include "kernel/lib/processor.h"
#include "vmm/monitor/event.h"

#define RFLAGS_16       0xffffu
#define RFLAGS_WRITABLE 0x3f7fd7u

#define TYPE_ACCESSED   1u
#define TYPE_WRITABLE   2u // of code: readable
#define TYPE_CONFORMING 4u
#define TYPE_CODE       8u

// Offsets in the two formats.
#define TSS32_CR3      0x1cu
#define TSS32_EIP      0x20u
#define TSS32_EFLAGS   0x24u
#define TSS32_GPR      0x28u
#define TSS32_SEGMENTS 0x48u
#define TSS32_LDT      0x60u
#define TSS32_TRAP     0x64u
#define TSS16_IP       0x0eu
#define TSS16_FLAGS    0x10u
#define TSS16_GPR      0x12u
#define TSS16_SEGMENTS 0x22u
#define TSS16_LDT      0x2au

#define RIGHTS_OF_VIRTUAL_8086 0xf3u
#define RIGHTS_STACK_OF(level) (SEGMENT_UNUSABLE | (level) << 5)

bool task_fault(struct task_switch *task, unsigned vector, uint16_t selector)
{
    return system_fault(&task->access, vector, (selector & ~3u) | task->external);
}

// -- task-state segments ------------------------------------------------------------------------

// Reads `count` fields of `size` bytes, `stride` apart.
static bool read_fields(struct task_switch *task, uint32_t offset, uint32_t size, uint32_t stride,
                        uint32_t *fields, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t value;

        if (!system_read(&task->access,
                         task->descriptor.segment.base + offset + (uint64_t)i * stride, size,
                         &value)) {
            return false;
        }
        fields[i] = (uint32_t)value;
    }
    return true;
}

static bool read_32(struct task_switch *task, uint32_t *selectors)
{
    struct task_state *state = &task->state;
    uint32_t ldt, trap;

    if (!read_fields(task, TSS32_CR3, 4, 4, &state->cr3, 1) ||
        !read_fields(task, TSS32_EIP, 4, 4, &state->ip, 1) ||
        !read_fields(task, TSS32_EFLAGS, 4, 4, &state->flags, 1) ||
        !read_fields(task, TSS32_GPR, 4, 4, state->gpr, 8) ||
        !read_fields(task, TSS32_SEGMENTS, 2, 4, selectors, TASK_SEGMENTS) ||
        !read_fields(task, TSS32_LDT, 2, 2, &ldt, 1) ||
        !read_fields(task, TSS32_TRAP, 2, 2, &trap, 1)) {
        return false;
    }
    state->ldt = (uint16_t)ldt;
    state->trap = (trap & 1) != 0;
    return true;
}

// FS and GS, which the 16-bit format lacks, become null.
static bool read_16(struct task_switch *task, uint32_t *selectors)
{
    struct task_state *state = &task->state;
    uint32_t ldt;

    if (!read_fields(task, TSS16_IP, 2, 2, &state->ip, 1) ||
        !read_fields(task, TSS16_FLAGS, 2, 2, &state->flags, 1) ||
        !read_fields(task, TSS16_GPR, 2, 2, state->gpr, 8) ||
        !read_fields(task, TSS16_SEGMENTS, 2, 2, selectors, 4) ||
        !read_fields(task, TSS16_LDT, 2, 2, &ldt, 1)) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        state->gpr[i] |= 0xffff0000u; // as processors do
    }
    state->ldt = (uint16_t)ldt;
    return true;
}

bool task_read_new(struct task_switch *task)
{
    uint32_t selectors[TASK_SEGMENTS] = {0};

    if (!(task->is_32 ? read_32(task, selectors) : read_16(task, selectors))) {
        return false;
    }
    for (unsigned i = 0; i < TASK_SEGMENTS; i++) {
        task->state.selector[i] = (uint16_t)selectors[i];
    }
    return true;
}

bool task_save_old(struct task_switch *task)
{
    struct vcpu_page *page = task->access.machine->page;
    uint64_t base = page->segment[SEGMENT_TR].base;
    uint32_t size = task->old_is_32 ? 4 : 2;
    uint32_t ip = task->old_is_32 ? TSS32_EIP : TSS16_IP;
    uint32_t segments = task->old_is_32 ? TSS32_SEGMENTS : TSS16_SEGMENTS;
    unsigned segment_count = task->old_is_32 ? TASK_SEGMENTS : 4;
    bool done = system_probe(&task->access, base + ip, 2) &&
                system_probe(&task->access, base + segments, 2 * size) &&
                system_write(&task->access, base + ip, size, task->next_rip) &&
                system_write(&task->access, base + ip + size, size, task->old_flags);

    for (unsigned i = 0; done && i < 8; i++) {
        done = system_write(&task->access, base + ip + (2ull + i) * size, size, page->gpr[i]);
    }
    for (unsigned i = 0; done && i < segment_count; i++) {
        done = system_write(&task->access, base + segments + (uint64_t)i * size, 2,
                            page->segment[i].selector);
    }
    return done;
}

// -- the new task's registers -----------------------------------------------------------------

void task_load_registers(struct task_switch *task)
{
    struct vcpu_page *page = task->access.machine->page;
    const struct task_state *state = &task->state;
    uint32_t flags = task->is_32 ? state->flags : (state->flags & RFLAGS_16);

    page->rip = state->ip;
    page->rflags = (flags & RFLAGS_WRITABLE) | RFLAGS_RESERVED;
    for (unsigned i = 0; i < 8; i++) {
        page->gpr[i] = state->gpr[i];
    }
    for (unsigned i = 0; i < TASK_SEGMENTS; i++) {
        page->segment[i].selector = state->selector[i];
    }
    page->segment[SEGMENT_LDTR].selector = state->ldt;
    if (task->is_32 && (page->cr0 & CR0_PG) != 0) {
        page->cr3 = state->cr3;
        system_access_begin(&task->access, task->access.machine, true);
    }
}

static void load_virtual_8086(struct vcpu_page *page)
{
    for (unsigned i = 0; i < TASK_SEGMENTS; i++) {
        page->segment[i].base = (uint64_t)page->segment[i].selector << 4;
        page->segment[i].limit = 0xffff;
        page->segment[i].access_rights = RIGHTS_OF_VIRTUAL_8086;
    }
}

// Marks a descriptor as accessed and loads it.
static bool load(struct task_switch *task, unsigned index, struct descriptor *descriptor)
{
    if (!system_set_type(&task->access, descriptor, TYPE_ACCESSED, 0)) {
        return false;
    }
    task->access.machine->page->segment[index] = descriptor->segment;
    task->access.machine->page->segment[index].access_rights |= TYPE_ACCESSED;
    return true;
}

static bool read_segment(struct task_switch *task, unsigned index, struct descriptor *descriptor)
{
    uint16_t selector = task->state.selector[index];

    if (!system_descriptor(&task->access, selector, false, false, VECTOR_TASK, descriptor)) {
        task->access.result.fault.error_code |= task->external;
        return false;
    }
    if ((descriptor->segment.access_rights & RIGHTS_CODE_DATA) == 0) {
        return task_fault(task, VECTOR_TASK, selector);
    }
    return true;
}

static bool load_code(struct task_switch *task)
{
    uint16_t selector = task->state.selector[SEGMENT_CS];
    struct descriptor descriptor;
    uint32_t rights, level = selector & 3;

    if ((selector & ~3u) == 0) {
        return task_fault(task, VECTOR_TASK, selector);
    }
    if (!read_segment(task, SEGMENT_CS, &descriptor)) {
        return false;
    }
    rights = descriptor.segment.access_rights;
    if ((rights & TYPE_CODE) == 0 ||
        ((rights & TYPE_CONFORMING) != 0 ? RIGHTS_DPL(rights) > level
                                         : RIGHTS_DPL(rights) != level)) {
        return task_fault(task, VECTOR_TASK, selector);
    }
    if ((rights & RIGHTS_PRESENT) == 0) {
        return task_fault(task, VECTOR_NOT_PRESENT, selector);
    }
    task->access.machine->page->segment[SEGMENT_SS].access_rights = RIGHTS_STACK_OF(level);
    return load(task, SEGMENT_CS, &descriptor);
}

static bool load_stack(struct task_switch *task)
{
    uint16_t selector = task->state.selector[SEGMENT_SS];
    uint32_t level = task->state.selector[SEGMENT_CS] & 3u;
    struct descriptor descriptor;
    uint32_t rights;

    if ((selector & ~3u) == 0) {
        return task_fault(task, VECTOR_TASK, selector);
    }
    if (!read_segment(task, SEGMENT_SS, &descriptor)) {
        return false;
    }
    rights = descriptor.segment.access_rights;
    if ((rights & TYPE_CODE) != 0 || (rights & TYPE_WRITABLE) == 0 || (selector & 3u) != level ||
        RIGHTS_DPL(rights) != level) {
        return task_fault(task, VECTOR_TASK, selector);
    }
    if ((rights & RIGHTS_PRESENT) == 0) {
        return task_fault(task, VECTOR_STACK, selector);
    }
    return load(task, SEGMENT_SS, &descriptor);
}

static bool load_data(struct task_switch *task, unsigned index)
{
    uint16_t selector = task->state.selector[index];
    uint32_t level = task->state.selector[SEGMENT_CS] & 3u;
    struct descriptor descriptor;
    uint32_t rights;

    if ((selector & ~3u) == 0) {
        return true; // it is unusable already
    }
    if (!read_segment(task, index, &descriptor)) {
        return false;
    }
    level = level > (selector & 3u) ? level : (selector & 3u);
    rights = descriptor.segment.access_rights;
    if ((rights & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_CODE ||
        ((rights & (TYPE_CODE | TYPE_CONFORMING)) != (TYPE_CODE | TYPE_CONFORMING) &&
         RIGHTS_DPL(rights) < level)) {
        return task_fault(task, VECTOR_TASK, selector);
    }
    if ((rights & RIGHTS_PRESENT) == 0) {
        return task_fault(task, VECTOR_NOT_PRESENT, selector);
    }
    return load(task, index, &descriptor);
}

static const uint8_t data_segments[] = {SEGMENT_ES, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS};

static bool load_protected(struct task_switch *task)
{
    if (!load_code(task) || !load_stack(task)) {
        return false;
    }
    for (unsigned i = 0; i < sizeof(data_segments); i++) {
        if (!load_data(task, data_segments[i])) {
            return false;
        }
    }
    return true;
}

bool task_load_segments(struct task_switch *task)
{
    struct vcpu_page *page = task->access.machine->page;
    bool virtual_8086 = (page->rflags & RFLAGS_VM) != 0;

    page->segment[SEGMENT_LDTR].access_rights = SEGMENT_UNUSABLE;
    for (unsigned i = 0; i < sizeof(data_segments); i++) {
        page->segment[data_segments[i]].access_rights = SEGMENT_UNUSABLE;
    }
    if (virtual_8086) {
        load_virtual_8086(page); // first: VM entry demands it even where the LDT is refused
    }
    if (!system_load_ldt(&task->access, task->state.ldt, VECTOR_TASK)) {
        task->access.result.fault.error_code |= task->external;
        return false;
    }
    if (!virtual_8086 && !load_protected(task)) {
        return false;
    }
    if (page->rip > page->segment[SEGMENT_CS].limit) {
        return system_fault(&task->access, VECTOR_PROTECTION, task->external);
    }
    return true;
}

bool task_push_error_code(struct task_switch *task)
{
    struct vcpu_page *page = task->access.machine->page;
    uint64_t mask =
        (page->segment[SEGMENT_SS].access_rights & SEGMENT_BIG) != 0 ? 0xffffffff : 0xffff;
    uint32_t size = task->is_32 ? 4 : 2;
    struct system_operand top = {SEGMENT_SS, (page->gpr[GPR_RSP] - size) & mask};
    uint64_t linear;

    system_access_begin(&task->access, task->access.machine, false);
    if (!system_operand_linear(&task->access, top, size, EMULATE_WRITE, &linear)) {
        task->access.result.fault.error_code |= task->external;
        return false;
    }
    if (!system_write(&task->access, linear, size, task->event.error_code)) {
        return false;
    }
    page->gpr[GPR_RSP] = (page->gpr[GPR_RSP] & ~mask) | top.offset;
    return true;
}
