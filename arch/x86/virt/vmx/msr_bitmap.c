// SPDX-License-Identifier: MIT
// The bitmaps of a VM: which MSRs a guest reads and writes itself, and at which ports no device is.
// Called by kernel/vm, which holds the VM's lock, or has just made the VM.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/registers.h"
#include "kernel/lib/string.h"

#define BITMAP_WRITES 2048u // the half of an MSR bitmap for WRMSR
#define X2APIC_EOI    0x80bu

// MSRs that a guest may use itself: the VMCS or the switch of vCPUs keeps them.
static const uint32_t passable_msrs[] = {
    MSR_SYSENTER_CS, MSR_SYSENTER_ESP,   MSR_SYSENTER_EIP, MSR_PAT,    MSR_EFER,
    MSR_STAR,        MSR_LSTAR,          MSR_CSTAR,        MSR_SFMASK, MSR_FS_BASE,
    MSR_GS_BASE,     MSR_KERNEL_GS_BASE, MSR_TSC_AUX};

// "x2APIC Register Address Space", those that the virtual-APIC page holds: ID to TPR, PPR, LDR, SVR
// and ISR, ESR, ICR, LVT and initial count, divide configuration. Reading the others exits: TMR and
// IRR, which other processors change, and the current count.
static const uint16_t readable[] = {0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f, 0x810, 0x811,
                                    0x812, 0x813, 0x814, 0x815, 0x816, 0x817, 0x828, 0x830,
                                    0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x838, 0x83e};

// "MSR-Bitmap Address": a bit for each MSR of 0 to 0x1fff, then for each of 0xc0000000 to
// 0xc0001fff, in the half for RDMSR and again in the half for WRMSR.
/*@
  predicate byte_bit(integer byte, integer number) = WORD_BIT(byte, number);
  predicate msr_mapped(integer msr) = 0 <= msr < 0x2000 || 0xc0000000 <= msr < 0xc0002000;
  logic integer msr_byte(integer msr) = (msr >= 0xc0000000 ? 1024 : 0) + msr % 0x2000 / 8;
  predicate msr_exits(char *half, integer msr) = byte_bit(byte_at(half, msr_byte(msr)), msr % 8);
  predicate msr_all_exit(char *half) = \forall integer m; msr_mapped(m) ==> msr_exits(half, m);
  predicate msr_half_valid(char *half) = \valid(half + (0 .. 2047));
*/

// Has the MSR exit, or not, for one kind of access.
/*@
  requires msr_mapped(msr) && msr_half_valid(half);
  terminates \true;
  assigns half[msr_byte(msr)];
  ensures \forall integer m; msr_mapped(m) ==>
    (msr_exits(half, m) <==> (m == msr ? exits != 0 : \old(msr_exits(half, m))));
*/
static void msr_set_exit(char *half, uint32_t msr, bool exits)
{
    char *byte = half + (msr >= 0xc0000000u ? 1024 : 0) + msr % 0x2000 / 8;
    uint8_t mask = (uint8_t)(1u << msr % 8);

    //@ assert byte == half + msr_byte(msr);
    //@ assert \forall integer k; 0 <= k < 8 ==> (WORD_BIT(mask, k) <==> k == msr % 8);
    uint8_t bits = (uint8_t)(exits ? *byte | mask : *byte & ~mask);
    /*@ assert \forall integer k; 0 <= k < 8 ==> (WORD_BIT(bits, k) <==>
          (k == msr % 8 ? exits != 0 : byte_bit((uint8_t)*byte, k))); */
    *byte = (char)bits;
    //@ assert (uint8_t)*byte == bits;
    /*@ assert \forall integer k; 0 <= k < 8 ==> (byte_bit((uint8_t)*byte, k) <==>
          (k == msr % 8 ? exits != 0 : byte_bit(\at(byte_at(half, msr_byte(msr)), Pre), k))); */
    /*@ assert \forall integer m; msr_mapped(m) && msr_byte(m) == msr_byte(msr) && m % 8 == msr % 8
          ==> m == msr; */
    //@ assert \forall integer m; msr_mapped(m) ==> 0 <= m % 8 < 8 && 0 <= msr_byte(m) < 2048;
    /*@ assert \forall integer m; msr_mapped(m) && msr_byte(m) != msr_byte(msr) ==>
          half[msr_byte(m)] == \at(half[msr_byte(m)], Pre); */
    /*@ assert \forall integer m; msr_mapped(m) && msr_byte(m) != msr_byte(msr) ==>
          (msr_exits(half, m) <==> \at(msr_exits(half, m), Pre)); */
    /*@ assert \forall integer m; msr_mapped(m) && msr_byte(m) == msr_byte(msr) ==>
          (msr_exits(half, m) <==>
           (m % 8 == msr % 8 ? exits != 0 : \at(msr_exits(half, m), Pre))); */
}

