// SPDX-License-Identifier: MIT
// Reads the boot information of a multiboot2 loader ("Boot information format" of the Multiboot2
// specification). Pure: the input is bytes, every length is checked against the whole. Called once
// at boot; host-tested.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "arch/x86/boot/boot_information.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define MULTIBOOT2_MAGIC 0x36d76289u // in EAX at entry

/*@
  logic integer boot_word{L}(uint8_t *at) =
    at[0] + 0x100 * at[1] + 0x10000 * at[2] + 0x1000000 * at[3];

  // A text that ends in its place.
  predicate boot_line{L}(char *line) = line[BOOT_LINE_SIZE - 1] == 0;

  // What others rely on: no count goes beyond its table, each line ends in its place.
  predicate boot_information_valid{L}(struct boot_information *information) =
    information->module_count <= BOOT_MODULE_MAXIMUM &&
    information->memory_count <= BOOT_MEMORY_MAXIMUM &&
    information->rsdp_size <= BOOT_RSDP_SIZE &&
    boot_line(&information->command_line[0]) &&
    \forall integer i; 0 <= i < information->module_count ==>
      boot_line(&information->modules[i].line[0]);

  predicate boot_tag_readable{L}(struct boot_information *information, uint8_t *body,
                                 integer size) =
    \valid(information) && \valid_read(body + (0 .. size - 1)) &&
    \separated(information, body + (0 .. size - 1));
*/

// Parses `size` bytes at `data` (aligned to 8; the loader's total_size field must be <= size) into
// `information`, its memory map with the modules in it included.
// STATUS_MALFORMED: a length or structure breaks the format; STATUS_NOT_FOUND: no memory map;
// STATUS_NO_MEMORY: more modules or regions, or a longer line, than `information` can hold.
/*@
  requires boot_tag_readable(information, data, size);
  terminates \true;
  assigns *information;
  ensures \result == STATUS_OK ==>
    boot_information_valid(information) && information->memory_count > 0;
  ensures size < 16 ==> \result == STATUS_MALFORMED;
  ensures size >= 16 && boot_word(data) > size ==> \result == STATUS_MALFORMED;
  ensures \result == STATUS_OK || \result == STATUS_MALFORMED || \result == STATUS_NOT_FOUND ||
    \result == STATUS_NO_MEMORY;
*/
MUST_CHECK enum status multiboot2_parse(const uint8_t *data, size_t size,
                                        struct boot_information *information);
