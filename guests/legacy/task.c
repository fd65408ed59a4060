// SPDX-License-Identifier: MIT
// Hardware task switches: by CALL, JMP, IRET, and task gates for INT, exceptions and interrupts, in
// both formats; what is saved and linked, and what is refused. "Task Management".
#include "guests/legacy/subjects.h"
#include "guests/legacy/traps.h"
#include "guests/library/suite.h"

#define EFLAGS_NT (1u << 14)
#define CR0_TS    (1u << 3)
#define CR0_PG    (1u << 31)
#define CR4_PSE   (1u << 4)
#define DR6_BT    (1u << 15)
#define ERROR_EXT 1u
#define ERROR_IDT 2u

// "32-Bit Task-State Segment (TSS)".
struct tss {
    uint32_t link, stacks[6], cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, io_map;
};
static_assert(sizeof(struct tss) == 104, "TSS layout");

// "16-Bit Task-State Segment (TSS)".
struct tss16 {
    uint16_t link, stacks[6], ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};
static_assert(sizeof(struct tss16) == 44, "TSS layout");

struct seen {
    uint32_t eflags, tr, cr0, cr3, ebx, fs, count;
};

extern volatile struct seen task_seen;
extern volatile uint32_t fault_seen[3]; // error code, EFLAGS, count
extern struct tss *fault_repairs;
extern uint32_t *fault_link;
extern const uint8_t task_body[], jump_body[], fault_body[], task16_body[];

static struct tss main_tss, task_tss, fault_tss;
static struct tss16 task16;
static uint8_t task_stack[1024], fault_stack[1024];
static uint64_t local_table[2];
static uint32_t directories[2][1024] __attribute__((aligned(4096)));

static void set_tss(unsigned entry, void *tss, uint32_t limit)
{
    gdt_set(entry, (uint32_t)tss, limit, RIGHTS_TSS);
}

static struct tss new_task(const uint8_t *body, uint8_t *stack_end)
{
    return (struct tss){.eip = (uint32_t)body,
                        .eflags = 2,
                        .ebx = 0x55aa1234,
                        .esp = (uint32_t)stack_end,
                        .es = SELECTOR(ENTRY_DATA),
                        .cs = SELECTOR(ENTRY_CODE),
                        .ss = SELECTOR(ENTRY_DATA),
                        .ds = SELECTOR(ENTRY_DATA),
                        .fs = SELECTOR(ENTRY_DATA),
                        .gs = SELECTOR(ENTRY_NULL),
                        .io_map = sizeof(struct tss)};
}

// Both tasks as they begin; the main task's TSS is in the task register.
static void reset_tasks(const uint8_t *body)
{
    task_tss = new_task(body, task_stack + sizeof(task_stack));
    fault_tss = new_task(fault_body, fault_stack + sizeof(fault_stack));
    set_tss(ENTRY_TASK, &task_tss, sizeof(task_tss) - 1);
    set_tss(ENTRY_FAULT, &fault_tss, sizeof(fault_tss) - 1);
    fault_repairs = &main_tss;
    fault_link = 0;
    task_seen.count = fault_seen[2] = 0;
}

static unsigned call_task(void)
{
    return TRY("lcall %0, $0", : : "i"(SELECTOR(ENTRY_TASK)) : "memory", "cc");
}