/*@
  requires msr_mapped(msr) && \valid(bitmap + (0 .. 4095));
  terminates \true;
  assigns bitmap[0 .. 4095];
  ensures \forall integer m; msr_mapped(m) ==>
    (msr_exits(bitmap, m) <==> (m == msr ? pass == 0 : \old(msr_exits(bitmap, m)))) &&
    (msr_exits(bitmap + BITMAP_WRITES, m) <==>
     (m == msr ? pass == 0 : \old(msr_exits(bitmap + BITMAP_WRITES, m))));
*/
static void pass_msr(char *bitmap, uint32_t msr, bool pass)
{
    msr_set_exit(bitmap, msr, !pass);
    msr_set_exit(bitmap + BITMAP_WRITES, msr, !pass);
}

/*@
  logic char *bitmap_of(struct virt_vm *vm, integer i) = (char *)vm->msr_bitmap[i].address;
  predicate msr_bitmaps_valid(struct virt_vm *vm) =
    \valid_read(vm) && \valid(bitmap_of(vm, 0) + (0 .. 4095)) &&
    \valid(bitmap_of(vm, 1) + (0 .. 4095)) &&
    \separated(vm, bitmap_of(vm, 0) + (0 .. 4095), bitmap_of(vm, 1) + (0 .. 4095));

  // The first `count` of passable_msrs, and how many of them a range holds.
  predicate listed(integer msr, integer count) =
    (count > 0 && msr == MSR_SYSENTER_CS) ||
    (count > 1 && msr == MSR_SYSENTER_ESP) ||
    (count > 2 && msr == MSR_SYSENTER_EIP) ||
    (count > 3 && msr == MSR_PAT) ||
    (count > 4 && msr == MSR_EFER) ||
    (count > 5 && msr == MSR_STAR) ||
    (count > 6 && msr == MSR_LSTAR) ||
    (count > 7 && msr == MSR_CSTAR) ||
    (count > 8 && msr == MSR_SFMASK) ||
    (count > 9 && msr == MSR_FS_BASE) ||
    (count > 10 && msr == MSR_GS_BASE) ||
    (count > 11 && msr == MSR_KERNEL_GS_BASE) ||
    (count > 12 && msr == MSR_TSC_AUX);
  predicate in_a_run(integer first, integer last) =
    (MSR_SYSENTER_CS <= first && last <= MSR_SYSENTER_EIP) ||
    (MSR_PAT <= first && last <= MSR_PAT) || (MSR_EFER <= first && last <= MSR_SFMASK) ||
    (MSR_FS_BASE <= first && last <= MSR_TSC_AUX);
  logic integer range_holds(integer first, integer last, integer msr) =
    first <= msr <= last ? 1 : 0;
  logic integer listed_in(integer first, integer last, integer count) =
    (count > 0 ? range_holds(first, last, MSR_SYSENTER_CS) : 0) +
    (count > 1 ? range_holds(first, last, MSR_SYSENTER_ESP) : 0) +
    (count > 2 ? range_holds(first, last, MSR_SYSENTER_EIP) : 0) +
    (count > 3 ? range_holds(first, last, MSR_PAT) : 0) +
    (count > 4 ? range_holds(first, last, MSR_EFER) : 0) +
    (count > 5 ? range_holds(first, last, MSR_STAR) : 0) +
    (count > 6 ? range_holds(first, last, MSR_LSTAR) : 0) +
    (count > 7 ? range_holds(first, last, MSR_CSTAR) : 0) +
    (count > 8 ? range_holds(first, last, MSR_SFMASK) : 0) +
    (count > 9 ? range_holds(first, last, MSR_FS_BASE) : 0) +
    (count > 10 ? range_holds(first, last, MSR_GS_BASE) : 0) +
    (count > 11 ? range_holds(first, last, MSR_KERNEL_GS_BASE) : 0) +
    (count > 12 ? range_holds(first, last, MSR_TSC_AUX) : 0);

  // The MSRs of the first `count` of readable.
  predicate in_part(integer msr, integer first, integer last, integer count) =
    first <= msr <= last && msr < first + count;
  predicate apic_listed(integer msr, integer count) =
    in_part(msr, 0x802, 0x803, count) || in_part(msr, 0x808, 0x808, count - 2) ||
    in_part(msr, 0x80a, 0x80a, count - 3) || in_part(msr, 0x80d, 0x80d, count - 4) ||
    in_part(msr, 0x80f, 0x817, count - 5) || in_part(msr, 0x828, 0x828, count - 14) ||
    in_part(msr, 0x830, 0x830, count - 15) || in_part(msr, 0x832, 0x838, count - 16) ||
    in_part(msr, 0x83e, 0x83e, count - 23);

  predicate passed{L, M}(char *half, integer first, integer last, integer count, integer pass) =
    \forall integer m; msr_mapped(m) ==>
      (\at(msr_exits(half, m), M) <==>
       (first <= m <= last && listed(m, count) ? pass == 0 : \at(msr_exits(half, m), L)));
  predicate both_passed{L, M}(char *bitmap, integer first, integer last, integer count,
                              integer pass) =
    passed{L, M}(bitmap, first, last, count, pass) &&
    passed{L, M}(bitmap + BITMAP_WRITES, first, last, count, pass);
*/

