// SPDX-License-Identifier: MIT
// The suite of 64-bit checks. On the command line: "only=SUBJECT" (may be repeated), and "native"
// on a machine of its own. What is expected follows the manual; the checks name its sections.
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

static const struct {
    const char *name;
    void (*run)(void);
} subjects[] = {
    {"cpuid", subject_cpuid},
    {"msr", subject_msr},
    {"control", subject_control},
    {"debug", subject_debug},
    {"port", subject_port},
    {"mmio", subject_mmio},
    {"exception", subject_exception},
    {"interrupt", subject_interrupt},
    {"nmi", subject_nmi},
    {"paging", subject_paging},
    {"mode", subject_mode},
    {"vmx", subject_vmx},
    {"tables", subject_tables},
    {"instruction", subject_instruction},
};

void guest_main(uint32_t magic, uintptr_t information)
{
    suite_begin(magic, information);
    traps_install();
    for (unsigned i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (suite_wants(subjects[i].name)) {
            subjects[i].run();
        }
    }
    suite_end();
}
