# SPDX-License-Identifier: MIT
set(SOURCES arch_main.c boot_information.c die.asm early_pages.c entry.asm header.asm memory_map.c
    multiboot2.c trampoline.asm)
