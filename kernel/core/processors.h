// SPDX-License-Identifier: MIT
// The other processors: started one after the other by the boot CPU, before any process exists.
// CPUs are numbered from 0, the boot CPU, without gaps, in the order of the firmware's table.
#pragma once

#include <stdint.h>

struct acpi_information;
struct boot_information;

// Starts what the firmware's table names, up to CPU_MAXIMUM or what "cpus=N" on the command line
// allows. One that does not answer is logged and left out. The boot CPU's parts all work by then.
void processors_start(const struct boot_information *boot, const struct acpi_information *acpi);

/*@ axiomatic processors { logic integer processors_running; } */

// The CPUs that run.
/*@
  terminates \true;
  assigns \result \from \nothing;
  ensures \result == processors_running;
*/
uint32_t processor_count(void);
