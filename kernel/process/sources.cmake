# SPDX-License-Identifier: MIT
set(SOURCES elf_parser.c handle_table.c module.c process.c process_create.c process_handle.c)
