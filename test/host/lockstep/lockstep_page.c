// SPDX-License-Identifier: MIT
// Lock-step: kernel/memory/page_allocator.c, called by several CPUs, and the specification of the
// page allocator, which does not know what CPUs keep at hand.
#include <stdlib.h>
#include <string.h>
#include "arch/x86/cpu/cpu.h"
#include "kernel/memory/page_allocator.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/page.h"

#define RAM_BYTES (SPEC_BLOCKS * LARGE_PAGE_SIZE)
#define CPUS      2u

static struct page_allocator allocator;
static struct spec_pages spec;
static uint8_t *ram;
static uint32_t cpu; // that makes the calls

// Everything of the allocator, as it was before a call.
static struct page_allocator before;
static struct page_block blocks_before[SPEC_BLOCKS];
static uint32_t order_before[SPEC_BLOCKS];
static uint32_t places_before[SPEC_BLOCKS];
static uint16_t owners_before[SPEC_PAGES];

static void snapshot(void)
{
    before = allocator;
    memcpy(blocks_before, allocator.blocks, sizeof(blocks_before));
    memcpy(order_before, allocator.order, sizeof(order_before));
    memcpy(places_before, allocator.places, sizeof(places_before));
    memcpy(owners_before, (const void *)allocator.owners, sizeof(owners_before));
}

// -- calls, on the CPU ----------------------------------------------------------------------------

struct call {
    uint32_t owner;
    uint64_t size;
    enum page_fill fill;
    hpa_t page;
    enum status status;
};

static void call_allocate(void *argument)
{
    struct call *call = argument;

    call->status = page_allocate(&allocator, call->owner, call->size, call->fill, &call->page);
}

static void call_free(void *argument)
{
    struct call *call = argument;

    call->status = page_free(&allocator, call->owner, call->page, call->size);
}

static void call_free_count(void *count)
{
    *(uint64_t *)count = page_free_count(&allocator);
}

// -- what CPUs keep -------------------------------------------------------------------------------

// How many pages of a block they keep.
static uint32_t kept_of(uint32_t block)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < CPUS; i++) {
        for (uint32_t k = 0; k < cpu_of(i)->free_page_count; k++) {
            count += cpu_of(i)->free_pages[k] / SPEC_BLOCK_PAGES == block;
        }
    }
    return count;
}

// What is free to a CPU: all but what others keep.
static struct spec_pages free_to(uint32_t caller)
{
    struct spec_pages pages = spec;

    for (uint32_t i = 0; i < CPUS; i++) {
        for (uint32_t k = 0; i != caller && k < cpu_of(i)->free_page_count; k++) {
            uint32_t number = cpu_of(i)->free_pages[k];

            pages.owner[number] = SPEC_OWNER_NONE;
            pages.free[number / SPEC_BLOCK_PAGES]--;
        }
    }
    return pages;
}

// -- comparing ----------------------------------------------------------------------------------

enum block_state { BLOCK_WHOLE, BLOCK_PARTIAL, BLOCK_FULL };

static enum block_state state_of(uint32_t block)
{
    uint32_t free = spec.free[block] - kept_of(block);

    if (free == 0) {
        return BLOCK_FULL;
    }
    return free == SPEC_BLOCK_PAGES ? BLOCK_WHOLE : BLOCK_PARTIAL;
}

static bool is_kept(uint32_t page)
{
    for (uint32_t i = 0; i < CPUS; i++) {
        for (uint32_t k = 0; k < cpu_of(i)->free_page_count; k++) {
            if (cpu_of(i)->free_pages[k] == page) {
                return true;
            }
        }
    }
    return false;
}

