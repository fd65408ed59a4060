// SPDX-License-Identifier: MIT
// The page walk: one loop for all formats, which differ by a row of numbers. Entries are read once;
// accessed and dirty bits go in by compare-and-swap, and a lost race walks again.
#include "vmm/monitor/guest_walk.h"
#include "kernel/lib/processor.h"
#include "vmm/devices/guest_memory.h"

#define ENTRY_PRESENT    (1ull << 0)
#define ENTRY_WRITE      (1ull << 1)
#define ENTRY_USER       (1ull << 2)
#define ENTRY_ACCESSED   (1ull << 5)
#define ENTRY_DIRTY      (1ull << 6)
#define ENTRY_LARGE      (1ull << 7)
#define ENTRY_NO_EXECUTE (1ull << 63)
#define ENTRY_ADDRESS    0x000ffffffffff000ull

#define ERROR_PROTECTION (1u << 0)
#define ERROR_WRITE      (1u << 1)
#define ERROR_USER       (1u << 2)
#define ERROR_RESERVED   (1u << 3)
#define ERROR_FETCH      (1u << 4)

#define LEVELS_MAXIMUM 4u
#define RETRIES        16u // walks lost to another vCPU before we give up

// One table format. Level 1 is the last.
struct paging_format {
    uint8_t levels;
    uint8_t entry_bytes;
    uint8_t index_bits;
    uint8_t large_levels;  // bit n: an entry of level n may map a page
    uint64_t root_mask;    // CR3 bits that hold the first table's address
    uint64_t reserved;     // bits that must be zero in every entry below the top level
    uint64_t top_reserved; // and in an entry of the top level
};

static const struct paging_format format_32 = {2, 4, 10, 0, 0xfffff000u, 0, 0};
static const struct paging_format format_32_large = {2, 4, 10, 1u << 2, 0xfffff000u, 0, 0};
static const struct paging_format format_pae = {
    3, 8, 9, 1u << 2, 0xffffffe0u, 0x7ff0000000000000ull, 0x7ff00000000001e6ull};
static const struct paging_format format_64 = {4, 8,          9, 1u << 2 | 1u << 3, ENTRY_ADDRESS,
                                               0, ENTRY_LARGE};

struct walk {
    struct guest_memory *memory;
    const struct guest_paging *paging;
    const struct paging_format *format;
    uint64_t address;
    uint32_t access;
    unsigned level;                 // of the entry that maps the page
    uint64_t entry[LEVELS_MAXIMUM]; // as read, by level - 1
    uint64_t place[LEVELS_MAXIMUM]; // their guest-physical addresses
    uint64_t allowed;               // ENTRY_WRITE, ENTRY_USER and-ed, ENTRY_NO_EXECUTE or-ed
};

struct guest_paging guest_paging_of(const struct vcpu_page *page)
{
    return (struct guest_paging){
        .cr0 = page->cr0,
        .cr3 = page->cr3,
        .cr4 = page->cr4,
        .efer = page->efer,
        .rflags = page->rflags,
        .user = emulate_cpl(page) == 3,
    };
}

static const struct paging_format *format_of(const struct guest_paging *paging)
{
    if (!(paging->cr4 & CR4_PAE))
        return paging->cr4 & CR4_PSE ? &format_32_large : &format_32;
    return paging->efer & EFER_LMA ? &format_64 : &format_pae;
}

// Host address of an entry, or null outside RAM.
static void *entry_pointer(const struct walk *walk, uint64_t place)
{
    unsigned bytes = walk->format->entry_bytes;
    void *pointer = guest_memory_pointer(walk->memory, gpa(place), bytes);

    return is_aligned((uintptr_t)pointer, bytes) ? pointer : NULL;
}

static uint64_t entry_read(const struct walk *walk, uint64_t place)
{
    void *pointer = entry_pointer(walk, place);

    if (pointer == NULL)
        return 0;
    if (walk->format->entry_bytes == 4)
        return __atomic_load_n((const uint32_t *)pointer, __ATOMIC_RELAXED);
    return __atomic_load_n((const uint64_t *)pointer, __ATOMIC_RELAXED);
}

static bool is_read_only(const struct guest_memory *memory, uint64_t place)
{
    for (unsigned i = 0; i < memory->count; i++) {
        if (place - memory->range[i].start < memory->range[i].size)
            return memory->range[i].read_only;
    }
    return true;
}

