// SPDX-License-Identifier: MIT
// What Frama-C lacks of the compiler, included before each proved file by scripts/prove alone.
// It has no atomics. A proof says what one processor does while no other touches the variable, so
// here an atomic operation is a plain one; what others may do is the business of test/model.
#pragma once

#define __FC_STDATOMIC // keeps Frama-C's own declarations out
#define _Atomic

enum memory_order {
    memory_order_relaxed,
    memory_order_acquire,
    memory_order_release,
    memory_order_acq_rel,
    memory_order_seq_cst
};

#define atomic_init(object, value)                  ((void)(*(object) = (value)))
#define atomic_load_explicit(object, order)         (*(object))
#define atomic_store_explicit(object, value, order) ((void)(*(object) = (value)))
#define atomic_fetch_add_explicit(object, add, order)                                              \
    ({                                                                                             \
        __typeof__(*(object)) before_add = *(object);                                              \
        *(object) = before_add + (add);                                                            \
        before_add;                                                                                \
    })

#define atomic_fetch_or_explicit(object, bits, order)                                              \
    ({                                                                                             \
        __typeof__(*(object)) before_or = *(object);                                               \
        *(object) = before_or | (bits);                                                            \
        before_or;                                                                                 \
    })
#define atomic_fetch_and_explicit(object, bits, order)                                             \
    ({                                                                                             \
        __typeof__(*(object)) before_and = *(object);                                              \
        *(object) = before_and & (bits);                                                           \
        before_and;                                                                                \
    })

#define __builtin_expect(value, expected) (value)

/*@ terminates \true; assigns \nothing; */
void __builtin_ia32_pause(void);

// Registers of this processor, which keep what is written to them.
/*@
  ghost unsigned long cpu_cr0, cpu_cr3, cpu_cr4, cpu_xcr0;
*/
/*@
  ghost unsigned long cpu_dr[7];
*/
/*@
  ghost unsigned long cpu_msrs[0x100000000];
*/

// Instructions of arch/x86/cpu/instructions.h that touch no memory.
/*@ terminates \true; assigns \nothing; */
static inline unsigned long tsc_read(void);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_cr0; */
static inline unsigned long cr0_read(void);
/*@ terminates \true; assigns \nothing; */
static inline unsigned long cr2_read(void);
/*@ terminates \true; assigns \nothing; */
static inline void cr2_write(unsigned long value);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_cr3; */
static inline unsigned long cr3_read(void);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_cr4; */
static inline unsigned long cr4_read(void);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_dr[0]; */
static inline unsigned long dr0_read(void);
/*@ terminates \true; assigns cpu_dr[0]; ensures cpu_dr[0] == value; */
static inline void dr0_write(unsigned long value);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_dr[1]; */
static inline unsigned long dr1_read(void);
/*@ terminates \true; assigns cpu_dr[1]; ensures cpu_dr[1] == value; */
static inline void dr1_write(unsigned long value);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_dr[2]; */
static inline unsigned long dr2_read(void);
/*@ terminates \true; assigns cpu_dr[2]; ensures cpu_dr[2] == value; */
static inline void dr2_write(unsigned long value);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_dr[3]; */
static inline unsigned long dr3_read(void);
/*@ terminates \true; assigns cpu_dr[3]; ensures cpu_dr[3] == value; */
static inline void dr3_write(unsigned long value);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_dr[6]; */
static inline unsigned long dr6_read(void);
/*@ terminates \true; assigns cpu_dr[6]; ensures cpu_dr[6] == value; */
static inline void dr6_write(unsigned long value);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_msrs[index]; */
static inline unsigned long msr_read(unsigned index);
/*@ terminates \true; assigns cpu_msrs[index]; ensures cpu_msrs[index] == value; */
static inline void msr_write(unsigned index, unsigned long value);
/*@ terminates \true; assigns \nothing; ensures \result == cpu_xcr0; */
static inline unsigned long xcr0_read(void);
/*@ terminates \true; assigns cpu_xcr0; ensures cpu_xcr0 == value; */
static inline void xcr0_write(unsigned long value);
// CR0.TS, bit 3.
/*@ terminates \true; assigns cpu_cr0; ensures (cpu_cr0 & 8) == 0; */
static inline void task_switched_clear(void);
/*@ terminates \true; assigns cpu_cr0; ensures (cpu_cr0 & 8) != 0; */
static inline void task_switched_set(void);