// The block's count and place are what the owners of its pages, and what CPUs keep, say.
static void compare_block(uint32_t index)
{
    const struct page_block *block = &allocator.blocks[index];

    lockstep_equal("free pages of a block", block->free_count, spec.free[index] - kept_of(index));
    lockstep_equal("the block at a block's place", allocator.order[allocator.places[index]], index);
    lockstep_equal("among the whole blocks", allocator.places[index] < allocator.whole,
                   state_of(index) == BLOCK_WHOLE);
    lockstep_equal("among the usable blocks", allocator.places[index] < allocator.usable,
                   state_of(index) != BLOCK_FULL);
    for (uint32_t i = 0; i < block->lowest; i++) {
        uint32_t page = index * SPEC_BLOCK_PAGES + i;

        lockstep_equal("free before the lowest",
                       spec.owner[page] == SPEC_OWNER_FREE && !is_kept(page), 0);
    }
}

static void compare_order(void)
{
    uint32_t count[BLOCK_FULL + 1] = {0};

    for (uint32_t i = 0; i < SPEC_BLOCKS; i++) {
        count[state_of(i)]++;
    }
    lockstep_equal("whole blocks", allocator.whole, count[BLOCK_WHOLE]);
    lockstep_equal("broken blocks", allocator.usable - allocator.whole, count[BLOCK_PARTIAL]);
    lockstep_equal("lock", allocator.lock.last, allocator.lock.turn);
}

static void compare_all(void)
{
    uint64_t count;

    for (uint32_t i = 0; i < SPEC_BLOCKS; i++) {
        compare_block(i);
    }
    host_on_cpu(cpu, call_free_count, &count);
    lockstep_equal("free pages", count, page_free_count_spec(&spec));
}

// The owners are the specification's, and say in which size a page was given out, or that a CPU
// keeps it.
static void compare_owners(const char *what)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < SPEC_PAGES; i++) {
        bool is_one = allocator.owners[i] == PAGE_OWNER_KEPT && is_kept(i);
        bool large = spec.large[i / SPEC_BLOCK_PAGES] || is_one;
        uint32_t owner = spec.owner[i] | (large ? PAGE_OWNER_LARGE : 0);

        if (allocator.owners[i] != owner) {
            lockstep_fail("%s: page %u has owner 0x%x and not 0x%x", what, i, allocator.owners[i],
                          owner);
        }
        kept += is_one;
    }
    for (uint32_t i = 0; i < CPUS; i++) {
        kept -= (uint32_t)cpu_of(i)->free_page_count;
    }
    lockstep_equal("pages that say they are kept and are not", kept, 0);
}

// With the lock taken a CPU may begin or cease to keep free pages.
static void forgive_keeping(void)
{
    for (uint32_t i = 0; i < SPEC_PAGES; i++) {
        if (page_owner(&allocator, hpa(i * PAGE_SIZE)) == PAGE_OWNER_FREE &&
            (owners_before[i] == PAGE_OWNER_FREE || owners_before[i] == PAGE_OWNER_KEPT)) {
            owners_before[i] = allocator.owners[i];
        }
    }
}

// Of the allocator only the pages [first, first + count) changed and, with the lock taken, blocks,
// their order and counters.
static void only(const char *what, uint64_t first, uint64_t count)
{
    bool locked = allocator.lock.last != before.lock.last;
    const struct lockstep_field changed[] = {
        LOCKSTEP_FIELD(allocator.lock), LOCKSTEP_FIELD(allocator.whole),
        LOCKSTEP_FIELD(allocator.usable), LOCKSTEP_FIELD(allocator.free_pages)};
    const struct lockstep_field pages = {(void *)&allocator.owners[first],
                                         count * sizeof(uint16_t)};
    const struct lockstep_field blocks = {allocator.blocks, sizeof(blocks_before)};
    const struct lockstep_field order = {allocator.order, sizeof(order_before)};
    const struct lockstep_field places = {allocator.places, sizeof(places_before)};

    if (locked) {
        forgive_keeping();
    }
    lockstep_only(what, &allocator, &before, sizeof(before), changed,
                  locked ? ARRAY_COUNT(changed) : 0);
    lockstep_only(what, (const void *)allocator.owners, owners_before, sizeof(owners_before),
                  &pages, count != 0);
    lockstep_only(what, allocator.blocks, blocks_before, sizeof(blocks_before), &blocks, locked);
    lockstep_only(what, allocator.order, order_before, sizeof(order_before), &order, locked);
    lockstep_only(what, allocator.places, places_before, sizeof(places_before), &places, locked);
    if (locked) {
        compare_order();
        compare_block((uint32_t)(first / SPEC_BLOCK_PAGES));
    }
}

