// SPDX-License-Identifier: MIT
// Walks the tags of multiboot2 boot information; see multiboot2.h. Each tag's handler sees only the
// bytes that the tag's checked length covers.
#include "arch/x86/boot/multiboot2.h"
#include "arch/x86/boot/memory_map.h"

enum tag_type {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15,
};

// Sizes of the format's structures.
#define HEADER_SIZE    8u  // of the whole: total size, reserved
#define TAG_SIZE       8u  // of a tag: type, size with these two
#define MODULE_SIZE    8u  // start, end; then the line
#define MAP_SIZE       8u  // size of an entry, version; then the entries
#define MAP_ENTRY_SIZE 24u // start, size, type, reserved
#define RSDP_OLD_SIZE  20u
#define MAP_AVAILABLE  1u // RAM; any other type is kept by the firmware

// The format's numbers are little-endian, and need not be aligned.
/*@
  requires \valid_read(at + (0 .. 3));
  terminates \true;
  assigns \nothing;
  ensures \result == boot_word(at);
*/
static uint32_t word(const uint8_t *at)
{
    return at[0] + at[1] * 0x100u + at[2] * 0x10000u + at[3] * 0x1000000u;
}

/*@
  requires \valid_read(at + (0 .. 7));
  terminates \true;
  assigns \nothing;
  ensures \result == boot_word(at) + 0x100000000 * boot_word(at + 4);
*/
static uint64_t long_word(const uint8_t *at)
{
    return word(at) + word(at + 4) * 0x100000000u;
}

// Copies a NUL-terminated text that must end inside the tag.
/*@
  requires \valid_read(from + (0 .. size - 1)) && \valid(to + (0 .. BOOT_LINE_SIZE - 1));
  requires \separated(to + (0 .. BOOT_LINE_SIZE - 1), from + (0 .. size - 1));
  terminates \true;
  assigns to[0 .. BOOT_LINE_SIZE - 1];
  ensures \result == STATUS_OK || \result == STATUS_MALFORMED || \result == STATUS_NO_MEMORY;
  ensures \result == STATUS_MALFORMED <==> \forall integer i; 0 <= i < size ==> from[i] != 0;
  ensures \result == STATUS_OK <==>
    \exists integer i; 0 <= i < size && i < BOOT_LINE_SIZE && from[i] == 0;
  ensures \result == STATUS_OK ==> boot_line(to);
*/
static enum status copy_line(char to[BOOT_LINE_SIZE], const uint8_t *from, uint32_t size)
{
    uint32_t length = 0;

    /*@
      loop invariant 0 <= length <= size;
      loop invariant \forall integer i; 0 <= i < length ==> from[i] != 0;
      loop assigns length;
      loop variant size - length;
    */
    while (length < size && from[length] != 0) {
        length++;
    }
    if (length == size || length >= BOOT_LINE_SIZE) {
        return length == size ? STATUS_MALFORMED : STATUS_NO_MEMORY;
    }
    /*@
      loop invariant 0 <= i <= length + 1;
      loop invariant \forall integer k; 0 <= k < i ==> to[k] == (char)from[k];
      loop assigns i, to[0 .. BOOT_LINE_SIZE - 1];
      loop variant length + 1 - i;
    */
    for (uint32_t i = 0; i <= length; i++) {
        to[i] = (char)from[i];
    }
    to[BOOT_LINE_SIZE - 1] = '\0';
    return STATUS_OK;
}

/*@
  requires boot_tag_readable(information, body, size) && boot_information_valid(information);
  terminates \true;
  assigns information->module_count, information->modules[0 .. BOOT_MODULE_MAXIMUM - 1],
    information->memory_count, information->memory[0 .. BOOT_MEMORY_MAXIMUM - 1];
  ensures \result == STATUS_OK ==> boot_information_valid(information);
  ensures \result == STATUS_OK ==> size > MODULE_SIZE && (boot_word(body) & 0xfff) == 0 &&
    information->module_count == \old(information->module_count) + 1 &&
    information->modules[\old(information->module_count)].start.value == boot_word(body) &&
    information->modules[\old(information->module_count)].size ==
      boot_word(body + 4) - boot_word(body);
  ensures \result == STATUS_OK || \result == STATUS_MALFORMED || \result == STATUS_NO_MEMORY;
*/
static enum status read_module(struct boot_information *information, const uint8_t *body,
                               uint32_t size)
{
    if (size < MODULE_SIZE || word(body + 4) < word(body) || !is_aligned(word(body), PAGE_SIZE)) {
        return STATUS_MALFORMED;
    }
    if (information->module_count == BOOT_MODULE_MAXIMUM) {
        return STATUS_NO_MEMORY;
    }
    struct boot_module *module = &information->modules[information->module_count++];
    module->start = hpa(word(body));
    module->size = word(body + 4) - word(body);
    enum status status = copy_line(module->line, body + MODULE_SIZE, size - MODULE_SIZE);
    return status == STATUS_OK ? memory_map_add_bytes(information, module->start.value,
                                                      module->size, BOOT_MEMORY_MODULE)
                               : status;
}

