// SPDX-License-Identifier: MIT
// System calls for virtual machines: what is refused, and a guest of a few instructions at a time
// in real mode whose exits, registers and end are checked. Without VMX only the refusal is.
#include "smoke.h"
#include "kernel/abi/vcpu.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"
#include "vmm/runtime/vcpu_reset.h"

#define CODE           0x1000u // guest-physical; IP of each piece of code
#define HANDLER        0x2000u // of interrupt 0x20
#define VECTOR_SLOT    0x80u   // of interrupt 0x20
#define RAM_BYTES      (2 * LARGE_PAGE_SIZE)
#define DIRECT_ADDRESS 0xffff800000000000ull // the kernel's
#define TICKS_SHORT    200000ull

static uint32_t vm, vcpu;
static uint8_t *ram;
static struct vcpu_page *page;

static void check_grants(void)
{
    uint64_t address = (uint64_t)ram;
    uint32_t all = VM_GRANT_READ | VM_GRANT_WRITE | VM_GRANT_EXECUTE;

    expect("grant no bytes", vm_grant(vm, 0, address, 0, all), STATUS_INVALID);
    expect("grant unaligned", vm_grant(vm, 0x800, address, PAGE_SIZE, all), STATUS_INVALID);
    expect("grant unreadable", vm_grant(vm, 0, address, PAGE_SIZE, VM_GRANT_WRITE), STATUS_INVALID);
    expect("grant unknown access", vm_grant(vm, 0, address, PAGE_SIZE, 9), STATUS_INVALID);
    expect("grant beyond", vm_grant(vm, 1ull << 52, address, PAGE_SIZE, all), STATUS_INVALID);
    expect("grant wrapping", vm_grant(vm, PAGE_SIZE, address, -PAGE_SIZE, all), STATUS_INVALID);
    expect("grant the kernel", vm_grant(vm, 0, DIRECT_ADDRESS, PAGE_SIZE, all), STATUS_INVALID);
    expect("grant nothing", vm_grant(vm, 0, 0x10000, PAGE_SIZE, all), STATUS_FAULT);
    expect("grant too much", vm_grant(vm, 0, address, RAM_BYTES + PAGE_SIZE, all), STATUS_FAULT);
    expect("grant to no VM", vm_grant(99, 0, address, PAGE_SIZE, all), STATUS_NOT_FOUND);
    expect("grant to a container", vm_grant(HANDLE_SELF_CONTAINER, 0, address, PAGE_SIZE, all),
           STATUS_DENIED);
    expect("grant", vm_grant(vm, 0, address, RAM_BYTES, all), STATUS_OK);
    expect("grant twice", vm_grant(vm, RAM_BYTES - PAGE_SIZE, address, PAGE_SIZE, all),
           STATUS_BUSY);
    expect("free granted memory", memory_free(address, RAM_BYTES), STATUS_BUSY);
    expect("revoke a part", vm_revoke(vm, 0, PAGE_SIZE), STATUS_NOT_FOUND);
}

static void check_policies(void)
{
    static struct vm_cpuid_entry entries[2] = {
        {.leaf = 0x40000000, .eax = 1, .ebx = 2, .ecx = 3, .edx = 4},
        {.leaf = 1, .flags = VM_CPUID_ASK},
    };

    expect("too many CPUID entries", vm_set_cpuid(vm, entries, VM_CPUID_MAXIMUM + 1),
           STATUS_INVALID);
    expect("CPUID entries nowhere", vm_set_cpuid(vm, (void *)8, 1), STATUS_FAULT);
    expect("CPUID entries", vm_set_cpuid(vm, entries, 2), STATUS_OK);
    expect("MSR of the host", vm_set_msr(vm, 0x10, 0x10, VM_MSR_PASSTHROUGH), STATUS_DENIED);
    expect("MSRs around EFER", vm_set_msr(vm, 0xc0000080, 0xc0000085, VM_MSR_PASSTHROUGH),
           STATUS_DENIED);
    expect("EFER to SFMASK", vm_set_msr(vm, 0xc0000080, 0xc0000084, VM_MSR_PASSTHROUGH), STATUS_OK);
    expect("all MSRs exit", vm_set_msr(vm, 0, UINT32_MAX, VM_MSR_EXIT), STATUS_OK);
    expect("floating port", vm_set_port(vm, 0x70, 0x71, VM_PORT_FLOAT), STATUS_OK);
    expect("ports reversed", vm_set_port(vm, 2, 1, VM_PORT_FLOAT), STATUS_INVALID);
    expect("unknown policy", vm_set_port(vm, 1, 2, (enum vm_port_policy)7), STATUS_INVALID);
}