// Adds bits to an entry; false when it is no longer what the walk read.
static bool entry_update(struct walk *walk, unsigned level, uint64_t bits)
{
    uint64_t place = walk->place[level - 1];
    uint64_t *entry = &walk->entry[level - 1];
    uint64_t before = *entry;
    void *pointer;

    if ((before & bits) == bits || is_read_only(walk->memory, place))
        return true;
    pointer = entry_pointer(walk, place);
    *entry |= bits;
    if (walk->format->entry_bytes == 4) {
        uint32_t expected = (uint32_t)before;

        return __atomic_compare_exchange_n((uint32_t *)pointer, &expected, (uint32_t)*entry, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
    return __atomic_compare_exchange_n((uint64_t *)pointer, &before, *entry, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

// Entries of a PAE page-directory-pointer table carry neither rights nor an accessed bit.
static bool is_plain(const struct walk *walk, unsigned level)
{
    return walk->format == &format_pae && level == 3;
}

static unsigned shift_of(const struct walk *walk, unsigned level)
{
    return PAGE_SHIFT + (level - 1) * walk->format->index_bits;
}

static bool maps_page(const struct walk *walk, uint64_t entry, unsigned level)
{
    return level == 1 || ((entry & ENTRY_LARGE) && (walk->format->large_levels >> level & 1));
}

// "Reserved bits": those of the format, NX without EFER.NXE, and low address bits of a large page.
static bool breaks_reserved(const struct walk *walk, uint64_t entry, unsigned level)
{
    const struct paging_format *format = walk->format;
    uint64_t reserved = level == format->levels ? format->top_reserved : format->reserved;

    if (!(walk->paging->efer & EFER_NXE))
        reserved |= ENTRY_NO_EXECUTE;
    if (level > 1 && maps_page(walk, entry, level)) {
        if (format->entry_bytes == 4)
            reserved |= 1u << 21; // bits 20:13 hold address bits 39:32
        else
            reserved |= ((1ull << shift_of(walk, level)) - 1) & ~0x1fffull;
    }
    return (entry & reserved) != 0;
}

static uint32_t error_code_of(const struct walk *walk, uint32_t cause)
{
    const struct guest_paging *paging = walk->paging;

    if (walk->access & EMULATE_WRITE)
        cause |= ERROR_WRITE;
    if (paging->user)
        cause |= ERROR_USER;
    if ((walk->access & EMULATE_FETCH) &&
        ((paging->cr4 & CR4_SMEP) || ((paging->cr4 & CR4_PAE) && (paging->efer & EFER_NXE))))
        cause |= ERROR_FETCH;
    return cause;
}

static enum status page_fault(const struct walk *walk, uint32_t cause, struct emulate_fault *fault)
{
    *fault = (struct emulate_fault){.vector = EMULATE_VECTOR_PAGE,
                                    .has_error_code = true,
                                    .error_code = error_code_of(walk, cause),
                                    .address = walk->address};
    return STATUS_FAULT;
}

// From the root down to the entry that maps the page.
static enum status descend(struct walk *walk, struct emulate_fault *fault)
{
    const struct paging_format *format = walk->format;
    uint64_t index_mask = (1u << format->index_bits) - 1;
    uint64_t table = walk->paging->cr3 & format->root_mask;

    walk->allowed = ENTRY_WRITE | ENTRY_USER;
    for (unsigned level = format->levels;; level--) {
        uint64_t index = (walk->address >> shift_of(walk, level)) & index_mask;
        uint64_t place = table + index * format->entry_bytes;
        uint64_t entry = entry_read(walk, place);

        if (!(entry & ENTRY_PRESENT))
            return page_fault(walk, 0, fault);
        if (UNLIKELY(breaks_reserved(walk, entry, level)))
            return page_fault(walk, ERROR_PROTECTION | ERROR_RESERVED, fault);
        walk->level = level;
        walk->place[level - 1] = place;
        walk->entry[level - 1] = entry;
        if (!is_plain(walk, level))
            walk->allowed =
                (walk->allowed & (entry | ENTRY_NO_EXECUTE)) | (entry & ENTRY_NO_EXECUTE);
        if (maps_page(walk, entry, level))
            return STATUS_OK;
        table = entry & ENTRY_ADDRESS;
    }
}

// "Determination of Access Rights"
static bool is_permitted(const struct walk *walk)
{
    const struct guest_paging *paging = walk->paging;
    bool user_page = walk->allowed & ENTRY_USER;

    if (paging->user && !user_page)
        return false;
    if ((walk->access & EMULATE_WRITE) && !(walk->allowed & ENTRY_WRITE) &&
        (paging->user || (paging->cr0 & CR0_WP)))
        return false;
    if (walk->access & EMULATE_FETCH) {
        if (walk->allowed & ENTRY_NO_EXECUTE)
            return false;
        return paging->user || !user_page || !(paging->cr4 & CR4_SMEP);
    }
    return paging->user || !user_page || !(paging->cr4 & CR4_SMAP) || (paging->rflags & RFLAGS_AC);
}

// Accessed in every entry used, dirty in the last. False: walk again.
static bool mark_used(struct walk *walk)
{
    for (unsigned level = walk->format->levels; level >= walk->level; level--) {
        uint64_t bits = ENTRY_ACCESSED;

        if (level == walk->level && (walk->access & EMULATE_WRITE))
            bits |= ENTRY_DIRTY;
        if (!is_plain(walk, level) && !entry_update(walk, level, bits))
            return false;
    }
    return true;
}

static gpa_t page_address(const struct walk *walk)
{
    uint64_t entry = walk->entry[walk->level - 1];
    uint64_t offset_mask = (1ull << shift_of(walk, walk->level)) - 1;
    uint64_t frame = entry & ENTRY_ADDRESS & ~offset_mask;

    if (walk->format->entry_bytes == 4 && walk->level == 2)
        frame |= (entry & 0x1fe000u) << 19; // 4 MiB page: bits 20:13 are address bits 39:32
    return gpa(frame | (walk->address & offset_mask));
}

static void record(const struct walk *walk, struct guest_walk_trace *trace)
{
    trace->count = 0;
    if (walk->format->entry_bytes != 8) {
        trace->count = GUEST_WALK_UNKNOWN;
        return;
    }
    for (unsigned level = walk->format->levels; level >= walk->level; level--) {
        trace->entry[trace->count] = entry_pointer(walk, walk->place[level - 1]);
        trace->value[trace->count] = walk->entry[level - 1];
        trace->count++;
    }
}

static enum status walk_tables(struct walk *walk, struct emulate_fault *fault)
{
    for (unsigned i = 0; i < RETRIES; i++) {
        enum status status = descend(walk, fault);

        if (status != STATUS_OK)
            return status;
        if (!is_permitted(walk))
            return page_fault(walk, ERROR_PROTECTION, fault);
        if (mark_used(walk))
            return STATUS_OK;
    }
    return STATUS_BUSY;
}

enum status guest_walk_traced(struct guest_memory *memory, const struct guest_paging *paging,
                              gva_t address, uint32_t access, gpa_t *result,
                              struct emulate_fault *fault, struct guest_walk_trace *trace)
{
    struct walk walk;
    enum status status;

    if (!(paging->efer & EFER_LMA))
        address.value &= 0xffffffffu; // an access wraps at 4 GiB
    if (!(paging->cr0 & CR0_PG)) {
        trace->count = 0;
        *result = gpa(address.value);
        return STATUS_OK;
    }
    if ((paging->cr4 & CR4_LA57) && (paging->efer & EFER_LMA))
        return STATUS_UNSUPPORTED;
    walk.memory = memory;
    walk.paging = paging;
    walk.format = format_of(paging);
    walk.address = address.value;
    walk.access = access;
    status = walk_tables(&walk, fault);
    if (status != STATUS_OK)
        return status;
    record(&walk, trace);
    *result = page_address(&walk);
    return STATUS_OK;
}

enum status guest_walk(struct guest_memory *memory, const struct guest_paging *paging,
                       gva_t address, uint32_t access, gpa_t *result, struct emulate_fault *fault)
{
    struct guest_walk_trace trace;

    return guest_walk_traced(memory, paging, address, access, result, fault, &trace);
}

// Adds the entry of a level to the view. False: the walk ends here.
static bool show_entry(struct walk *walk, unsigned level, uint64_t place,
                       struct guest_walk_view *view)
{
    uint64_t entry = entry_read(walk, place);
    uint32_t at = view->count++;

    view->level[at] = level;
    view->place[at] = place;
    view->entry[at] = entry;
    walk->level = level;
    walk->entry[level - 1] = entry;
    if (entry_pointer(walk, place) == NULL)
        view->end = WALK_OUTSIDE;
    else if (!(entry & ENTRY_PRESENT))
        view->end = WALK_NOT_PRESENT;
    else if (breaks_reserved(walk, entry, level))
        view->end = WALK_RESERVED;
    else
        return true;
    return false;
}

static void show_tables(struct walk *walk, struct guest_walk_view *view)
{
    const struct paging_format *format = walk->format;
    uint64_t index_mask = (1u << format->index_bits) - 1;
    uint64_t table = walk->paging->cr3 & format->root_mask;

    for (unsigned level = format->levels;; level--) {
        uint64_t index = (walk->address >> shift_of(walk, level)) & index_mask;

        if (!show_entry(walk, level, table + index * format->entry_bytes, view))
            return;
        if (maps_page(walk, walk->entry[level - 1], level)) {
            view->end = WALK_MAPPED;
            view->page_shift = shift_of(walk, level);
            view->result = page_address(walk);
            return;
        }
        table = walk->entry[level - 1] & ENTRY_ADDRESS;
    }
}

void guest_walk_show(struct guest_memory *memory, const struct guest_paging *paging, gva_t address,
                     struct guest_walk_view *view)
{
    struct walk walk = {.memory = memory, .paging = paging, .format = format_of(paging)};

    *view = (struct guest_walk_view){.end = WALK_NO_PAGING};
    walk.address = paging->efer & EFER_LMA ? address.value : address.value & 0xffffffffu;
    view->result = gpa(walk.address);
    if (!(paging->cr0 & CR0_PG))
        return;
    if ((paging->cr4 & CR4_LA57) && (paging->efer & EFER_LMA)) {
        view->end = WALK_UNSUPPORTED;
        return;
    }
    show_tables(&walk, view);
}