/*@
  requires msr_bitmaps_valid(vm) && first <= last;
  terminates \true;
  assigns bitmap_of(vm, 0)[0 .. 4095], bitmap_of(vm, 1)[0 .. 4095];
  ensures \result == STATUS_OK || \result == STATUS_DENIED;
  ensures \result == STATUS_DENIED <==>
    pass != 0 && \exists integer m; first <= m <= last && !listed(m, 13);
  ensures \result == STATUS_OK ==> both_passed{Pre, Post}(bitmap_of(vm, 0), first, last, 13, pass);
  ensures \result == STATUS_OK ==> both_passed{Pre, Post}(bitmap_of(vm, 1), first, last, 13, pass);
  ensures \result == STATUS_DENIED ==>
    both_passed{Pre, Post}(bitmap_of(vm, 0), first, last, 0, pass);
  ensures \result == STATUS_DENIED ==>
    both_passed{Pre, Post}(bitmap_of(vm, 1), first, last, 0, pass);
*/
enum status vmx_vm_pass_msrs(struct virt_vm *vm, uint32_t first, uint32_t last, bool pass)
{
    uint64_t passable = 0;

    /*@
      loop invariant 0 <= i <= 13;
      loop invariant passable == listed_in(first, last, i);
      loop assigns i, passable;
      loop variant 13 - i;
    */
    for (size_t i = 0; i < ARRAY_COUNT(passable_msrs); i++) {
        passable += passable_msrs[i] >= first && passable_msrs[i] <= last;
    }
    // The list is four runs without a gap, and no longer range is on it.
    /*@ assert passable == last - first + 1 <==> in_a_run(first, last); */
    /*@ assert !listed(MSR_SYSENTER_EIP + 1, 13) && !listed(MSR_PAT + 1, 13) &&
          !listed(MSR_SFMASK + 1, 13); */
    /*@ assert (\forall integer m; first <= m <= last ==> listed(m, 13)) ==>
          listed(first, 13) && listed(last, 13); */
    /*@ assert in_a_run(first, last) <==>
          \forall integer m; first <= m <= last ==> listed(m, 13); */
    if (pass && passable != (uint64_t)last - first + 1) {
        return STATUS_DENIED;
    }
    /*@
      loop invariant 0 <= i <= 13;
      loop invariant both_passed{Pre, Here}(bitmap_of(vm, 0), first, last, i, pass);
      loop invariant both_passed{Pre, Here}(bitmap_of(vm, 1), first, last, i, pass);
      loop assigns i, bitmap_of(vm, 0)[0 .. 4095], bitmap_of(vm, 1)[0 .. 4095];
      loop variant 13 - i;
    */
    for (size_t i = 0; i < ARRAY_COUNT(passable_msrs); i++) {
        /*@ assert \forall integer m; listed(m, i + 1) <==> listed(m, i) || m == passable_msrs[i]; */
        if (passable_msrs[i] >= first && passable_msrs[i] <= last) {
            pass_msr(vm->msr_bitmap[VCPU_APIC_MONITOR].address, passable_msrs[i], pass);
            pass_msr(vm->msr_bitmap[VCPU_APIC_VIRTUAL].address, passable_msrs[i], pass);
        }
    }
    return STATUS_OK;
}