// Puts the vCPU at CODE in real mode with these bytes there, runs it, and returns the exit's kind.
static uint32_t run_code(const uint8_t *code, size_t size)
{
    memcpy(ram + CODE, code, size);
    page->rip = CODE;
    page->segment[SEGMENT_CS].selector = 0;
    page->segment[SEGMENT_CS].base = 0;
    page->dirty |= VCPU_GROUP_RIP | VCPU_GROUP_SEGMENTS;
    page->deadline_tsc = tsc_now() + 100 * TICKS_SHORT;
    expect("run", vcpu_run(vcpu, 0), STATUS_OK);
    return page->exit.kind;
}

static void run_on(void)
{
    page->rip += page->exit.instruction_length;
    page->dirty |= VCPU_GROUP_RIP;
    expect("run on", vcpu_run(vcpu, 0), STATUS_OK);
}

static void check_instructions(void)
{
    // mov ax,0x1234; out 0x80,al; in al,0x71; hlt
    static const uint8_t ports[] = {0xb8, 0x34, 0x12, 0xe6, 0x80, 0xe4, 0x71, 0xf4};
    // mov eax,0x40000000; cpuid; hlt; mov eax,1; cpuid
    static const uint8_t cpuids[] = {0x66, 0xb8, 0, 0, 0, 0x40, 0x0f, 0xa2, 0xf4,
                                     0x66, 0xb8, 1, 0, 0, 0,    0x0f, 0xa2};
    static const uint8_t msr[] = {0x66, 0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x32}; // rdmsr of EFER

    expect("out", run_code(ports, sizeof(ports)), EXIT_PIO);
    expect("out: port", page->exit.pio.port, 0x80);
    expect("out: size", page->exit.pio.size, 1);
    expect("out: direction", page->exit.pio.in, 0);
    expect("out: length", page->exit.instruction_length, 2);
    expect("out: rax", (int64_t)(page->gpr[GPR_RAX] & 0xffff), 0x1234);
    run_on();
    expect("floating port", page->exit.kind, EXIT_HLT);
    expect("floating port: al", (int64_t)(page->gpr[GPR_RAX] & 0xffff), 0x12ff);
    expect("cpuid", run_code(cpuids, sizeof(cpuids)), EXIT_HLT);
    expect("cpuid: eax", (int64_t)page->gpr[GPR_RAX], 1);
    expect("cpuid: ebx", (int64_t)page->gpr[GPR_RBX], 2);
    expect("cpuid: ecx", (int64_t)page->gpr[GPR_RCX], 3);
    expect("cpuid: edx", (int64_t)page->gpr[GPR_RDX], 4);
    run_on();
    expect("cpuid asks", page->exit.kind, EXIT_CPUID);
    expect("rdmsr", run_code(msr, sizeof(msr)), EXIT_RDMSR);
    expect("rdmsr: index", (int64_t)page->gpr[GPR_RCX], 0xc0000080);
}

