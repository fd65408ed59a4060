// SPDX-License-Identifier: MIT
// Walks the tags of multiboot2 boot information; see multiboot2.h. Each tag's handler sees only the
// bytes that the tag's checked length covers.
#include "arch/x86/boot/multiboot2.h"
#include "arch/x86/boot/memory_map.h"
#include "kernel/lib/string.h"

enum tag_type {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_RSDP_OLD = 14,
    TAG_RSDP_NEW = 15,
};

struct tag {
    uint32_t type;
    uint32_t size; // with this header
};
static_assert(sizeof(struct tag) == 8, "defined by the specification");

struct module_body {
    uint32_t start;
    uint32_t end;
};
static_assert(sizeof(struct module_body) == 8, "defined by the specification");

struct map_body {
    uint32_t entry_size;
    uint32_t entry_version;
};

struct map_entry {
    uint64_t start;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
static_assert(sizeof(struct map_entry) == 24, "defined by the specification");

#define RSDP_OLD_SIZE 20u
#define MAP_AVAILABLE 1u // RAM; any other type is kept by the firmware

typedef enum status (*tag_handler)(struct boot_information *information, const uint8_t *body,
                                   uint32_t size);

// Copies a NUL-terminated text that must end inside the tag.
static enum status copy_line(char to[BOOT_LINE_SIZE], const uint8_t *from, uint32_t size)
{
    size_t length = strnlen((const char *)from, size);
    if (length == size || length >= BOOT_LINE_SIZE) {
        return length == size ? STATUS_MALFORMED : STATUS_NO_MEMORY;
    }
    memcpy(to, from, length + 1);
    return STATUS_OK;
}

static enum status read_command_line(struct boot_information *information, const uint8_t *body,
                                     uint32_t size)
{
    return copy_line(information->command_line, body, size);
}

static enum status read_module(struct boot_information *information, const uint8_t *body,
                               uint32_t size)
{
    struct module_body range;
    if (size < sizeof range) {
        return STATUS_MALFORMED;
    }
    memcpy(&range, body, sizeof range);
    if (range.end < range.start || !is_aligned(range.start, PAGE_SIZE)) {
        return STATUS_MALFORMED;
    }
    if (information->module_count == BOOT_MODULE_MAXIMUM) {
        return STATUS_NO_MEMORY;
    }
    struct boot_module *module = &information->modules[information->module_count++];
    module->start = hpa(range.start);
    module->size = range.end - range.start;
    enum status status =
        copy_line(module->line, body + sizeof range, size - (uint32_t)sizeof range);
    return status == STATUS_OK
               ? memory_map_add_bytes(information, range.start, module->size, BOOT_MEMORY_MODULE)
               : status;
}

static enum status read_map(struct boot_information *information, const uint8_t *body,
                            uint32_t size)
{
    struct map_body map;
    struct map_entry entry;
    if (size < sizeof map) {
        return STATUS_MALFORMED;
    }
    memcpy(&map, body, sizeof map);
    if (map.entry_size < sizeof entry || map.entry_size % 8 != 0) {
        return STATUS_MALFORMED;
    }
    uint32_t offset = sizeof map;
    for (; size - offset >= map.entry_size; offset += map.entry_size) {
        memcpy(&entry, body + offset, sizeof entry);
        if (entry.size > UINT64_MAX - entry.start) {
            return STATUS_MALFORMED;
        }
        enum status status = memory_map_add_bytes(
            information, entry.start, entry.size,
            entry.type == MAP_AVAILABLE ? BOOT_MEMORY_FREE : BOOT_MEMORY_FIRMWARE);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return offset == size ? STATUS_OK : STATUS_MALFORMED;
}

static enum status read_rsdp(struct boot_information *information, const uint8_t *body,
                             uint32_t size)
{
    if (size < RSDP_OLD_SIZE) {
        return STATUS_MALFORMED;
    }
    uint32_t kept = size < BOOT_RSDP_SIZE ? RSDP_OLD_SIZE : BOOT_RSDP_SIZE;
    if (kept >= information->rsdp_size) { // the newer form wins, in either order
        memcpy(information->rsdp, body, kept);
        information->rsdp_size = kept;
    }
    return STATUS_OK;
}

static const struct tag_row {
    uint32_t type;
    tag_handler handler;
} rows[] = {
    {TAG_COMMAND_LINE, read_command_line},
    {TAG_MODULE, read_module},
    {TAG_MEMORY_MAP, read_map},
    {TAG_RSDP_OLD, read_rsdp},
    {TAG_RSDP_NEW, read_rsdp},
};

static enum status handle(struct boot_information *information, uint32_t type, const uint8_t *body,
                          uint32_t size)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].type == type) {
            return rows[i].handler(information, body, size);
        }
    }
    return STATUS_OK; // a tag we have no use for
}

enum status multiboot2_parse(const void *data, size_t size, struct boot_information *information)
{
    const uint8_t *bytes = data;
    uint32_t total;
    struct tag tag;
    enum status status = STATUS_OK;
    if (size < 16) {
        return STATUS_MALFORMED;
    }
    memcpy(&total, bytes, sizeof total);
    if (total < 16 || total > size || total > INT32_MAX) {
        return STATUS_MALFORMED;
    }
    memset(information, 0, sizeof *information);
    for (uint32_t at = 8; status == STATUS_OK; at += (uint32_t)align_up(tag.size, 8)) {
        if (at > total || total - at < sizeof tag) {
            return STATUS_MALFORMED; // no end tag
        }
        memcpy(&tag, bytes + at, sizeof tag);
        if (tag.size < sizeof tag || tag.size > total - at) {
            return STATUS_MALFORMED;
        }
        if (tag.type == TAG_END) {
            return information->memory_count != 0 ? STATUS_OK : STATUS_NOT_FOUND;
        }
        status =
            handle(information, tag.type, bytes + at + sizeof tag, tag.size - (uint32_t)sizeof tag);
    }
    return status;
}
