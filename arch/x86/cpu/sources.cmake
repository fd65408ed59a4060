# SPDX-License-Identifier: MIT
set(SOURCES context.asm context.c cpu.c early_console.c features.c fpu.c idt.c segments.asm
    system_call.asm trap.c trap_entry.asm trap_report.c)

# asm_offsets.inc: see asm_offsets.h.
file(GLOB offset_files CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/arch/x86/*/asm_offsets.c ${PROJECT_SOURCE_DIR}/arch/x86/*/*/asm_offsets.c)
set(offsets_folder ${PROJECT_BINARY_DIR}/generated)
set(offsets_text)
foreach(file ${offset_files})
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${file})
    string(REPLACE "/" "_" name ${name})
    add_custom_command(OUTPUT ${offsets_folder}/${name}.s
        COMMAND ${CMAKE_COMMAND} -E make_directory ${offsets_folder}
        COMMAND ${CMAKE_C_COMPILER} -std=gnu17 ${GATEHOUSE_FREESTANDING} -mcmodel=kernel
            -I${PROJECT_SOURCE_DIR} -S -MD -MF ${offsets_folder}/${name}.d
            -MT ${offsets_folder}/${name}.s -o ${offsets_folder}/${name}.s ${file}
        DEPENDS ${file} DEPFILE ${offsets_folder}/${name}.d VERBATIM)
    list(APPEND offsets_text ${offsets_folder}/${name}.s)
endforeach()
add_custom_command(OUTPUT ${offsets_folder}/asm_offsets.inc
    COMMAND ${CMAKE_COMMAND} "-DINPUTS=${offsets_text}" -DOUTPUT=${offsets_folder}/asm_offsets.inc
        -P ${PROJECT_SOURCE_DIR}/arch/x86/cpu/asm_offsets.cmake
    DEPENDS ${offsets_text} ${PROJECT_SOURCE_DIR}/arch/x86/cpu/asm_offsets.cmake VERBATIM)
add_custom_target(asm_offsets DEPENDS ${offsets_folder}/asm_offsets.inc)
add_dependencies(gatehouse.elf asm_offsets)
target_include_directories(gatehouse.elf PRIVATE ${offsets_folder})
