// SPDX-License-Identifier: MIT
// See fixture.h.
#include "test/host/load/fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t random_state;

struct fixture *fixture_new(uint64_t bytes)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->ram_bytes = bytes;
    fixture->ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(fixture->ram != MAP_FAILED);
    guest_memory_init(&fixture->memory);
    assert_int_equal(guest_memory_add(&fixture->memory, gpa(0), bytes, fixture->ram, false),
                     STATUS_OK);
    fixture->request.memory = &fixture->memory;
    fixture->request.memory_bytes = bytes;
    fixture->request.modules = fixture->modules;
    fixture->request.kernel.file = "kernel.img";
    return fixture;
}

static void free_image(struct load_image *image)
{
    free((void *)(uintptr_t)image->bytes);
    image->bytes = NULL;
}

void fixture_free(struct fixture *fixture)
{
    free_image(&fixture->request.kernel);
    free_image(&fixture->request.initrd);
    for (uint32_t i = 0; i < fixture->request.module_count; i++) {
        free_image(&fixture->modules[i]);
    }
    munmap(fixture->ram, fixture->ram_bytes);
    free(fixture);
}

static const uint8_t *copy_bytes(const void *bytes, uint64_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    assert_non_null(copy);
    if (size != 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

void fixture_kernel(struct fixture *fixture, const void *bytes, uint64_t size)
{
    free_image(&fixture->request.kernel);
    fixture->request.kernel.bytes = copy_bytes(bytes, size);
    fixture->request.kernel.size = size;
}

void fixture_initrd(struct fixture *fixture, uint64_t size)
{
    uint8_t *bytes = malloc(size);

    assert_non_null(bytes);
    memset(bytes, 0x5a, size);
    free_image(&fixture->request.initrd);
    fixture->request.initrd = (struct load_image){bytes, size, "initrd.img", NULL};
}

void fixture_module(struct fixture *fixture, const void *bytes, uint64_t size,
                    const char *arguments)
{
    fixture->modules[fixture->request.module_count++] =
        (struct load_image){copy_bytes(bytes, size), size, "module.bin", arguments};
}

void fixture_accept(struct fixture *fixture)
{
    enum status status = load_guest(&fixture->request, &fixture->entry, &fixture->report);

    if (status != STATUS_OK) {
        fail_msg("refused: %s", fixture->report.text);
    }
    assert_string_equal(fixture->report.text, "");
    assert_true(fixture->entry.type != LOAD_AUTO);
    assert_true(fixture->entry.summary[0] != '\0');
}

void fixture_refuse(struct fixture *fixture, enum status status, const char *begin,
                    const char *found)
{
    struct load_entry untouched;

    memset(&fixture->entry, 0xa5, sizeof(fixture->entry));
    untouched = fixture->entry;
    enum status result = load_guest(&fixture->request, &fixture->entry, &fixture->report);
    const char *text = fixture->report.text;
    if (result != status || strncmp(text, begin, strlen(begin)) != 0 ||
        strstr(text, found) == NULL || strstr(text, "found ") == NULL) {
        fail_msg("status %d, text \"%s\"; expected %d, \"%s\" and \"%s\"", result, text, status,
                 begin, found);
    }
    assert_null(strchr(text, '\n'));
    assert_memory_equal(&fixture->entry, &untouched, sizeof(untouched));
}

uint64_t make_elf64(uint8_t *image, uint64_t physical, uint64_t virtual)
{
    uint8_t *program = image + 64;

    memset(image, 0, 0x1000);
    memset(image + 0x1000, 0x90, 0x1000);
    put64(image, 0x00010102464c457full);
    put16(image + 16, 2);
    put16(image + 18, 62);
    put32(image + 20, 1);
    put64(image + 24, virtual);
    put64(image + 32, 64);
    put16(image + 52, 64);
    put16(image + 54, 56);
    put16(image + 56, 1);
    put32(program, 1);
    put64(program + 8, 0x1000);
    put64(program + 16, virtual);
    put64(program + 24, physical);
    put64(program + 32, 0x1000);
    put64(program + 40, 0x2000);
    return 0x2000;
}

uint64_t make_elf32(uint8_t *image, uint32_t physical, uint32_t flags)
{
    uint8_t *program = image + 52;

    memset(image, 0, 0x1000);
    memset(image + 0x1000, 0x90, 0x1000);
    put64(image, 0x00010101464c457full);
    put16(image + 16, 2);
    put16(image + 18, 3);
    put32(image + 20, 1);
    put32(image + 24, physical + 0x20);
    put32(image + 28, 52);
    put16(image + 42, 32);
    put16(image + 44, 1);
    put32(program, 1);
    put32(program + 4, 0x1000);
    put32(program + 8, physical);
    put32(program + 12, physical);
    put32(program + 16, 0x1000);
    put32(program + 20, 0x2000);
    if (flags != UINT32_MAX) {
        put32(image + 0x1000, 0x1badb002);
        put32(image + 0x1004, flags);
        put32(image + 0x1008, 0u - 0x1badb002 - flags);
    }
    return 0x2000;
}

void random_seed(uint64_t seed)
{
    printf("random seed %llu\n", (unsigned long long)seed);
    random_state = seed * 2 + 1;
}

uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % limit;
}

// The header fields lie in the first bytes, so most changes go there.
static void mutate_bytes(uint8_t *bytes, uint64_t size)
{
    static const uint8_t interesting[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
    static const uint32_t limits[] = {128, 1024, UINT32_MAX};
    unsigned changes = 1 + random_below(4);

    for (unsigned i = 0; i < changes && size != 0; i++) {
        uint32_t limit = limits[random_below(ARRAY_COUNT(limits))];
        uint32_t at = random_below(size < limit ? (uint32_t)size : limit);

        bytes[at] = random_below(2) == 0 ? interesting[random_below(sizeof(interesting))]
                                         : (uint8_t)random_below(256);
    }
}

void fixture_mutate(struct fixture *fixture, unsigned rounds)
{
    struct load_image original = fixture->request.kernel;
    unsigned accepted = 0;

    for (unsigned round = 0; round < rounds; round++) {
        uint64_t size =
            random_below(4) == 0 ? random_below((uint32_t)original.size + 1) : original.size;
        uint8_t *bytes = malloc(size == 0 ? 1 : size);

        assert_non_null(bytes);
        memcpy(bytes, original.bytes, size);
        mutate_bytes(bytes, size);
        fixture->request.kernel.bytes = bytes;
        fixture->request.kernel.size = size;
        enum status status = load_guest(&fixture->request, &fixture->entry, &fixture->report);
        assert_int_equal(status == STATUS_OK, fixture->report.text[0] == '\0');
        accepted += status == STATUS_OK;
        free(bytes);
    }
    printf("%u of %u mutations were accepted\n", accepted, rounds);
    fixture->request.kernel = original;
}
