// SPDX-License-Identifier: MIT
// Remembers the boot information for those who ask about the kernel command line.
#pragma once

struct boot_information;

// Called first thing by kernel_main; the information stays valid for ever.
void boot_options_set(const struct boot_information *information);