static uint32_t cr0(void)
{
    uint32_t value;

    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static void check_call(void)
{
    uint32_t esi = 0x13572468, eflags;

    reset_tasks(task_body);
    __asm__ volatile("clts; stc; lcall %2, $0; pushfl; pop %0"
                     : "=r"(eflags), "+S"(esi)
                     : "i"(SELECTOR(ENTRY_TASK))
                     : "memory", "cc");
    check("call, the task ran", task_seen.count, 1);
    check("call, nested task flag", task_seen.eflags & EFLAGS_NT, EFLAGS_NT);
    check("call, task register", task_seen.tr, SELECTOR(ENTRY_TASK));
    check("call, general register", task_seen.ebx, 0x55aa1234);
    check("call, segment register", task_seen.fs, SELECTOR(ENTRY_DATA));
    check("call, task-switched flag", task_seen.cr0 & CR0_TS, CR0_TS);
    check("call, link", task_tss.link & 0xffff, SELECTOR(ENTRY_MAIN));
    check("call, registers saved", main_tss.esi, 0x13572468);
    check("call, stack segment saved", main_tss.ss, SELECTOR(ENTRY_DATA));
    check("iret, registers are back", esi, 0x13572468);
    check("iret, flags are back", eflags & (EFLAGS_NT | 1), 1);
    check("iret, the main task is busy", gdt_rights(ENTRY_MAIN), RIGHTS_TSS | RIGHTS_BUSY);
    check("iret, the other is not", gdt_rights(ENTRY_TASK), RIGHTS_TSS);
    check("iret, nested task flag is saved clear", task_tss.eflags & EFLAGS_NT, 0);
    check("call again", call_task(), TRAP_NONE);
    check("call again, the task went on", task_seen.count, 2);
}

static void check_jump(void)
{
    reset_tasks(jump_body);
    task_tss.link = 0x7777;
    __asm__ volatile("ljmp %0, $0" : : "i"(SELECTOR(ENTRY_TASK)) : "memory", "cc");
    check("jmp, the task ran", task_seen.count, 1);
    check("jmp, no nested task flag", task_seen.eflags & EFLAGS_NT, 0);
    check("jmp, no link", task_tss.link, 0x7777);
    check("jmp back, the task is not busy", gdt_rights(ENTRY_TASK), RIGHTS_TSS);
    check("jmp back, the main task is", gdt_rights(ENTRY_MAIN), RIGHTS_TSS | RIGHTS_BUSY);
}

static void check_gates(void)
{
    reset_tasks(task_body);
    trap_set_task(VECTOR_TASK, ENTRY_TASK);
    __asm__ volatile("int %0" : : "i"(VECTOR_TASK) : "memory", "cc");
    check("int through a task gate", task_seen.count, 1);
    check("int through a task gate, nested", task_seen.eflags & EFLAGS_NT, EFLAGS_NT);
    trap_set_task(VECTOR_TASK, 0);
    trap_set_task(VECTOR_GP, ENTRY_FAULT);
    (void)TRY("mov %0, %%fs", : : "r"(0x1230) : "memory");
    check("#GP through a task gate", fault_seen[2], 1);
    check("#GP through a task gate, error code", fault_seen[0], 0x1230);
    check("#GP through a task gate, nested", fault_seen[1] & EFLAGS_NT, EFLAGS_NT);
    check("#GP through a task gate, stack", fault_tss.esp,
          (uint32_t)fault_stack + sizeof(fault_stack));
    trap_set_task(VECTOR_GP, 0);
}

static void check_interrupt(void)
{
    reset_tasks(task_body);
    trap_set_task(VECTOR_IRQ, ENTRY_TASK);
    port_out8(0x20, 0x11);
    port_out8(0x21, VECTOR_IRQ);
    port_out8(0x21, 4);
    port_out8(0x21, 3); // ends an interrupt by itself
    port_out8(0x21, 0xfe);
    port_out8(0x43, 0x30);
    port_out8(0x40, 100);
    port_out8(0x40, 0);
    for (unsigned i = 0; i < 1000000 && task_seen.count == 0; i++) {
        __asm__ volatile("sti; nop; cli" : : : "memory");
    }
    check("interrupt through a task gate", task_seen.count, 1);
    port_out8(0x21, 0xff);
    trap_set_task(VECTOR_IRQ, 0);
}

static volatile uint32_t debug_traps, debug_status;

static void take_debug(struct trap_frame *frame)
{
    (void)frame;
    debug_traps++;
    __asm__ volatile("mov %%dr6, %0" : "=r"(debug_status));
    __asm__ volatile("mov %0, %%dr6" : : "r"(0));
}

static void check_debugging(void)
{
    uint32_t dr7;

    reset_tasks(task_body);
    task_tss.trap = 1;
    trap_set_hook(VECTOR_DB, take_debug);
    debug_traps = 0;
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x755));
    check("call of a task with the trap flag", call_task(), TRAP_NONE);
    __asm__ volatile("mov %%dr7, %0" : "=r"(dr7));
    check("debug trap of the task", debug_traps, 1);
    check("debug trap of the task, dr6", debug_status & DR6_BT, DR6_BT);
    check("local breakpoints are off", dr7 & 0xff, 0);
    trap_set_hook(VECTOR_DB, 0);
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400));
}

static void check_refused(void)
{
    reset_tasks(task_body);
    gdt_set(ENTRY_TASK, (uint32_t)&task_tss, 103, RIGHTS_TSS | RIGHTS_BUSY);
    check("call of a busy task", call_task(), VECTOR_GP);
    check("call of a busy task, error code", trap_last.error_code, SELECTOR(ENTRY_TASK));
    gdt_set(ENTRY_TASK, (uint32_t)&task_tss, 103, RIGHTS_TSS & ~0x80u);
    check("call of a task that is not present", call_task(), VECTOR_NP);
    gdt_set(ENTRY_TASK, (uint32_t)&task_tss, 0x66, RIGHTS_TSS);
    check("call of a task with a short TSS", call_task(), VECTOR_TS);
    check("call of a task with a short TSS, error code", trap_last.error_code,
          SELECTOR(ENTRY_TASK));
    set_tss(ENTRY_TASK, &task_tss, 103);
    main_tss.link = SELECTOR(ENTRY_TASK);
    check("iret to a task that is not busy",
          TRY("pushfl; orl $0x4000, (%%esp); popfl; iretl",
              :
              :
              : "memory", "cc"),
          VECTOR_TS);
    check("iret to a task that is not busy, error code", trap_last.error_code,
          SELECTOR(ENTRY_TASK));
    check("call of a null selector", TRY("lcall $0, $0", : : : "memory"), VECTOR_GP);
}

