# SPDX-License-Identifier: MIT
set(SOURCES apic.c backend.c control_registers.c controls.c detect.c entry.asm exits.c export.c fast.c intercept.c
            intercept_controls.c msr_bitmap.c run.c setup.c state.c trace.c)
