// SPDX-License-Identifier: MIT
// libFuzzer entries of the guest loaders: the first input byte chooses the type and the way into a
// bzImage, the rest is the kernel. An image that is accepted is loaded into 32 MiB of guest memory
// that the sanitizer watches.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/devices/guest_memory.h"
#include "vmm/load/load.h"
#include "vmm/load/lz4.h"

#define MEMORY (32ull << 20)
#define OUTPUT 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_loader(uint8_t choice, const uint8_t *data, size_t size)
{
    static uint8_t *ram;
    static const uint8_t initrd[100];
    struct guest_memory memory;
    struct load_entry entry;
    struct load_report report;

    if (ram == NULL) {
        ram = calloc(1, MEMORY);
    }
    guest_memory_init(&memory);
    if (ram == NULL || guest_memory_add(&memory, gpa(0), MEMORY, ram, false) != STATUS_OK) {
        abort();
    }
    struct load_request request = {
        .type = (enum load_type)(choice % LOAD_TYPE_COUNT),
        .linux_entry = (choice & 0x40) != 0 ? LOAD_LINUX_BZIMAGE : LOAD_LINUX_UNPACK,
        .kernel = {data, size, "kernel", NULL},
        .initrd = {(choice & 0x20) != 0 ? initrd : NULL, sizeof(initrd), "initrd", NULL},
        .command_line = "a b=c",
        .memory_bytes = MEMORY,
        .memory = &memory,
        .rsdp = 0xe0000,
    };
    enum status status = load_guest(&request, &entry, &report);
    // A refusal always says why.
    if ((status == STATUS_OK) != (report.text[0] == '\0')) {
        abort();
    }
}

static void fuzz_lz4(const uint8_t *data, size_t size)
{
    uint8_t *output = malloc(OUTPUT);
    uint64_t written;

    if (output == NULL) {
        abort();
    }
    if (lz4_decode_block(data, size, output, OUTPUT, &written) == STATUS_OK && written > OUTPUT) {
        abort();
    }
    free(output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if ((data[0] & 0x80) != 0) {
        fuzz_lz4(data + 1, size - 1);
    } else {
        fuzz_loader(data[0], data + 1, size - 1);
    }
    return 0;
}
