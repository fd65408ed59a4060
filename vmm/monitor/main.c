// SPDX-License-Identifier: MIT
// The monitor: one process per VM. Builds the VM and runs it; see setup.c and run.c.
#include "vmm/monitor/monitor.h"

#include "vmm/runtime/program.h"

static struct monitor the_monitor;

static void report_failure(const char *text)
{
    link_log(&the_monitor.link, text);
}

int64_t program_main(const struct process_info *info)
{
    program_failure_report = report_failure;
    monitor_setup(&the_monitor, info);
    monitor_run(&the_monitor);
}
