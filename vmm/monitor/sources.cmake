# SPDX-License-Identifier: MIT
set(SOURCES
    main.c setup.c run.c smp.c link.c link_calls.c report.c machine.c event.c exit_table.c cpuid.c
    msr.c apic_msr.c handle_access.c handle_registers.c handle_simple.c handle_exception.c handle_operand.c
    handle_tables.c handle_task_switch.c task.c system_access.c guest_access.c guest_walk.c
    exceptions.c post_mortem.c watchdog.c exit_stats.c exit_report.c observe.c observing.c entry_check.c entry_check_guest.c
    field_dump.c)
