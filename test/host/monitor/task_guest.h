// SPDX-License-Identifier: MIT
// An old task that runs and a new one to switch to, for the tests of task switches. Included by one
// test file each.
#pragma once

#include "test/host/monitor/system_guest.h"

#define RIP       0x1000u
#define LENGTH    3u
#define NEW_RIP   0x6000u
#define NT        (1u << 14)
#define VM        (1u << 17)
#define NEW_FLAGS 0x202u
#define EXTERNAL  (VCPU_EVENT_VALID | VCPU_EVENT_EXTERNAL | 0x20)
#define SOFTWARE  (VCPU_EVENT_VALID | VCPU_EVENT_SOFTWARE_INTERRUPT | 0x40)
#define NMI       (VCPU_EVENT_VALID | VCPU_EVENT_NMI | 2)
#define FAULT     (VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR_CODE | VECTOR_PROTECTION)

enum { CALL, IRET, JUMP, GATE, SOURCES };

// Offsets of a 32-bit and of a 16-bit TSS.
static const struct task_layout {
    uint32_t size, ip, flags, gpr, segments, segment_count, ldt;
} task_layouts[] = {{2, 0x0e, 0x10, 0x12, 0x22, 4, 0x2a}, {4, 0x20, 0x24, 0x28, 0x48, 6, 0x60}};

static struct fixture *fixture;
static struct vcpu_page *page;

static inline uint64_t new_gpr(unsigned index)
{
    return index == GPR_RSP ? STACK : 0x5a110000u + index;
}

static inline void put_selector(unsigned segment, uint16_t selector)
{
    put(fixture, NEW_TSS + 0x48 + 4 * segment, selector, 2);
}

// The new task: ring 0 with flat segments, an LDT, and a data segment of it in GS.
static inline void put_new_task(bool is_32)
{
    static const uint16_t selectors[] = {DATA, CODE, DATA, DATA, 0, IN_LDT};
    const struct task_layout *layout = &task_layouts[is_32];

    memset(fixture->ram + NEW_TSS, 0, 0x68);
    put(fixture, NEW_TSS + layout->ip, NEW_RIP, layout->size);
    put(fixture, NEW_TSS + layout->flags, NEW_FLAGS, layout->size);
    for (unsigned i = 0; i < 8; i++) {
        put(fixture, NEW_TSS + layout->gpr + i * layout->size, new_gpr(i), layout->size);
    }
    for (unsigned i = 0; i < layout->segment_count; i++) {
        put(fixture, NEW_TSS + layout->segments + i * layout->size, selectors[i], 2);
    }
    put(fixture, NEW_TSS + layout->ldt, LOCAL, 2);
    put_descriptor(fixture, GDT + NEW, NEW_TSS, is_32 ? 0x67 : 0x2b, is_32 ? TSS_32 : TSS_16, 0);
}

static inline void be_old_task(bool is_32)
{
    uint32_t type = (is_32 ? TSS_32 : TSS_16) | BUSY;

    put_descriptor(fixture, GDT + OLD, OLD_TSS, is_32 ? 0x67 : 0x2b, type, 0);
    page->segment[SEGMENT_TR].access_rights = type;
    page->rip = RIP;
    page->rflags = 0x8d7 | NT;
    for (unsigned i = 0; i < 16; i++) {
        page->gpr[i] = 0x01d00000 + i;
    }
    page->dr7 = 0x7ff;
}

static inline int set_up(void **state)
{
    (void)state;
    fixture = system_guest_new();
    page = &fixture->page;
    be_old_task(true);
    put_new_task(true);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    free(fixture);
    return 0;
}

// Switches to the task of `selector`, during the delivery of `event` where that is not 0.
static inline enum outcome switch_to(unsigned source, uint16_t selector, uint32_t event)
{
    memset(&page->exit, 0, sizeof(page->exit));
    page->exit.kind = EXIT_TASK_SWITCH;
    page->exit.instruction_length = LENGTH;
    page->exit.task.source = (uint8_t)source;
    page->exit.task.selector = selector;
    page->event = (struct vcpu_event){.word = event, .error_code = 0xe770};
    page->dirty = 0;
    return exit_table[EXIT_TASK_SWITCH].handle(&fixture->machine);
}

// Makes the new task the one that `source` needs.
static inline void prepare(unsigned source)
{
    if (source == IRET) {
        fixture->ram[GDT + NEW + 5] |= BUSY;
    }
}

static inline void check_saved(bool is_32, uint64_t rip, uint64_t flags)
{
    const struct task_layout *layout = &task_layouts[is_32];
    uint64_t mask = is_32 ? UINT32_MAX : UINT16_MAX;

    assert_int_equal(get(fixture, OLD_TSS + layout->ip, layout->size), rip);
    assert_int_equal(get(fixture, OLD_TSS + layout->flags, layout->size), flags);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(get(fixture, OLD_TSS + layout->gpr + i * layout->size, layout->size),
                         (0x01d00000 + i) & mask);
    }
    for (unsigned i = 0; i < layout->segment_count; i++) {
        assert_int_equal(get(fixture, OLD_TSS + layout->segments + i * layout->size, 2),
                         i == SEGMENT_CS ? CODE : DATA);
    }
    assert_int_equal(get(fixture, OLD_TSS, 2), 0); // only the new task is linked
}

static inline void check_segment(unsigned index, uint16_t selector, uint64_t base, uint32_t limit,
                                 uint32_t rights)
{
    assert_int_equal(page->segment[index].selector, selector);
    assert_int_equal(page->segment[index].base, base);
    assert_int_equal(page->segment[index].limit, limit);
    assert_int_equal(page->segment[index].access_rights, rights);
}
