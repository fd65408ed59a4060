# SPDX-License-Identifier: MIT
set(SOURCES arch_main.c boot_information.c die.asm early_pages.c entry.asm header.asm memory_map.c
    multiboot2.c trampoline.asm)

# How the image is linked.
target_link_options(gatehouse.elf PRIVATE -nostdlib -static -no-pie
    -Wl,-T,${PROJECT_SOURCE_DIR}/arch/x86/boot/gatehouse.ld -Wl,-z,max-page-size=4096
    -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments)
set_property(TARGET gatehouse.elf APPEND PROPERTY
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/arch/x86/boot/gatehouse.ld)