/*@
  requires boot_tag_readable(information, body, size) && boot_information_valid(information);
  terminates \true;
  assigns information->memory_count, information->memory[0 .. BOOT_MEMORY_MAXIMUM - 1];
  ensures boot_information_valid(information);
  ensures \result == STATUS_OK ==> size >= MAP_SIZE && boot_word(body) >= MAP_ENTRY_SIZE &&
    boot_word(body) % 8 == 0;
  ensures \result == STATUS_OK || \result == STATUS_MALFORMED || \result == STATUS_NO_MEMORY;
*/
static enum status read_map(struct boot_information *information, const uint8_t *body,
                            uint32_t size)
{
    if (size < MAP_SIZE || word(body) < MAP_ENTRY_SIZE || word(body) % 8 != 0) {
        return STATUS_MALFORMED;
    }
    uint32_t step = word(body);
    uint32_t offset = MAP_SIZE;
    /*@
      loop invariant MAP_SIZE <= offset <= size;
      loop invariant boot_information_valid(information);
      loop assigns offset, information->memory_count,
        information->memory[0 .. BOOT_MEMORY_MAXIMUM - 1];
      loop variant size - offset;
    */
    for (; size - offset >= step; offset += step) {
        const uint8_t *entry = body + offset;
        uint64_t start = long_word(entry);
        uint64_t bytes = long_word(entry + 8);

        if (bytes > UINT64_MAX - start) {
            return STATUS_MALFORMED;
        }
        enum status status = memory_map_add_bytes(
            information, start, bytes,
            word(entry + 16) == MAP_AVAILABLE ? BOOT_MEMORY_FREE : BOOT_MEMORY_FIRMWARE);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return offset == size ? STATUS_OK : STATUS_MALFORMED;
}

/*@
  requires boot_tag_readable(information, body, size) && boot_information_valid(information);
  terminates \true;
  assigns information->rsdp[0 .. BOOT_RSDP_SIZE - 1], information->rsdp_size;
  ensures boot_information_valid(information);
  ensures \result == (size < RSDP_OLD_SIZE ? STATUS_MALFORMED : STATUS_OK);
  ensures \old(information->rsdp_size) <= information->rsdp_size;
  ensures \result == STATUS_OK && information->rsdp_size > \old(information->rsdp_size) ==>
    \forall integer i; 0 <= i < information->rsdp_size ==> information->rsdp[i] == body[i];
  ensures size >= BOOT_RSDP_SIZE ==> information->rsdp_size == BOOT_RSDP_SIZE;
*/
static enum status read_rsdp(struct boot_information *information, const uint8_t *body,
                             uint32_t size)
{
    if (size < RSDP_OLD_SIZE) {
        return STATUS_MALFORMED;
    }
    uint32_t kept = size < BOOT_RSDP_SIZE ? RSDP_OLD_SIZE : BOOT_RSDP_SIZE;
    if (kept >= information->rsdp_size) { // the newer form wins, in either order
        /*@
          loop invariant 0 <= i <= kept;
          loop invariant \forall integer k; 0 <= k < i ==> information->rsdp[k] == body[k];
          loop assigns i, information->rsdp[0 .. BOOT_RSDP_SIZE - 1];
          loop variant kept - i;
        */
        for (uint32_t i = 0; i < kept; i++) {
            information->rsdp[i] = body[i];
        }
        information->rsdp_size = kept;
    }
    return STATUS_OK;
}

/*@
  requires boot_tag_readable(information, body, size) && boot_information_valid(information);
  terminates \true;
  assigns *information;
  ensures \result == STATUS_OK ==> boot_information_valid(information);
  ensures \result == STATUS_OK || \result == STATUS_MALFORMED || \result == STATUS_NO_MEMORY;
*/
static enum status handle(struct boot_information *information, uint32_t type, const uint8_t *body,
                          uint32_t size)
{
    switch (type) {
    case TAG_COMMAND_LINE:
        return copy_line(information->command_line, body, size);
    case TAG_MODULE:
        return read_module(information, body, size);
    case TAG_MEMORY_MAP:
        return read_map(information, body, size);
    case TAG_RSDP_OLD:
    case TAG_RSDP_NEW:
        return read_rsdp(information, body, size);
    default:
        return STATUS_OK; // a tag we have no use for
    }
}

enum status multiboot2_parse(const uint8_t *data, size_t size, struct boot_information *information)
{
    uint32_t at = HEADER_SIZE;
    enum status status = STATUS_OK;
    if (size < HEADER_SIZE + TAG_SIZE) {
        return STATUS_MALFORMED;
    }
    uint32_t total = word(data);
    if (total < HEADER_SIZE + TAG_SIZE || total > size || total > INT32_MAX) {
        return STATUS_MALFORMED;
    }
    information->command_line[0] = information->command_line[BOOT_LINE_SIZE - 1] = '\0';
    information->module_count = information->memory_count = information->rsdp_size = 0;
    /*@
      loop invariant HEADER_SIZE <= at <= total + 7 && at % 8 == 0;
      loop invariant status == STATUS_OK ==> boot_information_valid(information);
      loop invariant status == STATUS_OK || status == STATUS_MALFORMED ||
        status == STATUS_NO_MEMORY;
      loop assigns at, status, *information;
      loop variant total + 8 - at;
    */
    while (status == STATUS_OK) {
        if (at > total || total - at < TAG_SIZE) {
            return STATUS_MALFORMED; // no end tag
        }
        uint32_t type = word(data + at);
        uint32_t length = word(data + at + 4);
        if (length < TAG_SIZE || length > total - at) {
            return STATUS_MALFORMED;
        }
        if (type == TAG_END) {
            return information->memory_count != 0 ? STATUS_OK : STATUS_NOT_FOUND;
        }
        status = handle(information, type, data + at + TAG_SIZE, length - TAG_SIZE);
        at += (length + 7) / 8 * 8; // the next one is aligned
    }
    return status;
}
