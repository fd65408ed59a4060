// SPDX-License-Identifier: MIT
// The subjects of the 32-bit suite; main.c calls them.
#pragma once

void subject_segment(void);
void subject_task(void);