static void check_memory_exit(void)
{
    // mov ax,0xffff; mov ds,ax; mov [0x10],al: linear and physical 0x100000, then beyond RAM
    static const uint8_t code[] = {0xb8, 0xff, 0xff, 0x8e, 0xd8, 0xa2, 0x10, 0, 0xf4};
    uint32_t all = VM_GRANT_READ | VM_GRANT_WRITE | VM_GRANT_EXECUTE;

    expect("write to RAM", run_code(code, sizeof(code)), EXIT_HLT);
    expect("revoke", vm_revoke(vm, 0, RAM_BYTES), STATUS_OK);
    expect("grant the low 64 KiB", vm_grant(vm, 0, (uint64_t)ram, 0x10000, all), STATUS_OK);
    expect("write to nothing", run_code(code, sizeof(code)), EXIT_MEMORY);
    expect("address", (int64_t)page->exit.memory.gpa, 0x100000);
    expect("a write", page->exit.memory.write, 1);
    expect("not a fetch", page->exit.memory.fetch, 0);
    expect("read-only grant",
           vm_grant(vm, 0x100000, (uint64_t)ram + 0x100000, PAGE_SIZE, VM_GRANT_READ), STATUS_OK);
    expect("write to read-only", run_code(code, sizeof(code)), EXIT_MEMORY);
    expect("groups of a memory exit", page->valid, VCPU_GROUP_RIP | VCPU_GROUP_CONTROL);
    page->wanted = VCPU_GROUP_SEGMENTS;
    expect("fetch segments", vcpu_run(vcpu, VCPU_RUN_FETCH), STATUS_OK);
    page->wanted = 0;
    expect("data segment", page->segment[SEGMENT_DS].selector, 0xffff);
    expect("revoke the page", vm_revoke(vm, 0x100000, PAGE_SIZE), STATUS_OK);
}

// An interrupt is injected once interrupts can be taken, and its handler runs.
static void check_injection(void)
{
    static const uint8_t code[] = {0xfa, 0xe6, 0x80, 0xfb, 0x90, 0xf4}; // cli; out; sti; nop; hlt
    static const uint8_t handler[] = {0xb0, 0x77, 0xf4};                // mov al,0x77; hlt
    static const uint8_t vector[] = {HANDLER & 0xff, HANDLER >> 8, 0, 0};

    memcpy(ram + HANDLER, handler, sizeof(handler));
    memcpy(&ram[VECTOR_SLOT], vector, sizeof(vector));
    page->gpr[GPR_RSP] = 0x8000;
    expect("interrupts off", run_code(code, sizeof(code)), EXIT_PIO);
    page->request_window = 1;
    run_on();
    expect("window", page->exit.kind, EXIT_INTERRUPT_WINDOW);
    page->request_window = 0;
    page->event.word = VCPU_EVENT_VALID | VCPU_EVENT_EXTERNAL | 0x20;
    run_on();
    expect("handler", page->exit.kind, EXIT_HLT);
    expect("handler: al", (int64_t)(page->gpr[GPR_RAX] & 0xff), 0x77);
    expect("event consumed", page->event.word, 0);
}

static void check_time_and_events(void)
{
    static const uint8_t loop[] = {0xeb, 0xfe};
    uint64_t start;

    (void)run_code(loop, sizeof(loop));
    expect("deadline", page->exit.kind, EXIT_DEADLINE);
    expect("deadline reached", tsc_now() >= page->deadline_tsc, 1);
    page->deadline_tsc = 1;
    expect("past deadline", vcpu_run(vcpu, 0), STATUS_OK);
    expect("past deadline: kind", page->exit.kind, EXIT_DEADLINE);
    start = tsc_now();
    page->deadline_tsc = start + TICKS_SHORT;
    page->halted = 1;
    expect("halted", vcpu_run(vcpu, 0), STATUS_OK);
    expect("halted: kind", page->exit.kind, EXIT_DEADLINE);
    expect("halted: time", tsc_now() - start >= TICKS_SHORT, 1);
    page->halted = 0;
    page->deadline_tsc = 0;
}