// -- operations -----------------------------------------------------------------------------------

static uint32_t any_owner(void)
{
    return lockstep_chance(97) ? lockstep_below(6) : PAGE_OWNER_KERNEL + lockstep_below(3);
}

// Marks a page so that it is seen whether the next owner gets it zeroed, and by whom it is written.
static void write_mark(uint64_t address, uint64_t size)
{
    for (uint64_t at = address; at < address + size; at += PAGE_SIZE) {
        memset(ram + at, (int)(at >> PAGE_SHIFT | 1), lockstep_chance(3) ? PAGE_SIZE : 64);
        ram[at + PAGE_SIZE - 1] = (uint8_t)(at >> PAGE_SHIFT | 1);
    }
}

static bool is_zero(uint64_t address, uint64_t size)
{
    return ram[address] == 0 && memcmp(ram + address, ram + address + 1, size - 1) == 0;
}

// The pages before and after a range that was zeroed keep what they held.
static void check_neighbour(uint64_t address, uint64_t kept)
{
    uint32_t owner = page_owner_spec(&spec, address);

    if (owner <= SPEC_OWNER_MAXIMUM && ram[address] != 0 && kept != 0) {
        lockstep_equal("a neighbour's mark", ram[address], (uint8_t)(address >> PAGE_SHIFT | 1));
    }
}

static void allocate(uint32_t owner, uint64_t size)
{
    enum page_fill fill = lockstep_chance(60) ? PAGE_ZEROED : PAGE_CONTENTS_KEPT;
    struct call call = {owner, size, fill, hpa(1), STATUS_OK};

    snapshot();
    host_on_cpu(cpu, call_allocate, &call);
    hpa_t page = call.page;
    if (call.status != STATUS_OK) {
        struct spec_pages mine = free_to(cpu);

        lockstep_same("allocate", page_allocate_spec(&mine, owner, size, page.value, &mine),
                      call.status);
        lockstep_equal("the page that was not given", page.value, 1);
        only("allocate refused", 0, 0);
        return;
    }
    lockstep_same("allocate", page_allocate_spec(&spec, owner, size, page.value, &spec),
                  call.status);
    only("allocate", page.value / PAGE_SIZE, size / PAGE_SIZE);
    if (size == PAGE_SIZE && allocator.whole < before.whole) {
        lockstep_equal("usable blocks when a whole one is broken", before.usable, before.whole);
    }
    if (fill == PAGE_ZEROED && !is_zero(page.value, size)) {
        lockstep_fail("a page was given out with its last owner's bytes");
    }
    if (page.value >= PAGE_SIZE && page.value + size < RAM_BYTES) {
        check_neighbour(page.value - PAGE_SIZE, 1);
        check_neighbour(page.value + size, 1);
    }
    write_mark(page.value, size);
}

static void release(uint32_t owner, uint64_t address, uint64_t size)
{
    struct call call = {owner, size, PAGE_ZEROED, hpa(address), STATUS_OK};

    snapshot();
    host_on_cpu(cpu, call_free, &call);
    lockstep_same("free", page_free_spec(&spec, owner, address, size, &spec), call.status);
    only("free", address / PAGE_SIZE % (uint64_t)SPEC_PAGES,
         call.status == STATUS_OK ? size / PAGE_SIZE : 0);
}

