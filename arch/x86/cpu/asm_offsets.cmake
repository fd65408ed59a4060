# SPDX-License-Identifier: MIT
# Turns the assembler text of the asm_offsets.c files into NASM definitions.
# cmake -D INPUTS=a.s;b.s -D OUTPUT=asm_offsets.inc -P asm_offsets.cmake
set(text "; Generated from the asm_offsets.c files.\n")
foreach(input ${INPUTS})
    file(STRINGS ${input} lines REGEX "^@@ ")
    foreach(line ${lines})
        string(REGEX REPLACE "^@@ ([A-Za-z0-9_]+) [$]?(-?[0-9]+).*$" "%define \\1 \\2" line "${line}")
        string(APPEND text "${line}\n")
    endforeach()
endforeach()
file(WRITE ${OUTPUT} "${text}")
