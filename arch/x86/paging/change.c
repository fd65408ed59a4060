// SPDX-License-Identifier: MIT
// The steps that the changes of a page table are made of (change.h).
#include "arch/x86/paging/change.h"

void table_set_entry(const struct page_table *table, uint64_t *entries, unsigned level,
                     uint64_t address, uint64_t value)
{
    (void)table; // a proof knows by it what the others are
    uint64_t *entry = &entries[level_index(address, level)];
    //@ ghost uint64_t old = *entry;
    *entry = value;
    /*@ assert fields: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre); */
    //@ assert same_3_3: level == 3 ==> same_3{Pre, Here}(table, 3, address);
    //@ assert same_3_2: level == 2 ==> same_3{Pre, Here}(table, 2, address);
    //@ assert same_3_1: level == 1 ==> same_3{Pre, Here}(table, 1, address);
    //@ assert same_3_0: level == 0 ==> same_3{Pre, Here}(table, 0, address);
    //@ assert same_2_3: level == 3 ==> same_2{Pre, Here}(table, 3, address);
    //@ assert same_2_2: level == 2 ==> same_2{Pre, Here}(table, 2, address);
    //@ assert same_2_1: level == 1 ==> same_2{Pre, Here}(table, 1, address);
    //@ assert same_2_0: level == 0 ==> same_2{Pre, Here}(table, 0, address);
    //@ assert same_1_3: level == 3 ==> same_1{Pre, Here}(table, 3, address);
    //@ assert same_1_2: level == 2 ==> same_1{Pre, Here}(table, 2, address);
    //@ assert same_1_1: level == 1 ==> same_1{Pre, Here}(table, 1, address);
    //@ assert same_1_0: level == 0 ==> same_1{Pre, Here}(table, 0, address);
    //@ assert same_0_3: level == 3 ==> same_0{Pre, Here}(table, 3, address);
    //@ assert same_0_2: level == 2 ==> same_0{Pre, Here}(table, 2, address);
    //@ assert same_0_1: level == 1 ==> same_0{Pre, Here}(table, 1, address);
    //@ assert same_0_0: level == 0 ==> same_0{Pre, Here}(table, 0, address);
    //@ assert way_3: level == 3 ==> on_way(table, entries, 3, address);
    //@ assert way_2: level == 2 ==> on_way(table, entries, 2, address);
    //@ assert way_1: level == 1 ==> on_way(table, entries, 1, address);
    //@ assert way_0: level == 0 ==> on_way(table, entries, 0, address);
    /*@ assert zero_3: level == 3 && refers(table->format, value) ==>
          \forall integer x; 0 <= x < 512 ==>
            table_at(table->direct_offset, frame_of(value))[x] == 0; */
    /*@ assert zero_2: level == 2 && refers(table->format, value) ==>
          \forall integer x; 0 <= x < 512 ==>
            table_at(table->direct_offset, frame_of(value))[x] == 0; */
    /*@ assert zero_1: level == 1 && refers(table->format, value) ==>
          \forall integer x; 0 <= x < 512 ==>
            table_at(table->direct_offset, frame_of(value))[x] == 0; */
    /*@ assert value_3: level == 3 ==> word_3(table, index_3(address)) == value; */
    /*@ assert below_3: level == 3 && refers(table->format, value) ==>
          \forall integer j; 0 <= j < 512 ==>
            word_2(table, index_3(address), j) == 0; */
    /*@ assert value_2: level == 2 ==>
          word_2(table, index_3(address), index_2(address)) == value; */
    /*@ assert below_2: level == 2 && refers(table->format, value) ==>
          \forall integer k; 0 <= k < 512 ==>
            word_1(table, index_3(address), index_2(address), k) == 0; */
    /*@ assert value_1: level == 1 ==>
          word_1(table, index_3(address), index_2(address), index_1(address)) == value; */
    /*@ assert below_1: level == 1 && refers(table->format, value) ==>
          \forall integer l; 0 <= l < 512 ==>
            word_0(table, index_3(address), index_2(address), index_1(address), l) == 0; */
    //@ assert second_3: level == 3 ==> tables_2{Pre, Here}(table, 3, address, value);
    //@ assert second_2: level == 2 ==> tables_2{Pre, Here}(table, 2, address, value);
    //@ assert second_1: level == 1 ==> tables_2{Pre, Here}(table, 1, address, value);
    //@ assert second_0: level == 0 ==> tables_2{Pre, Here}(table, 0, address, value);
    //@ assert second: tables_2{Pre, Here}(table, level, address, value);
    //@ assert third_3: level == 3 ==> tables_1{Pre, Here}(table, 3, address, value);
    //@ assert third_2: level == 2 ==> tables_1{Pre, Here}(table, 2, address, value);
    //@ assert third_1: level == 1 ==> tables_1{Pre, Here}(table, 1, address, value);
    //@ assert third_0: level == 0 ==> tables_1{Pre, Here}(table, 0, address, value);
    //@ assert third: tables_1{Pre, Here}(table, level, address, value);
    //@ assert fourth_3: level == 3 ==> tables_0{Pre, Here}(table, 3, address, value);
    //@ assert fourth_2: level == 2 ==> tables_0{Pre, Here}(table, 2, address, value);
    //@ assert fourth_1: level == 1 ==> tables_0{Pre, Here}(table, 1, address, value);
    //@ assert fourth_0: level == 0 ==> tables_0{Pre, Here}(table, 0, address, value);
    //@ assert fourth: tables_0{Pre, Here}(table, level, address, value);
    /*@ assert old_3: level == 3 ==>
          \at(word_3(table, index_3(address)), Pre) == old; */
    /*@ assert gone_3: level == 3 && refers(table->format, old) && !refers(table->format, value)
          ==> is_fresh(table, frame_of(old)); */
    /*@ assert old_2: level == 2 ==>
          \at(word_2(table, index_3(address), index_2(address)), Pre) == old; */
    /*@ assert gone_2: level == 2 && refers(table->format, old) && !refers(table->format, value)
          ==> is_fresh(table, frame_of(old)); */
    /*@ assert old_1: level == 1 ==>
          \at(word_1(table, index_3(address), index_2(address), index_1(address)), Pre) == old; */
    /*@ assert gone_1: level == 1 && refers(table->format, old) && !refers(table->format, value)
          ==> is_fresh(table, frame_of(old)); */
    //@ assert c_not_second: not_second(table, table->root.value);
    //@ assert c_not_third: not_third(table, table->root.value);
    //@ assert c_not_fourth: not_fourth(table, table->root.value);
    //@ assert c_second_once: second_once(table);
    //@ assert c_third_once: third_once(table);
    //@ assert c_fourth_once: fourth_once(table);
    //@ assert c_third_not_second: third_not_second(table);
    //@ assert c_fourth_not_second: fourth_not_second(table);
    //@ assert c_fourth_not_third: fourth_not_third(table);
    //@ assert beside_3: level == 3 ==> same_beside{Pre, Here}(table, 3, address);
    //@ assert beside_2: level == 2 ==> same_beside{Pre, Here}(table, 2, address);
    //@ assert beside_1: level == 1 ==> same_beside{Pre, Here}(table, 1, address);
    //@ assert beside_0: level == 0 ==> same_beside{Pre, Here}(table, 0, address);
    /*@ assert empty_3: level == 3 && refers(table->format, value) ==>
          all_under(table, 3, address, 0, 2); */
    /*@ assert empty_2: level == 2 && refers(table->format, value) ==>
          all_under(table, 2, address, 0, 1); */
    /*@ assert empty_1: level == 1 && refers(table->format, value) ==>
          all_under(table, 1, address, 0, 0); */
}