// Lets the guest have those x2APIC registers that the processor answers for.
/*@
  requires \valid(bitmap + (0 .. 4095));
  terminates \true;
  assigns bitmap[0 .. 4095];
  ensures \forall integer m; msr_mapped(m) ==>
    (msr_exits(bitmap, m) <==> \old(msr_exits(bitmap, m)) && !apic_listed(m, 24));
  ensures \forall integer m; msr_mapped(m) ==>
    (msr_exits(bitmap + BITMAP_WRITES, m) <==>
     \old(msr_exits(bitmap + BITMAP_WRITES, m)) && m != X2APIC_EOI);
*/
static void pass_apic_msrs(char *bitmap)
{
    /*@
      loop invariant 0 <= i <= 24;
      loop invariant \forall integer m; msr_mapped(m) ==>
        (msr_exits(bitmap, m) <==> \at(msr_exits(bitmap, m), Pre) && !apic_listed(m, i));
      loop assigns i, bitmap[0 .. 2047];
      loop variant 24 - i;
    */
    for (size_t i = 0; i < ARRAY_COUNT(readable); i++) {
        /*@ assert \forall integer m;
              apic_listed(m, i + 1) <==> apic_listed(m, i) || m == readable[i]; */
        msr_set_exit(bitmap, readable[i], false);
    }
    msr_set_exit(bitmap + BITMAP_WRITES, X2APIC_EOI, false);
}

// Lemmas: 0xff has every bit.
/*@
  ghost
  /@ requires 0 <= k < 8;
     terminates \true;
     assigns \nothing;
     ensures WORD_BIT(0xff, k); @/
  void has_bit(int k) {
      if (k == 0 || k == 1 || k == 2 || k == 3) { return; }
      if (k == 4 || k == 5 || k == 6 || k == 7) { return; }
  }
*/
/*@
  ghost
  /@ terminates \true;
     assigns \nothing;
     ensures \forall integer k; 0 <= k < 8 ==> byte_bit(0xff, k); @/
  void has_all_bits(void) {
      /@ loop invariant 0 <= k <= 8;
         loop invariant \forall integer j; 0 <= j < k ==> byte_bit(0xff, j);
         loop assigns k;
         loop variant 8 - k; @/
      for (int k = 0; k < 8; k++) {
          has_bit(k);
      }
  }
*/

