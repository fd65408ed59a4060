# SPDX-License-Identifier: MIT
set(SOURCES
    boot_params.c
    elf_image.c
    load.c
    load_elf.c
    load_entry.c
    load_flat.c
    load_job.c
    load_linux.c
    load_multiboot.c
    lz4.c
    multiboot_header.c)
