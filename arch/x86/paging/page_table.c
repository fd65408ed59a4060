// SPDX-License-Identifier: MIT
// The four-level walker and mapper (page_table.h). A change checks its range first. Mapping makes
// the tables that it needs, and writes leaves only when all are there. The caller's lock guards it.
#include "arch/x86/paging/page_table.h"
#include "arch/x86/paging/change.h"
#include "arch/x86/paging/clear.h"
#include "arch/x86/paging/entry.h"
#include "arch/x86/paging/map.h"
#include "arch/x86/paging/user_half.h"
#include "kernel/lib/string.h"

/*@
  requires \valid_read(table);
  requires table->format == PAGE_FORMAT_HOST || table->format == PAGE_FORMAT_EPT;
  terminates \true;
  assigns \nothing;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  // Whole pages of one half of the host's addresses, or of EPT's 48 bits.
  ensures \result == STATUS_OK <==>
    size != 0 && address % 0x1000 == 0 && size % 0x1000 == 0 &&
    (table->format == PAGE_FORMAT_EPT ? address + size <= 0x1000000000000
     : address + size <= 0x800000000000 ||
       (address >= 0xffff800000000000 && address + size <= 0x10000000000000000));
*/
static enum status check_range(const struct page_table *table, uint64_t address, uint64_t size)
{
    if (size == 0 || !is_aligned(address, PAGE_SIZE) || !is_aligned(size, PAGE_SIZE)) {
        return STATUS_INVALID;
    }
    if (table->format == PAGE_FORMAT_HOST && address >= UPPER_HALF_BASE) {
        return size - 1 <= UINT64_MAX - address ? STATUS_OK : STATUS_INVALID;
    }
    uint64_t limit = table->format == PAGE_FORMAT_HOST ? LOWER_HALF_LIMIT : EPT_LIMIT;
    return range_fits(address, size, limit) ? STATUS_OK : STATUS_INVALID;
}

// What is in force at an address: the entry of the lowest level on the way to it.
struct found {
    uint64_t entry; // not present, or a leaf
    unsigned level;
};

/*@
  requires table_valid(table);
  terminates \true;
  assigns \nothing;
  ensures \result.level <= LEVEL_TOP;
  ensures \result.entry == entry_at(table, address) && \result.level == level_at(table, address);
  ensures is_present(table->format, \result.entry) ==>
    is_leaf(\result.entry, \result.level) && \result.level < LEVEL_TOP;
  // The same for all that the entry covers.
  ensures \forall integer a; a >= 0 && same_at(a, address, \result.level) ==>
    entry_at(table, a) == \result.entry && level_at(table, a) == \result.level;
*/
static struct found find(const struct page_table *table, uint64_t address)
{
    unsigned level = LEVEL_TOP;
    uint64_t entry = page_at(table, table->root.value)[level_index(address, level)];

    /*@
      loop invariant 0 <= level <= LEVEL_TOP;
      loop invariant \forall integer a; a >= 0 && same_at(a, address, level) ==>
        entry_at(table, a) == leaf_from(table, entry, a, level) &&
        level_at(table, a) == level_from(table, entry, a, level);
      loop invariant level == LEVEL_TOP && is_present(table->format, entry) ==>
        !is_leaf(entry, level);
      loop assigns level, entry;
      loop variant level;
    */
    while (entry_present(table->format, entry) && !entry_is_leaf(entry, level)) {
        //@ ghost uint64_t above = entry;
        level--;
        entry = page_at(table, entry_address(entry))[level_index(address, level)];
        //@ assert entry == entry_in(table, above & FRAME_BITS, address, level);
        //@ assert \forall integer a; a >= 0 ==> a / 0x200000 == (a / 0x1000) / 0x200;
        //@ assert \forall integer a; a >= 0 ==> a / 0x40000000 == (a / 0x200000) / 0x200;
        //@ assert \forall integer a; a >= 0 ==> a / 0x8000000000 == (a / 0x40000000) / 0x200;
        //@ assert level == 0 || level == 1 || level == 2;
        /*@ assert \forall integer a; a >= 0 && same_at(a, address, level) ==>
              same_at(a, address, level + 1); */
        /*@ assert \forall integer a; a >= 0 && same_at(a, address, level) ==>
              leaf_from(table, above, a, level + 1) == leaf_from(table, entry, a, level) &&
              level_from(table, above, a, level + 1) == level_from(table, entry, a, level); */
    }
    /*@ assert \forall integer a; leaf_from(table, entry, a, level) == entry &&
          level_from(table, entry, a, level) == level; */
    return (struct found){entry, level};
}

