// SPDX-License-Identifier: MIT
// The subjects of the 64-bit suite; main.c has the list. Each leaves the machine as it found it.
#pragma once

void subject_cpuid(void);
void subject_msr(void);
void subject_control(void);
void subject_debug(void);
void subject_port(void);
void subject_mmio(void);
void subject_exception(void);
void subject_interrupt(void);
void subject_nmi(void);
void subject_paging(void);
void subject_mode(void);
void subject_vmx(void);
void subject_tables(void);
void subject_instruction(void);

// Of tables.c: a GDT and a TSS of the suite's own; interrupt stack 1 ends at `ist1_top`.
void task_register_install(void *ist1_top);
