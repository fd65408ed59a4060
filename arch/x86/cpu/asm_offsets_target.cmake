# SPDX-License-Identifier: MIT
# The target that makes asm_offsets.inc, in ASM_OFFSETS_FOLDER: see asm_offsets.h.
file(GLOB offset_files CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/arch/x86/*/asm_offsets.c ${PROJECT_SOURCE_DIR}/arch/x86/*/*/asm_offsets.c)
set(ASM_OFFSETS_FOLDER ${PROJECT_BINARY_DIR}/generated)
set(offsets_text)
foreach(file ${offset_files})
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${file})
    string(REPLACE "/" "_" name ${name})
    add_custom_command(OUTPUT ${ASM_OFFSETS_FOLDER}/${name}.s
        COMMAND ${CMAKE_COMMAND} -E make_directory ${ASM_OFFSETS_FOLDER}
        COMMAND ${CMAKE_C_COMPILER} -std=gnu17 ${GATEHOUSE_FREESTANDING} -mcmodel=kernel
            -I${PROJECT_SOURCE_DIR} -S -MD -MF ${ASM_OFFSETS_FOLDER}/${name}.d
            -MT ${ASM_OFFSETS_FOLDER}/${name}.s -o ${ASM_OFFSETS_FOLDER}/${name}.s ${file}
        DEPENDS ${file} DEPFILE ${ASM_OFFSETS_FOLDER}/${name}.d VERBATIM)
    list(APPEND offsets_text ${ASM_OFFSETS_FOLDER}/${name}.s)
endforeach()
add_custom_command(OUTPUT ${ASM_OFFSETS_FOLDER}/asm_offsets.inc
    COMMAND ${CMAKE_COMMAND} "-DINPUTS=${offsets_text}" -DOUTPUT=${ASM_OFFSETS_FOLDER}/asm_offsets.inc
        -P ${PROJECT_SOURCE_DIR}/arch/x86/cpu/asm_offsets.cmake
    DEPENDS ${offsets_text} ${PROJECT_SOURCE_DIR}/arch/x86/cpu/asm_offsets.cmake VERBATIM)
add_custom_target(asm_offsets DEPENDS ${ASM_OFFSETS_FOLDER}/asm_offsets.inc)