// Mostly a page that is in use, with its owner and size.
static void release_any(void)
{
    uint64_t page = lockstep_below(SPEC_PAGES);

    for (uint32_t i = 0; i < 200 && spec.owner[page] > SPEC_OWNER_MAXIMUM; i++) {
        page = lockstep_below(SPEC_PAGES);
    }
    uint64_t size = spec.large[page / SPEC_BLOCK_PAGES] ? LARGE_PAGE_SIZE : PAGE_SIZE;
    uint64_t address = align_down(page * PAGE_SIZE, size);
    uint32_t owner = spec.owner[page];
    switch (lockstep_below(40)) {
    case 0:
        size ^= LARGE_PAGE_SIZE ^ PAGE_SIZE;
        break;
    case 1:
        owner = any_owner();
        break;
    case 2:
        address += 1ull << lockstep_below(52);
        break;
    case 3:
        address = lockstep_boundary(RAM_BYTES);
        break;
    case 4:
        size = PAGE_SIZE << lockstep_below(20);
        break;
    default:
        break;
    }
    release(owner, address, size);
}

static void look(void)
{
    uint64_t address = lockstep_chance(80) ? lockstep_random() % RAM_BYTES : lockstep_random();

    snapshot();
    lockstep_equal("owner", page_owner(&allocator, hpa(address)), page_owner_spec(&spec, address));
    lockstep_counted(SPEC_ALLOWED);
    only("owner", 0, 0);
}

// The kernel chooses well; that the specification would refuse another choice is seen here.
static void check_choice(void)
{
    uint64_t address = lockstep_below(SPEC_PAGES) * PAGE_SIZE;

    struct spec_pages other;
    enum spec_rule rule = page_allocate_spec(&spec, 0, PAGE_SIZE, address, &other);
    if (rule != SPEC_ALLOWED) {
        lockstep_counted(rule);
        compare_all();
    }
}

static void start(void)
{
    const struct page_range usable[] = {
        {(SPEC_BLOCKS / 2 + 1) * LARGE_PAGE_SIZE, RAM_BYTES},
        {1 << 20, SPEC_BLOCKS / 2 * LARGE_PAGE_SIZE},
    };

    memset(ram, 0xa5, RAM_BYTES);
    for (uint32_t i = 0; i < CPUS; i++) {
        cpu_of(i)->free_page_count = 0; // they were another allocator's
    }
    if (page_allocator_init(&allocator, usable, 2, ram) != STATUS_OK) {
        lockstep_fail("the allocator does not start");
    }
    // The descriptors lie at the end of the first range.
    uint64_t first = ((uint64_t)((const uint8_t *)allocator.owners - ram)) / PAGE_SIZE;
    spec_pages_init(&spec);
    spec_pages_add(&spec, usable[0].start / PAGE_SIZE, first);
    spec_pages_add(&spec, usable[1].start / PAGE_SIZE, usable[1].end / PAGE_SIZE);
    lockstep_equal("pages", allocator.total_pages, page_free_count_spec(&spec));
    compare_all();
}

// In turns more is taken, so that memory runs out, and more is given back.
static void step(uint64_t number)
{
    uint32_t grow = number / 10000 % 2 == 0 ? 92 : 20;

    cpu = lockstep_below(CPUS);
    uint64_t size = lockstep_chance(3) ? LARGE_PAGE_SIZE : PAGE_SIZE;

    if (lockstep_chance(5)) {
        look();
    } else if (lockstep_chance(grow)) {
        allocate(any_owner(), lockstep_chance(99) ? size : PAGE_SIZE << lockstep_below(20));
    } else {
        release_any();
    }
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_PAGE};

    lockstep_begin(argc, argv, "page allocator", 150000);
    ram = aligned_alloc(LARGE_PAGE_SIZE, RAM_BYTES);
    if (ram == NULL) {
        lockstep_fail("no memory for the test");
    }
    host_machine_start(CPUS);
    for (uint64_t i = 0; lockstep_more(); i++) {
        if (i % 50000 == 0) {
            start();
        }
        step(i);
        if (i % 20 == 0) {
            compare_owners("after some steps");
        }
        if (i % 200 == 0) {
            compare_all();
            check_choice();
        }
    }
    compare_all();
    free(ram);
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
