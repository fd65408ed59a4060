// SPDX-License-Identifier: MIT
// A machine for handler tests: the real platform and memory, a vCPU page in 64-bit mode, and a
// collector of log lines. Included by one test file each.
#pragma once

#include <stdlib.h>
#include "kernel/lib/processor.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/handlers.h"
#include "vmm/monitor/link.h"
#include "vmm/monitor/msr.h"

#define FIXTURE_MEMORY (1u << 20)
#define FIXTURE_HZ     1000000000ull

struct fixture {
    struct machine machine;
    struct vcpu_page page;
    struct platform platform;
    struct guest_memory memory;
    struct link link;
    uint8_t ram[FIXTURE_MEMORY];
    unsigned log_lines;
};

static inline void fixture_log(void *context, const char *line)
{
    (void)line;
    ((struct fixture *)context)->log_lines++;
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct vcpu_page *page = &fixture->page;
    struct platform_config config = {
        .tsc = 0,
        .tsc_hz = FIXTURE_HZ,
        .memory_bytes = FIXTURE_MEMORY,
        .context = &fixture->link,
        .console_output = link_output,
        .console_input = link_input,
    };

    link_init(&fixture->link, 2, 3, FIXTURE_HZ, &page->exit_tsc);
    guest_memory_init(&fixture->memory);
    assert_int_equal(
        guest_memory_add(&fixture->memory, gpa(0), FIXTURE_MEMORY, fixture->ram, false), STATUS_OK);
    assert_int_equal(platform_init(&fixture->platform, &config), STATUS_OK);
    guest_access_init(&fixture->machine.access, &fixture->memory, &fixture->platform.mmio,
                      &fixture->platform.ports);
    fixture->machine.page = page;
    fixture->machine.platform = &fixture->platform;
    fixture->machine.memory = &fixture->memory;
    fixture->machine.log = fixture_log;
    fixture->machine.log_context = fixture;
    fixture->machine.features = (struct machine_features){
        .cr4_allowed = CR4_PAE | CR4_PGE | CR4_PSE | CR4_PCIDE | CR4_OSXSAVE,
        .xcr0_allowed = XCR0_X87 | XCR0_SSE | XCR0_AVX,
        .tsc_hz = FIXTURE_HZ,
        .physical_bits = 40,
    };
    msr_reset(&fixture->machine);
    page->valid = VCPU_GROUP_ALL;
    page->rip = 0x1000;
    page->rflags = 2;
    page->cr0 = CR0_PE | CR0_ET;
    page->xcr0 = XCR0_X87;
    page->segment[SEGMENT_CS] =
        (struct vcpu_segment){.limit = 0xffffffff, .access_rights = 0xc09b, .selector = 8};
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        if (i != SEGMENT_CS) {
            page->segment[i] =
                (struct vcpu_segment){.limit = 0xffffffff, .access_rights = 0xc093, .selector = 16};
        }
    }
    return fixture;
}

// Long mode on, running 64-bit code; paging is set in the registers only.
static inline void fixture_long_mode(struct fixture *fixture)
{
    fixture->page.cr0 |= CR0_PG;
    fixture->page.cr4 |= CR4_PAE;
    fixture->page.efer = EFER_LME | EFER_LMA;
    fixture->page.segment[SEGMENT_CS].access_rights = 0xa09b;
}

static inline enum outcome fixture_handle(struct fixture *fixture, uint32_t kind)
{
    fixture->page.exit.kind = kind;
    fixture->page.dirty = 0;
    fixture->page.event.word = 0;
    return exit_table[kind].handle(&fixture->machine);
}

// True when the pending event is this exception, with error code 0 where `with_error`.
static inline bool fixture_raised(const struct fixture *fixture, unsigned vector, bool with_error)
{
    return fixture->page.event.word == (VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | vector |
                                        (with_error ? VCPU_EVENT_ERROR_CODE : 0)) &&
           fixture->page.event.error_code == 0;
}
