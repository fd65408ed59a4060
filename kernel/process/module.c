// SPDX-License-Identifier: MIT
// The boot modules (module.h).
#include "kernel/process/module.h"
#include "kernel/lib/string.h"
#include "kernel/memory/memory.h"

static const struct boot_information *boot;

void module_init(const struct boot_information *information)
{
    boot = information;
    for (uint32_t i = 0; i < boot->module_count; i++) {
        uint64_t bytes = boot->modules[i].size;
        uint8_t *end = (uint8_t *)memory_pointer(boot->modules[i].start) + bytes;

        memset(end, 0, align_up(bytes, PAGE_SIZE) - bytes);
    }
}

uint32_t module_count(void)
{
    return boot->module_count;
}

static void copy_text(char *destination, size_t size, const char *source, size_t length)
{
    if (length > size - 1) {
        length = size - 1;
    }
    memcpy(destination, source, length);
    destination[length] = 0;
}

enum status module_describe(uint64_t index, struct module_info *info)
{
    if (index >= boot->module_count) {
        return STATUS_NOT_FOUND;
    }
    const char *line = boot->modules[index].line;
    while (*line == ' ') {
        line++;
    }
    size_t length = 0;
    while (line[length] != '\0' && line[length] != ' ') {
        length++;
    }
    const char *rest = line + length + (line[length] == ' ');

    memset(info, 0, sizeof(*info));
    info->bytes = boot->modules[index].size;
    copy_text(info->name, sizeof(info->name), line, length);
    copy_text(info->arguments, sizeof(info->arguments), rest, strlen(rest));
    return STATUS_OK;
}

uint32_t module_find(const char *name)
{
    struct module_info info;

    for (uint32_t i = 0; i < boot->module_count; i++) {
        if (module_describe(i, &info) == STATUS_OK && strcmp(info.name, name) == 0) {
            return i;
        }
    }
    return MODULE_NONE;
}

hpa_t module_start(uint32_t index)
{
    return boot->modules[index].start;
}

uint64_t module_bytes(uint32_t index)
{
    return boot->modules[index].size;
}