// What the processor or the kernel refuses, and that the vCPU runs on once it is repaired.
static void check_refusals(void)
{
    static const uint8_t halt[] = {0xf4};
    uint64_t rflags = page->rflags;
    uint64_t cr4;
    uint64_t value = 1;

    page->rflags = 0; // bit 1 is always 1
    expect("bad RFLAGS", run_code(halt, sizeof(halt)), EXIT_ENTRY_REFUSED);
    expect("bad RFLAGS: reason", page->exit.refused.reason, REFUSED_GUEST_STATE);
    expect("field", vcpu_read(vcpu, 0x6820, &value), STATUS_OK);
    expect("field: RFLAGS", (int64_t)value, 0);
    expect("no field", vcpu_read(vcpu, 0x7ffe, &value), STATUS_NOT_FOUND);
    expect("number of no field", vcpu_read(vcpu, UINT32_MAX, &value), STATUS_NOT_FOUND);
    expect("field nowhere", vcpu_read(vcpu, 0x6820, (void *)8), STATUS_FAULT);
    page->rflags = rflags;
    expect("repaired", run_code(halt, sizeof(halt)), EXIT_HLT);

    page->wanted = VCPU_GROUP_ALL;
    expect("fetch", vcpu_run(vcpu, VCPU_RUN_FETCH), STATUS_OK);
    expect("fetch: valid", page->valid, VCPU_GROUP_ALL);
    page->wanted = 0;
    cr4 = page->cr4;
    page->cr4 |= 1u << 13; // VMXE
    page->dirty |= VCPU_GROUP_CONTROL;
    expect("VMXE", run_code(halt, sizeof(halt)), EXIT_ENTRY_REFUSED);
    expect("VMXE: reason", page->exit.refused.reason, REFUSED_BY_KERNEL);
    page->cr4 = cr4;
    page->lstar = 1ull << 50; // not canonical: would fault in the kernel
    page->dirty |= VCPU_GROUP_MSRS;
    expect("LSTAR", run_code(halt, sizeof(halt)), EXIT_ENTRY_REFUSED);
    page->lstar = 0;
    page->dr7 = 1ull << 40;
    page->dirty |= VCPU_GROUP_DEBUG;
    expect("DR7", run_code(halt, sizeof(halt)), EXIT_ENTRY_REFUSED);
    page->dr7 = 0x400;
    page->xcr0 = 2; // without the x87 bit
    page->dirty |= VCPU_GROUP_XCR0;
    expect("XCR0", run_code(halt, sizeof(halt)), EXIT_ENTRY_REFUSED);
    page->xcr0 = 1;
    for (uint32_t type = 1; type <= 7; type += 6) { // reserved interruption types
        page->event.word = VCPU_EVENT_VALID | type << 8;
        expect("event type", run_code(halt, sizeof(halt)), EXIT_ENTRY_REFUSED);
        expect("event type: reason", page->exit.refused.reason, REFUSED_BY_KERNEL);
        page->event.word = 0;
    }
    expect("all repaired", run_code(halt, sizeof(halt)), EXIT_HLT);
}

static void check_handles(void)
{
    struct vcpu_info info;
    struct vm_statistics statistics = {0};

    expect("second vCPU", vcpu_create(vm, &info), -STATUS_STATE);
    expect("run a VM", vcpu_run(vm, 0), STATUS_DENIED);
    expect("run nothing", vcpu_run(98, 0), STATUS_NOT_FOUND);
    expect("run flags", vcpu_run(vcpu, 8), STATUS_INVALID);
    expect("statistics", vm_statistics_get(vm, &statistics), STATUS_OK);
    expect("statistics: kernel", statistics.exits_in_kernel > 0, 1);
    expect("statistics: memory", (int64_t)statistics.granted_bytes, 0x10000);
}

void test_machines(void)
{
    struct vcpu_info info = {0};
    int64_t handle = vm_create();

    if (smoke_info->vm_support.lack != VM_LACKS_NOTHING) {
        expect("no VMs here", handle, -STATUS_UNSUPPORTED);
        return;
    }
    vm = (uint32_t)handle;
    ram = (uint8_t *)memory_allocate(RAM_BYTES);
    check_grants();
    check_policies();
    expect("vCPU info nowhere", vcpu_create(vm, (void *)8), -STATUS_FAULT);
    handle = vcpu_create(vm, &info);
    expect("vCPU", handle > 0, 1);
    vcpu = (uint32_t)handle;
    page = (struct vcpu_page *)info.page;
    expect("without registers", vcpu_run(vcpu, 0), STATUS_OK);
    expect("without registers: kind", page->exit.kind, EXIT_ENTRY_REFUSED);
    expect("without registers: reason", page->exit.refused.reason, REFUSED_GUEST_STATE);
    vcpu_reset(page);
    check_instructions();
    check_injection();
    check_time_and_events();
    check_refusals();
    check_memory_exit();
    check_handles();
    expect("close the VM first", handle_close(vm), STATUS_OK);
    expect("close the vCPU", handle_close(vcpu), STATUS_OK);
    expect("run a closed vCPU", vcpu_run(vcpu, 0), STATUS_NOT_FOUND);
    expect("free the memory", memory_free((uint64_t)ram, RAM_BYTES), STATUS_OK);
}
