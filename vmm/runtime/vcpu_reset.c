// SPDX-License-Identifier: MIT
// The reset state of "Processor States Following Power-up, Reset, or INIT".
#include "vmm/runtime/vcpu_reset.h"

#include "kernel/lib/processor.h"
#include "vmm/runtime/cpuid.h"
#include "vmm/runtime/tsc.h"

#define RIGHTS_CODE_DATA 0x93u // present, S, read-write, accessed
#define RIGHTS_LDT       0x82u
#define RIGHTS_TSS       0x8bu // busy 32-bit TSS: what VM entry demands

void vcpu_reset(struct vcpu_page *page)
{
    page->gpr[GPR_RDX] = cpuid_host(1, 0).eax;
    page->rip = 0xfff0;
    page->rflags = RFLAGS_RESERVED;
    page->cr0 = CR0_CD | CR0_NW | CR0_ET;
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        page->segment[i].limit = 0xffff;
        page->segment[i].access_rights = RIGHTS_CODE_DATA;
    }
    page->segment[SEGMENT_CS].selector = 0xf000;
    page->segment[SEGMENT_CS].base = 0xffff0000;
    page->segment[SEGMENT_LDTR].access_rights = RIGHTS_LDT;
    page->segment[SEGMENT_TR].access_rights = RIGHTS_TSS;
    page->gdtr.limit = 0xffff;
    page->idtr.limit = 0xffff;
    page->pat = 0x0007040600070406;
    page->tsc_offset = -tsc_now();
    page->dr6 = 0xffff0ff0;
    page->dr7 = 0x400;
    page->xcr0 = XCR0_X87;
    page->valid = VCPU_GROUP_ALL;
    page->dirty = VCPU_GROUP_ALL;
}