// Faults that belong to the new task, whose own handler is a task of its own.
static void check_fault_in_new_task(const char *name, unsigned vector, uint32_t error_code)
{
    fault_link = &fault_tss.link;
    trap_set_task(vector, ENTRY_FAULT);
    (void)call_task();
    check(name, fault_seen[2], 1);
    check("its error code", fault_seen[0], error_code);
    check("the new task's state was loaded", task_seen.count, 0);
    trap_set_task(vector, 0);
}

static void check_bad_states(void)
{
    reset_tasks(task_body);
    task_tss.cs = SELECTOR(ENTRY_DATA);
    check_fault_in_new_task("new task, code segment is data", VECTOR_TS, SELECTOR(ENTRY_DATA));
    reset_tasks(task_body);
    task_tss.ss = SELECTOR(ENTRY_CODE);
    check_fault_in_new_task("new task, stack segment is code", VECTOR_TS, SELECTOR(ENTRY_CODE));
    reset_tasks(task_body);
    task_tss.ds = SELECTOR(ENTRY_COUNT);
    check_fault_in_new_task("new task, data segment beyond the table", VECTOR_TS,
                            SELECTOR(ENTRY_COUNT));
    reset_tasks(task_body);
    gdt_set(ENTRY_ABSENT, 0, 0xfffff, RIGHTS_DATA & ~0x80u);
    task_tss.gs = SELECTOR(ENTRY_ABSENT);
    check_fault_in_new_task("new task, data segment not present", VECTOR_NP,
                            SELECTOR(ENTRY_ABSENT));
    reset_tasks(task_body);
    task_tss.ss = SELECTOR(ENTRY_ABSENT);
    check_fault_in_new_task("new task, stack segment not present", VECTOR_SS,
                            SELECTOR(ENTRY_ABSENT));
    reset_tasks(task_body);
    task_tss.ldt = SELECTOR(ENTRY_DATA);
    check_fault_in_new_task("new task, LDT is data", VECTOR_TS, SELECTOR(ENTRY_DATA));
}

static void check_ldt(void)
{
    reset_tasks(task_body);
    gdt_set(ENTRY_LDT, (uint32_t)local_table, sizeof(local_table) - 1, RIGHTS_LDT);
    local_table[1] = 0x00cf93000000ffff;
    task_tss.ldt = SELECTOR(ENTRY_LDT);
    task_tss.fs = 0xc; // of the LDT
    check("call of a task with an LDT", call_task(), TRAP_NONE);
    check("its segment of the LDT", task_seen.fs, 0xc);
}

static void check_16_bits(void)
{
    reset_tasks(task_body);
    task16 = (struct tss16){.flags = 2,
                            .bx = 0x4321,
                            .sp = 0x7000,
                            .es = SELECTOR(ENTRY_DATA),
                            .cs = SELECTOR(ENTRY_CODE16),
                            .ss = SELECTOR(ENTRY_DATA),
                            .ds = SELECTOR(ENTRY_DATA)};
    gdt_set(ENTRY_CODE16, (uint32_t)task16_body, 0xffff, RIGHTS_CODE_16);
    gdt_set(ENTRY_TASK16, (uint32_t)&task16, sizeof(task16) - 1, RIGHTS_TSS_16);
    check("call of a 16-bit task",
          TRY("lcall %0, $0",
              :
              : "i"(SELECTOR(ENTRY_TASK16))
              : "memory", "cc"),
          TRAP_NONE);
    check("the 16-bit task ran", task_seen.count, 0x16);
    check("its bx", task_seen.ebx & 0xffff, 0x4321);
    check("its link", task16.link, SELECTOR(ENTRY_MAIN));
    check("its descriptor is not busy", gdt_rights(ENTRY_TASK16), RIGHTS_TSS_16);
}

static void check_paging(void)
{
    uint32_t cr4;

    for (uint32_t i = 0; i < 1024; i++) {
        directories[0][i] = directories[1][i] = i << 22 | 0x83;
    }
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4; mov %1, %%cr3; mov %2, %%cr0"
                     :
                     : "r"(cr4 | CR4_PSE), "r"(directories[0]), "r"(cr0() | CR0_PG)
                     : "memory");
    main_tss.cr3 = (uint32_t)directories[0];
    reset_tasks(task_body);
    task_tss.cr3 = (uint32_t)directories[1];
    check("call of a task with paging", call_task(), TRAP_NONE);
    check("its cr3", task_seen.cr3, (uint32_t)directories[1]);
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr4));
    check("iret, cr3 is back", cr4, (uint32_t)directories[0]);
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0() & ~CR0_PG) : "memory");
}

void subject_task(void)
{
    set_tss(ENTRY_MAIN, &main_tss, sizeof(main_tss) - 1);
    __asm__ volatile("ltr %0" : : "r"(SELECTOR(ENTRY_MAIN)));
    check_call();
    check_jump();
    check_gates();
    check_interrupt();
    check_debugging();
    check_refused();
    check_bad_states();
    check_ldt();
    check_16_bits();
    check_paging();
}
