// SPDX-License-Identifier: MIT
// The search for a multiboot1 header. Pure.
#include "vmm/load/multiboot_header.h"

#define SEARCH_BYTES         8192u
#define HEADER_BYTES         12u // magic number, flags, checksum
#define HEADER_ADDRESS_BYTES 32u // the address fields included

static void read_header(const uint8_t *bytes, uint64_t offset, uint64_t limit,
                        struct multiboot_header *header)
{
    const uint8_t *fields = bytes + offset;

    *header = (struct multiboot_header){.offset = offset, .flags = get32(fields + 4)};
    if ((header->flags & MULTIBOOT_ADDRESSES) == 0) {
        return;
    }
    header->cut_off = limit - offset < HEADER_ADDRESS_BYTES;
    if (header->cut_off) {
        return;
    }
    header->header_address = get32(fields + 12);
    header->load_address = get32(fields + 16);
    header->load_end = get32(fields + 20);
    header->bss_end = get32(fields + 24);
    header->entry = get32(fields + 28);
}

bool multiboot_find(const uint8_t *bytes, uint64_t size, struct multiboot_header *header,
                    uint64_t *bad_checksum)
{
    uint64_t limit = size < SEARCH_BYTES ? size : SEARCH_BYTES;

    *bad_checksum = UINT64_MAX;
    for (uint64_t offset = 0; offset + HEADER_BYTES <= limit; offset += 4) {
        const uint8_t *fields = bytes + offset;

        if (get32(fields) != MULTIBOOT_HEADER_MAGIC) {
            continue;
        }
        if ((uint32_t)(get32(fields) + get32(fields + 4) + get32(fields + 8)) == 0) {
            read_header(bytes, offset, size, header);
            return true;
        }
        *bad_checksum = *bad_checksum == UINT64_MAX ? offset : *bad_checksum;
    }
    return false;
}