/*@
  predicate page_same(struct virt_page *a, struct virt_page *b) =
    a->address == b->address && a->physical.value == b->physical.value;
*/
/*@
  requires \valid(vm) && \valid_read(pages + (0 .. 3)) &&
    \valid((char *)pages[0].address + (0 .. 4095)) &&
    \valid((char *)pages[1].address + (0 .. 4095)) &&
    \separated(vm, pages + (0 .. 3), (char *)pages[0].address + (0 .. 4095),
               (char *)pages[1].address + (0 .. 4095));
  terminates \true;
  assigns vm->nested, vm->msr_bitmap[0 .. 1], vm->port_map[0 .. 1],
    ((char *)pages[0].address)[0 .. 4095], ((char *)pages[1].address)[0 .. 4095];
  ensures vm->nested == nested;
  ensures page_same(&vm->msr_bitmap[0], &pages[0]) && page_same(&vm->msr_bitmap[1], &pages[1]);
  ensures \forall integer m; msr_mapped(m) ==>
    msr_exits((char *)pages[0].address, m) &&
    msr_exits((char *)pages[0].address + BITMAP_WRITES, m);
  ensures \forall integer m; msr_mapped(m) ==>
    (msr_exits((char *)pages[1].address, m) <==> !apic_listed(m, 24)) &&
    (msr_exits((char *)pages[1].address + BITMAP_WRITES, m) <==> m != X2APIC_EOI);
*/
void vmx_vm_init(struct virt_vm *vm, const struct virt_page *pages, const struct page_table *nested)
{
    vm->nested = nested;
    /*@
      loop invariant 0 <= i <= 2;
      loop invariant \forall integer j; 0 <= j < i ==> page_same(&vm->msr_bitmap[j], &pages[j]);
      loop invariant \forall integer j; 0 <= j < i ==> msr_all_exit((char *)pages[j].address);
      loop invariant \forall integer j; 0 <= j < i ==>
        msr_all_exit((char *)pages[j].address + BITMAP_WRITES);
      loop assigns i, vm->msr_bitmap[0 .. 1], vm->port_map[0 .. 1],
        ((char *)pages[0].address)[0 .. 4095], ((char *)pages[1].address)[0 .. 4095];
      loop variant 2 - i;
    */
    for (unsigned i = 0; i < ARRAY_COUNT(vm->msr_bitmap); i++) {
        vm->msr_bitmap[i] = pages[i];
        //@ assert page_same(&vm->msr_bitmap[i], &pages[i]);
        //@ assert \forall integer j; 0 <= j < i ==> page_same(&vm->msr_bitmap[j], &pages[j]);
        vm->port_map[i] = pages[ARRAY_COUNT(vm->msr_bitmap) + i].address;
        //@ assert \forall integer j; 0 <= j <= i ==> page_same(&vm->msr_bitmap[j], &pages[j]);
        memset(pages[i].address, 0xff, PAGE_SIZE);
        //@ ghost has_all_bits();
        //@ assert \forall integer m; msr_mapped(m) ==> 0 <= m % 8 < 8 && 0 <= msr_byte(m) < 2048;
        //@ assert msr_all_exit((char *)pages[i].address);
        /*@ assert \forall integer k; 0 <= k < 2048 ==>
              byte_at((char *)pages[i].address + BITMAP_WRITES, k) ==
              byte_at((char *)pages[i].address, BITMAP_WRITES + k); */
        /*@ assert \forall integer k; 0 <= k < 2048 ==>
              byte_at((char *)pages[i].address + BITMAP_WRITES, k) == 0xff; */
        //@ assert msr_all_exit((char *)pages[i].address + BITMAP_WRITES);
    }
    pass_apic_msrs(vm->msr_bitmap[VCPU_APIC_VIRTUAL].address);
}