/*@
  requires \valid_read(table) && \valid(mapping) && \separated(table, mapping);
  requires table->format == PAGE_FORMAT_HOST || table->format == PAGE_FORMAT_EPT;
  requires found.level < LEVEL_TOP;
  terminates \true;
  assigns *mapping;
  ensures mapping->address == address - address % span_of(found.level) &&
    mapping->size == span_of(found.level);
  ensures found.level == 0 ==> mapping->physical.value == (found.entry & 0x000ffffffffff000);
  ensures found.level == 1 ==> mapping->physical.value == (found.entry & 0x000fffffffe00000);
  ensures found.level == 2 ==> mapping->physical.value == (found.entry & 0x000fffffc0000000);
  ensures WORD_BIT(mapping->permissions, 0) && SAME_BIT(mapping->permissions, found.entry, 1);
  ensures table->format == PAGE_FORMAT_EPT ==> SAME_BIT(mapping->permissions, found.entry, 2);
  ensures table->format == PAGE_FORMAT_HOST ==>
    (WORD_BIT(mapping->permissions, 2) <==> !WORD_BIT(found.entry, 63)) &&
    MOVED_BIT(mapping->permissions, 3, found.entry, 2);
*/
static void describe(const struct page_table *table, uint64_t address, struct found found,
                     struct page_mapping *mapping)
{
    uint64_t span = level_span(found.level);

    *mapping = (struct page_mapping){address - offset_in(address, found.level), span,
                                     hpa(entry_leaf_address(found.entry, found.level)),
                                     entry_permissions(table->format, found.entry),
                                     entry_type(table->format, found.entry)};
}

// True when a leaf begins before `boundary` and ends after it.
/*@
  requires table_valid(table);
  terminates \true;
  assigns \nothing;
  ensures \result <==> is_present(table->format, entry_at(table, boundary)) &&
    boundary % span_of(level_at(table, boundary)) != 0;
*/
static bool cuts_leaf(const struct page_table *table, uint64_t boundary)
{
    struct found found = find(table, boundary);

    return entry_present(table->format, found.entry) && offset_in(boundary, found.level) != 0;
}