// Zeroes a page that is to be a table.
/*@
  requires table_apart(table) && is_tree(table);
  requires is_fresh(table, physical) && frame_of(physical) == physical;
  terminates \true;
  assigns table_at(table->direct_offset, physical)[0 .. 511];
  ensures \forall integer i; 0 <= i < 512 ==>
    table_at(table->direct_offset, physical)[i] == 0;
  ensures same_3: same_3{Pre, Post}(table, 4, 0);
  ensures same_2: same_2{Pre, Post}(table, 4, 0);
  ensures same_1: same_1{Pre, Post}(table, 4, 0);
  ensures same_0: same_0{Pre, Post}(table, 4, 0);
  ensures tree: is_tree(table);
  ensures fresh: is_fresh(table, physical);
*/
static void clear_new(const struct page_table *table, uint64_t physical)
{
    zero_table(page_at(table, physical));
    /*@ assert fields: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre); */
    //@ assert same_3: same_3{Pre, Here}(table, 4, 0);
    //@ assert same_2: same_2{Pre, Here}(table, 4, 0);
    //@ assert same_1: same_1{Pre, Here}(table, 4, 0);
    //@ assert same_0: same_0{Pre, Here}(table, 4, 0);
    //@ assert not_second: not_second(table, table->root.value);
    //@ assert not_third: not_third(table, table->root.value);
    //@ assert not_fourth: not_fourth(table, table->root.value);
    //@ assert second_once: second_once(table);
    //@ assert third_once: third_once(table);
    //@ assert fourth_once: fourth_once(table);
    //@ assert third_not_second: third_not_second(table);
    //@ assert fourth_not_second: fourth_not_second(table);
    //@ assert fourth_not_third: fourth_not_third(table);
}

