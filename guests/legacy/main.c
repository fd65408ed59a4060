// SPDX-License-Identifier: MIT
// The suite of 32-bit checks: what 64-bit mode does not have. Command line as of guests/suite.
#include "guests/legacy/subjects.h"
#include "guests/legacy/traps.h"
#include "guests/library/suite.h"

void guest_main(uint32_t magic, uintptr_t information)
{
    suite_begin(magic, information);
    traps_install();
    if (suite_wants("segment")) {
        subject_segment();
    }
    if (suite_wants("task")) {
        subject_task();
    }
    suite_end();
}
