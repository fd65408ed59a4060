// SPDX-License-Identifier: MIT
// Fuzzes everything that reads what others wrote before a VM runs: the boot loader's information,
// program files, the firmware's tables, the configuration text. The first byte chooses.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "arch/x86/boot/multiboot2.h"
#include "kernel/process/elf_parser.h"
#include "vmm/config/config.h"

#define USER_LOWEST 0x10000ull
#define USER_END    0x800000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

// A copy of exactly that size, aligned to 8, so that the sanitizer sees a read past its end.
static uint8_t *copy(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size == 0 ? 1 : size);

    REQUIRE(bytes != NULL);
    memcpy(bytes, data, size);
    return bytes;
}

static void parse_boot_information(const uint8_t *data, size_t size)
{
    static struct boot_information information;

    if (multiboot2_parse(data, size, &information) != STATUS_OK)
        return;
    REQUIRE(information.memory_count <= BOOT_MEMORY_MAXIMUM);
    REQUIRE(information.module_count <= BOOT_MODULE_MAXIMUM);
    for (uint32_t i = 0; i < information.memory_count; i++) {
        const struct boot_memory *region = &information.memory[i];

        REQUIRE(region->start < region->end && ((region->start | region->end) & 0xfff) == 0);
        REQUIRE(i == 0 || region[-1].end <= region->start);
    }
    for (uint32_t i = 0; i < information.module_count; i++)
        REQUIRE(memchr(information.modules[i].line, 0, BOOT_LINE_SIZE) != NULL);
    (void)boot_command_line_number(&information, "cpus=", 1);
}

static void parse_program(const uint8_t *data, size_t size)
{
    struct elf_image image;
    const char *reason = NULL;

    if (elf_parse(data, size, USER_LOWEST, USER_END, &image, &reason) != STATUS_OK) {
        REQUIRE(reason != NULL);
        return;
    }
    REQUIRE(image.segment_count <= ELF_SEGMENT_MAXIMUM);
    for (uint32_t i = 0; i < image.segment_count; i++) {
        const struct elf_segment *segment = &image.segments[i];

        REQUIRE(segment->file_offset <= size && segment->file_size <= size - segment->file_offset);
        REQUIRE(segment->memory_size >= segment->file_size && segment->address >= USER_LOWEST);
        REQUIRE(segment->address < USER_END && segment->memory_size <= USER_END - segment->address);
        REQUIRE(!(segment->writable && segment->executable));
    }
}

static bool lies_in(struct config_text text, const uint8_t *data, size_t size)
{
    uintptr_t start = (uintptr_t)text.start;

    return text.length == 0 || (start >= (uintptr_t)data && text.length <= size &&
                                start - (uintptr_t)data <= size - text.length);
}

static void parse_config(const uint8_t *data, size_t size)
{
    static struct config config;
    struct config_error error;

    if (config_parse((const char *)data, size, &config, &error) != STATUS_OK) {
        REQUIRE(error.message[0] != '\0' && memchr(error.message, 0, sizeof(error.message)));
        return;
    }
    REQUIRE(config.vm_count >= 1 && config.vm_count <= CONFIG_VM_MAXIMUM);
    for (uint32_t i = 0; i < config.vm_count; i++) {
        struct config_vm *vm = &config.vms[i];
        static struct config_vm again;

        REQUIRE(lies_in(vm->section, data, size) && lies_in(vm->append, data, size));
        REQUIRE(vm->module_count <= CONFIG_MODULE_MAXIMUM);
        // What the console accepts, the monitor accepts.
        REQUIRE(config_parse_section(vm->section.start, vm->section.length, &again, &error) ==
                STATUS_OK);
        REQUIRE(again.memory == vm->memory && again.vcpus == vm->vcpus);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *bytes = copy(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        parse_boot_information(bytes, size - 1);
        break;
    case 1:
        parse_program(bytes, size - 1);
        break;
    default:
        parse_config(bytes, size - 1);
        break;
    }
    free(bytes);
    return 0;
}