enum status table_make(const struct page_table *table, uint64_t *entries, unsigned level,
                       uint64_t address, const struct page_source *source)
{
    hpa_t page;
    //@ assert none_3: level == 3 ==> none_under(table, 3, address);
    //@ assert none_2: level == 2 ==> none_under(table, 2, address);
    //@ assert none_1: level == 1 ==> none_under(table, 1, address);
    enum status status = take_table(table, &page, source);
    if (status == STATUS_OK) {
        uint64_t physical = page.value;
        clear_new(table, physical);
        /*@ assert fields: table->direct_offset == \at(table->direct_offset, Pre) &&
              table->root.value == \at(table->root.value, Pre); */
        //@ assert way_3: level == 3 ==> on_way(table, entries, 3, address);
        //@ assert way_2: level == 2 ==> on_way(table, entries, 2, address);
        //@ assert way_1: level == 1 ==> on_way(table, entries, 1, address);
        table_set_entry(table, entries, level, address,
                        entry_table(table->format, physical, address < UPPER_HALF_BASE));
        //@ assert now: none_under(table, level, address);
        //@ assert beside: same_beside{Pre, Here}(table, level, address);
        //@ assert before: \at(none_under(table, level, address), Pre);
        //@ assert maps: same_maps{Pre, Here}(table);
    }
    return status;
}

/*@
  requires \valid_read(table) && \valid_read(entries + (0 .. 511));
  requires table->format == PAGE_FORMAT_HOST || table->format == PAGE_FORMAT_EPT;
  terminates \true;
  assigns \nothing;
  ensures \result <==> \forall integer i; 0 <= i < 512 ==> !is_present(table->format, entries[i]);
*/
static bool table_is_empty(const struct page_table *table, const uint64_t *entries)
{
    /*@
      loop invariant 0 <= i <= 512;
      loop invariant \forall integer j; 0 <= j < i ==> !is_present(table->format, entries[j]);
      loop assigns i;
      loop variant 512 - i;
    */
    for (unsigned i = 0; i < 512; i++) {
        if (entry_present(table->format, entries[i])) {
            return false;
        }
    }
    return true;
}

void table_prune(const struct page_table *table, uint64_t *entries, unsigned level,
                 uint64_t address, const struct page_source *source)
{
    uint64_t below = entry_address(entries[level_index(address, level)]);
    bool shared =
        level == LEVEL_TOP && table->format == PAGE_FORMAT_HOST && address >= UPPER_HALF_BASE;
    if (!shared && table_is_empty(table, page_at(table, below))) {
        //@ assert none_3: level == 3 ==> none_under(table, 3, address);
        //@ assert none_2: level == 2 ==> none_under(table, 2, address);
        //@ assert none_1: level == 1 ==> none_under(table, 1, address);
        table_set_entry(table, entries, level, address, 0);
        //@ assert now: none_under(table, level, address);
        give_table(table, below, source);
    }
}