/*@
  requires table_valid(table);
  terminates \true;
  assigns \nothing;
  // Nothing is mapped there, and every page that is to be is one of the machine's.
  ensures \result == STATUS_OK ==> size != 0 &&
    \forall integer a; address <= a < address + size ==>
      !is_present(table->format, entry_at(table, a));
  ensures \result == STATUS_OK ==> address % 0x1000 == 0 && size % 0x1000 == 0 &&
    physical.value % 0x1000 == 0 && physical.value + size <= table->physical_limit;
  ensures half: \result == STATUS_OK ==> address + size <= 0x10000000000000000 &&
    (address + size <= 0x1000000000000 || address >= 0xffff800000000000);
  ensures \result == STATUS_OK ==> WORD_BIT(permissions, 0) && MEMORY_TYPE_EXISTS(type);
  ensures \result == STATUS_OK || \result == STATUS_INVALID || \result == STATUS_UNSUPPORTED ||
    \result == STATUS_BUSY;
*/
static enum status check_map(const struct page_table *table, uint64_t address, hpa_t physical,
                             uint64_t size, uint32_t permissions, enum memory_type type)
{
    struct page_mapping mapping;
    enum status status = check_range(table, address, size);
    if (status == STATUS_OK) {
        status = entry_check(table->format, permissions, type);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (!is_aligned(physical.value, PAGE_SIZE) ||
        !range_fits(physical.value, size, table->physical_limit)) {
        return STATUS_INVALID;
    }
    // The last address, since the end of the upper half is 0.
    return page_table_next(table, address, address + (size - 1), &mapping) == STATUS_OK
               ? STATUS_BUSY
               : STATUS_OK;
}

/*@
  requires table_valid(table) && table_apart(table) && is_tree(table);
  requires table->physical_limit <= 0x10000000000000;
  terminates \true;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  ensures refused: \result != STATUS_OK ==> same_maps{Pre, Post}(table);
  ensures range: \result == STATUS_OK ==> none_mapped{Pre}(table, low_of(address), size);
  ensures mapped: \result == STATUS_OK ==>
    all_mapped(table, low_of(address), size, physical.value - low_of(address), permissions, type);
  ensures whole: \result == STATUS_OK ==> none_cut(table, low_of(address), size);
  ensures outside: same_outside{Pre, Post}(table, low_of(address), size);
  ensures tree: is_tree(table);
*/
enum status page_table_map(struct page_table *table, uint64_t address, hpa_t physical,
                           uint64_t size, uint32_t permissions, enum memory_type type,
                           const struct page_source *source)
{
    enum status status = check_map(table, address, physical, size, permissions, type);
    if (status != STATUS_OK) {
        return status;
    }
    /*@ assert walk: \forall integer a; address <= a < address + size ==> entry_at(table, a) ==
          entry_on(table, index_3(a), index_2(a), index_1(a), index_0(a)); */
    //@ assert base: address - low_of(address) == address / 0x1000000000000 * 0x1000000000000;
    /*@ assert inside: low_of(address) + size <= 0x1000000000000 &&
          address % span_of(4) + size <= span_of(4); */
    /*@ assert sum: \forall integer i, j, k, l; address - low_of(address) + page_of(i, j, k, l) ==
          ((((address / 0x1000000000000 * 512 + i) * 512 + j) * 512 + k) * 512 + l) * 0x1000; */
    /*@ assert div_0: \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (address - low_of(address) + page_of(i, j, k, l)) / 0x1000 ==
          (((address / 0x1000000000000 * 512 + i) * 512 + j) * 512 + k) * 512 + l; */
    /*@ assert halves: \forall integer q, r; 0 <= q && 0 <= r < 512 ==>
          (q * 512 + r) / 512 == q && (q * 512 + r) % 512 == r; */
    /*@ assert div_1: \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (address - low_of(address) + page_of(i, j, k, l)) / 0x200000 ==
          ((address / 0x1000000000000 * 512 + i) * 512 + j) * 512 + k; */
    /*@ assert div_2: \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (address - low_of(address) + page_of(i, j, k, l)) / 0x40000000 ==
          (address / 0x1000000000000 * 512 + i) * 512 + j; */
    /*@ assert div_3: \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (address - low_of(address) + page_of(i, j, k, l)) / 0x8000000000 ==
          address / 0x1000000000000 * 512 + i; */
    /*@ assert paths: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) ==>
          index_3(address - low_of(address) + page_of(i, j, k, l)) == i &&
          index_2(address - low_of(address) + page_of(i, j, k, l)) == j &&
          index_1(address - low_of(address) + page_of(i, j, k, l)) == k &&
          index_0(address - low_of(address) + page_of(i, j, k, l)) == l; */
    //@ assert none: none_mapped(table, low_of(address), size);
    struct table_mapping mapping = {permissions, type, false};
    uint64_t *root = page_at(table, table->root.value);
    status = table_map(table, root, LEVEL_TOP, address, physical.value, size, mapping, source);
    /*@ assert fields: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre); */
    //@ assert tables: same_maps{Pre, Here}(table);
    if (status == STATUS_OK) {
        mapping.write_leaves = true;
        status = table_map(table, root, LEVEL_TOP, address, physical.value, size, mapping, source);
    }
    /*@ assert still: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre); */
    if (status != STATUS_OK) {
        table_clear(table, root, LEVEL_TOP, address, size, source); // nothing was mapped there
    }
    return status;
}

/*@
  requires table_valid(table) && table_apart(table) && is_tree(table);
  terminates \true;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  // A refusal changes nothing.
  ensures refused: \result != STATUS_OK ==>
    \forall integer p, i; 0 <= i < 512 ==> table_at(table->direct_offset, p)[i] ==
      \old(table_at(table->direct_offset, p)[i]);
  ensures range: \result == STATUS_OK ==> size != 0 && address % 0x1000 == 0 && size % 0x1000 == 0;
  ensures cleared: \result == STATUS_OK ==> none_mapped(table, low_of(address), size);
  ensures outside: \result == STATUS_OK ==> same_outside{Pre, Post}(table, low_of(address), size);
  ensures tree: is_tree(table);
*/
enum status page_table_unmap(struct page_table *table, uint64_t address, uint64_t size,
                             const struct page_source *source)
{
    uint64_t end = address + size;
    enum status status = check_range(table, address, size);
    if (status != STATUS_OK) {
        return status;
    }
    if (cuts_leaf(table, address) || cuts_leaf(table, end)) {
        return STATUS_INVALID;
    }
    //@ ghost table_place(address, 0);
    //@ ghost table_place(address, 1);
    //@ ghost table_place(address, 2);
    /*@ assert begin_walk: entry_at(table, address) ==
            entry_on(table, index_3(address), index_2(address), index_1(address), index_0(address))
       && level_at(table, address) == level_on(table, index_3(address), index_2(address),
       index_1(address)); */
    /*@ assert begin_whole: is_present(table->format,
            entry_on(table, index_3(address), index_2(address), index_1(address), index_0(address)))
       ==> address % span_of(level_on(table, index_3(address), index_2(address), index_1(address)))
       == 0; */
    /*@ assert begin_2: \forall integer i, j, k, l; is_path(i, j, k, l) &&
          is_present(table->format, entry_on(table, i, j, k, l)) && level_on(table, i, j, k) == 2 &&
          under(2, address, i, j, k, l) ==> start_of(2, i, j, k, l) == low_of(address); */
    /*@ assert begin_1: \forall integer i, j, k, l; is_path(i, j, k, l) &&
          is_present(table->format, entry_on(table, i, j, k, l)) && level_on(table, i, j, k) == 1 &&
          under(1, address, i, j, k, l) ==> start_of(1, i, j, k, l) == low_of(address); */
    /*@ assert begin_0: \forall integer i, j, k, l; is_path(i, j, k, l) &&
          is_present(table->format, entry_on(table, i, j, k, l)) && level_on(table, i, j, k) == 0 &&
          under(0, address, i, j, k, l) ==> start_of(0, i, j, k, l) == low_of(address); */
    //@ assert address + size <= 0x10000000000000000;
    //@ assert address + size < 0x10000000000000000 ==> end == address + size;
    //@ assert address + size == 0x10000000000000000 ==> end == 0;
    /*@ assert low_end: low_of(address) + size < 0x1000000000000 ==>
          low_of(end) == low_of(address) + size; */
    //@ assert high: end == address + size || (end == 0 && address + size == 0x10000000000000000);
    //@ assert address == address / 0x1000 * 0x1000 && size == size / 0x1000 * 0x1000;
    //@ assert address + size == (address / 0x1000 + size / 0x1000) * 0x1000;
    //@ assert (address + size) / 0x1000 == address / 0x1000 + size / 0x1000;
    //@ assert pages: end % 0x1000 == 0;
    //@ ghost table_place(end, 0);
    //@ ghost table_place(end, 1);
    //@ ghost table_place(end, 2);
    /*@ assert end_walk: entry_at(table, end) ==
            entry_on(table, index_3(end), index_2(end), index_1(end), index_0(end)) &&
          level_at(table, end) == level_on(table, index_3(end), index_2(end), index_1(end)); */
    /*@ assert end_whole: is_present(table->format,
            entry_on(table, index_3(end), index_2(end), index_1(end), index_0(end))) ==>
          end % span_of(level_on(table, index_3(end), index_2(end), index_1(end))) == 0; */
    /*@ assert end_2: \forall integer i, j, k, l; is_path(i, j, k, l) &&
          is_present(table->format, entry_on(table, i, j, k, l)) && level_on(table, i, j, k) == 2 &&
          under(2, end, i, j, k, l) ==> start_of(2, i, j, k, l) == low_of(end); */
    /*@ assert end_1: \forall integer i, j, k, l; is_path(i, j, k, l) &&
          is_present(table->format, entry_on(table, i, j, k, l)) && level_on(table, i, j, k) == 1 &&
          under(1, end, i, j, k, l) ==> start_of(1, i, j, k, l) == low_of(end); */
    /*@ assert end_0: \forall integer i, j, k, l; is_path(i, j, k, l) &&
          is_present(table->format, entry_on(table, i, j, k, l)) && level_on(table, i, j, k) == 0 &&
          under(0, end, i, j, k, l) ==> start_of(0, i, j, k, l) == low_of(end); */
    /*@ assert top: \forall integer i, j, k, l; is_path(i, j, k, l) &&
          is_present(table->format, entry_on(table, i, j, k, l)) ==> level_on(table, i, j, k) <= 2;
     */
    /*@ assert begin_in_2: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          start_of(2, i, j, k, l) < low_of(address) ==> under(2, address, i, j, k, l); */
    /*@ assert end_in_2: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          start_of(2, i, j, k, l) + span_of(2) > low_of(address) + size ==>
            under(2, end, i, j, k, l) && low_of(end) == low_of(address) + size; */
    /*@ assert whole_2: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          level_on(table, i, j, k) == 2 ==> whole_on(table, low_of(address), size, i, j, k, l); */
    /*@ assert begin_in_1: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          start_of(1, i, j, k, l) < low_of(address) ==> under(1, address, i, j, k, l); */
    /*@ assert end_in_1: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          start_of(1, i, j, k, l) + span_of(1) > low_of(address) + size ==>
            under(1, end, i, j, k, l) && low_of(end) == low_of(address) + size; */
    /*@ assert whole_1: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          level_on(table, i, j, k) == 1 ==> whole_on(table, low_of(address), size, i, j, k, l); */
    /*@ assert begin_in_0: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          start_of(0, i, j, k, l) < low_of(address) ==> under(0, address, i, j, k, l); */
    /*@ assert end_in_0: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          start_of(0, i, j, k, l) + span_of(0) > low_of(address) + size ==>
            under(0, end, i, j, k, l) && low_of(end) == low_of(address) + size; */
    /*@ assert whole_0: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) &&
          level_on(table, i, j, k) == 0 ==> whole_on(table, low_of(address), size, i, j, k, l); */
    //@ assert uncut: none_cut(table, low_of(address), size);
    table_clear(table, page_at(table, table->root.value), LEVEL_TOP, address, size, source);
    return STATUS_OK;
}

/*@
  requires \valid(table) && \forall integer p;
    \separated(table_at(direct_offset, p) + (0 .. 511), table);
  requires format == PAGE_FORMAT_HOST || format == PAGE_FORMAT_EPT;
  terminates \true;
  assigns *table, { table_at(direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  ensures \result == STATUS_OK ==> table->direct_offset == direct_offset &&
    table->format == format && table->largest == largest &&
    table->physical_limit == physical_limit && is_tree(table);
  // Nothing is mapped.
  ensures empty: \result == STATUS_OK ==> \forall integer i, j, k, l; is_path(i, j, k, l) ==>
    entry_on(table, i, j, k, l) == 0 && level_on(table, i, j, k) == 3;
*/
enum status page_table_create(struct page_table *table, enum page_format format,
                              enum page_level largest, uintptr_t direct_offset,
                              uint64_t physical_limit, const struct page_source *source)
{
    hpa_t root;
    enum status status = take_table(table, &root, source);
    if (status != STATUS_OK) {
        return status;
    }
    *table = (struct page_table){root, direct_offset, physical_limit, format, largest};
    zero_table(page_at(table, table->root.value));
    //@ assert empty: \forall integer i; 0 <= i < 512 ==> word_3(table, i) == 0;
    //@ assert no_second: \forall integer i; !way_2(table, i);
    return STATUS_OK;
}

static void free_below(struct page_table *table, uint64_t *entry, unsigned level,
                       const struct page_source *source)
{
    if (!entry_present(table->format, *entry) || entry_is_leaf(*entry, level)) {
        return;
    }
    uint64_t *below = page_at(table, entry_address(*entry));
    for (unsigned i = 0; level > 1 && i < 512; i++) {
        free_below(table, &below[i], level - 1, source);
    }
    source->give(source->context, hpa(entry_address(*entry)));
}

void page_table_destroy(struct page_table *table, const struct page_source *source)
{
    uint64_t *root = page_at(table, table->root.value);
    unsigned owned = table->format == PAGE_FORMAT_HOST ? 256 : 512;
    for (unsigned i = 0; i < owned; i++) {
        free_below(table, &root[i], LEVEL_TOP, source);
    }
    source->give(source->context, table->root);
}

void page_table_share_upper(struct page_table *table, const struct page_table *from)
{
    memcpy(page_at(table, table->root.value) + 256, page_at(from, from->root.value) + 256,
           256 * sizeof(uint64_t));
}

/*@
  requires table_apart(table) && is_tree(table) && index < 512;
  // The top level refers to tables only.
  requires is_present(table->format, word_3(table, index)) ==>
    refers(table->format, word_3(table, index));
  terminates \true;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  ensures \result == STATUS_OK ==> refers(table->format, word_3(table, index));
  // Nothing else changes, and nothing is mapped or not that was otherwise before.
  ensures maps: same_maps{Pre, Post}(table);
  ensures others: \forall integer i; 0 <= i < 512 && i != index ==>
    word_3(table, i) == \at(word_3(table, i), Pre);
  ensures there: is_present(table->format, \at(word_3(table, index), Pre)) ==>
    word_3(table, index) == \at(word_3(table, index), Pre);
  ensures tree: is_tree(table);
*/
enum status page_table_reserve(struct page_table *table, unsigned index,
                               const struct page_source *source)
{
    uint64_t *root = page_at(table, table->root.value);
    uint64_t half = index < 256 ? 0 : UPPER_HALF_BASE - LOWER_HALF_LIMIT;
    uint64_t address = half + index * level_span(LEVEL_TOP);
    //@ assert index_3(address) == index;
    return entry_present(table->format, root[index])
               ? STATUS_OK
               : table_make(table, root, LEVEL_TOP, address, source);
}

/*@
  requires table_valid(table) && \valid(mapping) && \separated(table, mapping);
  terminates \true;
  assigns *mapping;
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND;
  ensures \result == STATUS_OK <==>
    is_present(table->format, entry_at{Pre}(table, address)) && in_range(table->format, address);
  ensures \result == STATUS_OK ==> maps{Pre, Post}(table, address, mapping);
*/
enum status page_table_translate(const struct page_table *table, uint64_t address,
                                 struct page_mapping *mapping)
{
    if (check_range(table, address - (address & PAGE_MASK), PAGE_SIZE) != STATUS_OK) {
        return STATUS_NOT_FOUND;
    }
    struct found found = find(table, address);
    if (!entry_present(table->format, found.entry)) {
        return STATUS_NOT_FOUND;
    }
    describe(table, address, found, mapping);
    return STATUS_OK;
}

/*@
  requires table_valid(table) && \valid(mapping) && \separated(table, mapping);
  terminates \true;
  assigns *mapping;
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND;
  // Nothing up to the end of the last page.
  ensures \result == STATUS_NOT_FOUND && address < limit ==>
    \forall integer a; address <= a < (limit + 0xfff) / 0x1000 * 0x1000 ==>
      !is_present(table->format, entry_at{Pre}(table, a));
  // The first.
  ensures \result == STATUS_OK ==> mapping->address < limit &&
    mapping->address + mapping->size > address;
  ensures \result == STATUS_OK ==> \forall integer a; address <= a < mapping->address ==>
    !is_present(table->format, entry_at{Pre}(table, a));
  ensures \result == STATUS_OK ==>
    is_present(table->format, entry_at{Pre}(table, mapping->address)) &&
    mapping->size == span_of(level_at{Pre}(table, mapping->address));
*/
enum status page_table_next(const struct page_table *table, uint64_t address, uint64_t limit,
                            struct page_mapping *mapping)
{
    /*@
      loop invariant address == \at(address, Pre) ||
        (address > \at(address, Pre) && address % 0x1000 == 0);
      loop invariant \forall integer a; \at(address, Pre) <= a < address ==>
        !is_present(table->format, entry_at(table, a));
      loop assigns address;
      loop variant limit - address;
    */
    while (address < limit) {
        struct found found = find(table, address);
        uint64_t skip = level_span(found.level) - offset_in(address, found.level);
        //@ assert found.level == 0 ==> one_entry(address, address + skip, 0x1000);
        //@ assert found.level == 1 ==> one_entry(address, address + skip, 0x200000);
        //@ assert found.level == 2 ==> one_entry(address, address + skip, 0x40000000);
        //@ assert found.level == 3 ==> one_entry(address, address + skip, 0x8000000000);
        /*@ assert \forall integer a;
              address - address % span_of(found.level) <= a < address + skip ==>
              same_at(a, address, found.level); */
        /*@ assert \forall integer a;
              address - address % span_of(found.level) <= a < address + skip ==>
              entry_at(table, a) == found.entry && level_at(table, a) == found.level; */

        if (entry_present(table->format, found.entry)) {
            describe(table, address, found, mapping);
            return STATUS_OK;
        }
        if (skip > UINT64_MAX - address) {
            break;
        }
        address += skip;
    }
    return STATUS_NOT_FOUND;
}
