// SPDX-License-Identifier: MIT
// Walks the tags of multiboot2 boot information; see multiboot2.h. Each tag's handler sees only the
// bytes that the tag's checked length covers.
#include "arch/x86/boot/multiboot2.h"
#include "kernel/lib/string.h"

enum tag_type {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_LOADER = 2,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_EFI32 = 11,
    TAG_EFI64 = 12,
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

struct parser {
    struct boot_information *information;
    struct multiboot2_memory *memory;
};

typedef enum status (*tag_handler)(struct parser *parser, const uint8_t *body, uint32_t size);

// Copies a NUL-terminated text that must end inside the tag; cuts it to the buffer.
static enum status copy_text(struct parser *parser, char *to, size_t capacity, const uint8_t *from,
                             uint32_t size)
{
    size_t length = strnlen((const char *)from, size);
    if (length == size) {
        return STATUS_MALFORMED;
    }
    if (length >= capacity) {
        parser->information->warnings++;
        length = capacity - 1;
    }
    memcpy(to, from, length);
    to[length] = '\0';
    return STATUS_OK;
}

static enum status read_command_line(struct parser *parser, const uint8_t *body, uint32_t size)
{
    return copy_text(parser, parser->information->command_line, BOOT_LINE_SIZE, body, size);
}

static enum status read_loader(struct parser *parser, const uint8_t *body, uint32_t size)
{
    struct boot_information *information = parser->information;
    return copy_text(parser, information->loader, sizeof information->loader, body, size);
}

static enum status read_module(struct parser *parser, const uint8_t *body, uint32_t size)
{
    struct boot_information *information = parser->information;
    struct module_body range;
    if (size < sizeof range) {
        return STATUS_MALFORMED;
    }
    memcpy(&range, body, sizeof range);
    if (range.end < range.start || !is_aligned(range.start, PAGE_SIZE)) {
        return STATUS_MALFORMED;
    }
    if (information->module_count == BOOT_MODULE_MAXIMUM) {
        information->warnings++;
        return STATUS_OK;
    }
    struct boot_module *module = &information->modules[information->module_count];
    module->start = hpa(range.start);
    module->size = range.end - range.start;
    enum status status = copy_text(parser, module->line, sizeof module->line, body + sizeof range,
                                   size - (uint32_t)sizeof range);
    information->module_count += status == STATUS_OK;
    return status;
}

static enum status read_map(struct parser *parser, const uint8_t *body, uint32_t size)
{
    struct multiboot2_memory *memory = parser->memory;
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
        if (memory->count == MULTIBOOT2_REGION_MAXIMUM) {
            parser->information->warnings++;
            continue;
        }
        memory->regions[memory->count++] =
            (struct multiboot2_region){entry.start, entry.size, entry.type};
    }
    return offset == size ? STATUS_OK : STATUS_MALFORMED;
}

static enum status read_efi(struct parser *parser, const uint8_t *body, uint32_t size)
{
    (void)body;
    (void)size;
    parser->information->efi = true;
    return STATUS_OK;
}

static enum status read_rsdp(struct parser *parser, const uint8_t *body, uint32_t size)
{
    struct boot_information *information = parser->information;
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
    {TAG_LOADER, read_loader},
    {TAG_MODULE, read_module},
    {TAG_MEMORY_MAP, read_map},
    {TAG_EFI32, read_efi},
    {TAG_EFI64, read_efi},
    {TAG_RSDP_OLD, read_rsdp},
    {TAG_RSDP_NEW, read_rsdp},
};

static enum status handle(struct parser *parser, uint32_t type, const uint8_t *body, uint32_t size)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].type == type) {
            return rows[i].handler(parser, body, size);
        }
    }
    return STATUS_OK; // a tag we have no use for
}

static enum status parse_tags(struct parser *parser, const uint8_t *bytes, uint32_t total)
{
    uint32_t offset = 8;
    while (offset <= total && total - offset >= sizeof(struct tag)) {
        struct tag tag;
        memcpy(&tag, bytes + offset, sizeof tag);
        if (tag.size < sizeof tag || tag.size > total - offset) {
            return STATUS_MALFORMED;
        }
        if (tag.type == TAG_END) {
            return parser->memory->count != 0 ? STATUS_OK : STATUS_NOT_FOUND;
        }
        enum status status =
            handle(parser, tag.type, bytes + offset + sizeof tag, tag.size - (uint32_t)sizeof tag);
        if (status != STATUS_OK) {
            return status;
        }
        offset += (uint32_t)align_up(tag.size, 8);
    }
    return STATUS_MALFORMED; // no end tag
}

enum status multiboot2_parse(const void *data, size_t size, struct boot_information *information,
                             struct multiboot2_memory *memory)
{
    uint32_t total;
    if (size < 16) {
        return STATUS_MALFORMED;
    }
    memcpy(&total, data, sizeof total);
    if (total < 16 || total > size || total > INT32_MAX) {
        return STATUS_MALFORMED;
    }
    memset(information, 0, sizeof *information);
    memory->count = 0;
    struct parser parser = {information, memory};
    return parse_tags(&parser, data, total);
}
