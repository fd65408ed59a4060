// SPDX-License-Identifier: MIT
// The world of guest_world.h: its beginning, and the backend.
#include "test/host/lockstep/guest_world.h"
#include <string.h>
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap_internal.h"
#include "arch/x86/virt/host_interrupt.h"
#include "drivers/local_apic.h"
#include "kernel/core/event_log.h"
#include "kernel/core/interrupt.h"
#include "kernel/memory/container.h"
#include "kernel/thread/scheduler.h"
#include "kernel/vm/vm.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/machine.h"

#define REASON_CPUID 10u
#define REASON_TIMER 52u
#define KERNEL_CODE  0x08u

struct spec_guests guests;
struct thread *monitors[MONITORS];
uint32_t monitor_handles[MONITORS];
struct vm *vms[SPEC_GUESTS];
struct vcpu *vcpus[SPEC_CORES];
uint64_t exits_of_kind[SPEC_EXIT_TIMER + 1];

static uint64_t handled[SPEC_EXIT_TIMER + 1]; // exits that the host's handlers saw

// -- what the guest's exits ask of the host -------------------------------------------------------

// The local APIC hears of the end of each interrupt but the spurious ones, once.
static void take_interrupt(uint32_t vector)
{
    struct trap_frame frame = {.vector = vector, .cs = KERNEL_CODE};
    uint64_t before = world_interrupts_ended;

    lockstep_equal("mode at an interrupt", this_cpu()->mode, MODE_KERNEL);
    trap_dispatch(&frame);
    lockstep_equal("in an interrupt", this_cpu()->in_interrupt, 0);
    lockstep_equal("ends of an interrupt", world_interrupts_ended - before,
                   vector != INTERRUPT_SPURIOUS);
}

void host_interrupt(uint32_t vector)
{
    take_interrupt(vector);
    handled[SPEC_EXIT_INTERRUPT]++;
}

// The timer has fired while the guest held interrupts back.
static void open_window(void)
{
    if (this_scheduler()->armed <= host_tsc) {
        take_interrupt(INTERRUPT_TIMER);
    }
}

// That is what it interrupted, should it stop the machine.
void host_nmi(void)
{
    lockstep_equal("mode at an NMI", this_cpu()->mode, MODE_GUEST);
    handled[SPEC_EXIT_NMI]++;
}

void host_machine_check(void)
{
    handled[SPEC_EXIT_MACHINE_CHECK]++;
}

// -- events: the modes of the CPUs follow the specification ---------------------------------------

bool event_log_on = true;

static struct spec_machine modes;

void event_log_write(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    enum spec_rule rule = SPEC_ALLOWED;

    (void)object, (void)value;
    if (kind == EVENT_HOSTOUT) {
        rule = hostout_spec(&modes, host_cpu, &modes);
    } else if (kind == EVENT_HOSTIN) {
        rule = hostin_spec(&modes, host_cpu, &modes);
    } else {
        return;
    }
    lockstep_equal("hostout, hostin", rule, SPEC_ALLOWED);
    lockstep_equal("mode", state,
                   modes.cpus[host_cpu].mode.ihost ? EVENT_MODE_HOST_KERNEL : EVENT_MODE_GUEST);
}

// -- facts ----------------------------------------------------------------------------------------

struct spec_poll world_poll(uint32_t core)
{
    const struct vcpu_page *page = vcpus[core]->virt.page;
    const struct thread *thread = monitors[guests.cores[core].thread];

    return (struct spec_poll){
        .events = atomic_load(&thread->events),
        .halted = page->halted != 0,
        .late = page->deadline_tsc != 0 && page->deadline_tsc <= host_tsc,
        .killed = thread_is_killed(thread),
        .taken = vcpus[core]->log != NULL ? vcpus[core]->log->taken : 0,
    };
}

static uint32_t told; // thread
static uint64_t told_bits;

static void signal_it(void *unused)
{
    (void)unused;
    thread_signal(monitors[told], told_bits);
}

static void kill_it(void *unused)
{
    (void)unused;
    thread_kill(monitors[told]);
}

void world_signal(uint32_t monitor, uint64_t bits)
{
    told = monitor;
    told_bits = bits;
    host_on_cpu(OUTSIDE_CPU, signal_it, NULL);
}

void world_kill(uint32_t monitor)
{
    told = monitor;
    host_on_cpu(OUTSIDE_CPU, kill_it, NULL);
}

// -- the backend ----------------------------------------------------------------------------------

static const struct virt_vcpu *held[WORLD_CPUS]; // whose state each CPU has

void world_modes_start(void)
{
    spec_machine_init(&modes, WORLD_CPUS, 0);
    host_hooks.interrupt_window = open_window;
}

static void must_hold(const struct virt_vcpu *virt)
{
    lockstep_equal("the CPU holds the vCPU's state", held[host_cpu] == virt, true);
}

static bool offer_no_apic(void)
{
    return false;
}

static enum status start(const struct virt_page *page)
{
    return page->address != NULL ? STATUS_OK : STATUS_INVALID;
}

static enum page_level largest(void)
{
    return PAGE_LEVEL_2M;
}

static void init_vm(struct virt_vm *vm, const struct virt_page *pages,
                    const struct page_table *nested)
{
    vm->nested = nested;
    for (uint32_t i = 0; i < VIRT_PORT_MAP_PAGES; i++) {
        vm->port_map[i] = pages[i].address;
    }
}

static enum status pass_msrs(struct virt_vm *vm, uint32_t first, uint32_t last, bool pass)
{
    (void)vm, (void)pass;
    return first >= MSRS_FIRST && last <= MSRS_LAST ? STATUS_OK : STATUS_DENIED;
}

static uint32_t intercept(struct virt_vm *vm, uint32_t intercepts)
{
    if ((intercepts & ~INTERCEPTS) == 0) {
        vm->intercepts = intercepts;
    }
    return intercepts & ~INTERCEPTS;
}

static void invalidate(void)
{
}

static enum status init_vcpu(struct virt_vcpu *virt, struct virt_vm *vm, struct vcpu_page *page,
                             const struct virt_page *pages, uint16_t identifier)
{
    (void)pages;
    lockstep_equal("no vCPU is loaded", held[host_cpu] == NULL, true);
    lockstep_equal("an identifier", identifier != 0, true);
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (guests.cores[i].exists && guests.cores[i].thread != SPEC_NONE) {
            lockstep_equal("of its own", identifier != vcpus[i]->virt.backend[0], true);
        }
    }
    virt->backend[0] = identifier;
    virt->vm = vm;
    virt->page = page;
    held[host_cpu] = virt;
    return STATUS_OK;
}

static void destroy_vcpu(struct virt_vcpu *virt)
{
    for (uint32_t i = 0; i < WORLD_CPUS; i++) {
        if (held[i] == virt) {
            lockstep_equal("ended where its state is", host_cpu, i);
            held[i] = NULL;
        }
    }
}

static void load_vcpu(struct virt_vcpu *virt)
{
    lockstep_equal("no other vCPU is loaded", held[host_cpu] == NULL, true);
    held[host_cpu] = virt;
}

static void unload_vcpu(struct virt_vcpu *virt)
{
    must_hold(virt);
    held[host_cpu] = NULL;
}

static uint32_t core_of(const struct virt_vcpu *virt)
{
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (guests.cores[i].exists && &vcpus[i]->virt == virt) {
            return i;
        }
    }
    lockstep_fail("a vCPU that nobody made");
}

static struct spec_exit exits[SPEC_CORES]; // the last of each
static bool skipped[SPEC_CORES];           // since then

void world_forget_exits(uint32_t core)
{
    skipped[core] = guests.cores[core].skipped = false;
}

void world_expect_handled(void)
{
    for (uint32_t i = SPEC_EXIT_INTERRUPT; i <= SPEC_EXIT_MACHINE_CHECK; i++) {
        lockstep_equal("interrupts, NMIs, machine checks of the host", handled[i],
                       exits_of_kind[i]);
    }
}

void world_expect_registers(uint32_t core, const struct vcpu_page *page)
{
    const uint64_t *registers = guests.cores[core].registers;

    lockstep_equal("RAX", page->gpr[GPR_RAX], registers[0]);
    lockstep_equal("RCX", page->gpr[GPR_RCX], registers[1]);
    lockstep_equal("RDX", page->gpr[GPR_RDX], registers[2]);
    lockstep_equal("RBX", page->gpr[GPR_RBX], registers[3]);
    lockstep_equal("skipped", skipped[core], guests.cores[core].skipped);
}

// The entry comes when the specification says, and ends in time.
static void expect_entry(uint32_t core, const struct vcpu_page *page, uint64_t deadline)
{
    const struct scheduler *scheduler = this_scheduler();
    uint64_t end = scheduler->attention == 0 ? scheduler->armed : scheduler_slice_end_tsc();

    lockstep_equal("enters", guests.cores[core].phase, SPEC_ENTER);
    lockstep_equal("the thread", (uint64_t)current_thread(),
                   (uint64_t)monitors[guests.cores[core].thread]);
    lockstep_equal("mode in a guest", this_cpu()->mode, MODE_GUEST);
    if (page->deadline_tsc != 0 && page->deadline_tsc < end) {
        end = page->deadline_tsc;
    }
    lockstep_equal("the end of the guest's time", deadline, end);
    world_expect_registers(core, page);
}

static uint64_t any_register(void)
{
    static const uint32_t leaves[] = {0, 1, 7, 0xd, 0x100, 0x40000000, 0x80000000, 0x80000001};

    return lockstep_chance(70)   ? leaves[lockstep_below(ARRAY_COUNT(leaves))]
           : lockstep_chance(50) ? lockstep_below(4)
                                 : lockstep_random();
}

static struct spec_exit any_exit(void)
{
    static const uint32_t reasons[] = {12, 10, 30, 1, 0, 0, 52};
    struct spec_exit exit = {
        .kind = lockstep_below(SPEC_EXIT_TIMER + 1),
        .entered = true,
        .answered = lockstep_chance(10) ? lockstep_below(4) : 0,
        .osxsave = lockstep_chance(50),
        .port = lockstep_chance(90) ? lockstep_below(256) : 65536 - lockstep_below(5),
        .size = lockstep_chance(90) ? 1u << lockstep_below(3) : lockstep_below(256),
        .in = lockstep_chance(50),
    };

    exit.port %= 65536;
    exit.reason = lockstep_chance(97) ? reasons[exit.kind] : (uint32_t)lockstep_random();
    for (uint32_t i = 0; i < 4; i++) {
        exit.registers[i] = any_register();
    }
    return exit;
}

// Meanwhile things happen to the thread, from outside.
static void meanwhile(uint32_t core, struct vcpu_page *page, struct spec_exit *exit)
{
    uint32_t thread = guests.cores[core].thread;

    if (lockstep_chance(15)) {
        world_signal(thread, 1 + lockstep_below(255));
    }
    if (thread != 0 && lockstep_below(300) == 0) {
        world_kill(thread); // the IPI is what it leaves the guest for
        exit->kind = SPEC_EXIT_INTERRUPT;
    }
    if (lockstep_chance(4)) { // other threads of the monitor see the page too
        page->deadline_tsc = host_tsc - lockstep_below(2);
    }
    if (lockstep_chance(3)) {
        page->halted = 1;
        page->deadline_tsc = 0;
    }
    if (lockstep_chance(10) && vcpus[core]->log != NULL) {
        vcpus[core]->log->taken =
            lockstep_chance(90) ? vcpus[core]->log->written : lockstep_random();
    }
}

uint64_t world_far(void)
{
    return (1ull << 40) + (lockstep_random() >> 25);
}

// A deadline that might pass while others have their turn is past now, or far away.
static void decide_deadline(struct vcpu_page *page, enum spec_exit_kind kind)
{
    bool pauses = kind == SPEC_EXIT_INTERRUPT || kind == SPEC_EXIT_TIMER;

    if (pauses && page->deadline_tsc > host_tsc &&
        page->deadline_tsc - host_tsc < world_far() / 4) {
        page->deadline_tsc = lockstep_chance(50) ? host_tsc : host_tsc + world_far();
    }
}

static void show_exit(struct virt_vcpu *virt, const struct spec_exit *exit)
{
    static const uint32_t vectors[] = {INTERRUPT_WAKE, INTERRUPT_TIMER, INTERRUPT_SERIAL_BASE,
                                       INTERRUPT_SPURIOUS, 0x77};
    struct vcpu_page *page = virt->page;

    page->gpr[GPR_RAX] = exit->registers[0];
    page->gpr[GPR_RCX] = exit->registers[1];
    page->gpr[GPR_RDX] = exit->registers[2];
    page->gpr[GPR_RBX] = exit->registers[3];
    page->exit = (struct vm_exit){.kind = EXIT_HLT};
    page->exit.pio.port = (uint16_t)exit->port;
    page->exit.pio.size = (uint8_t)exit->size;
    page->exit.pio.in = exit->in;
    virt->vector =
        lockstep_chance(60) ? INTERRUPT_WAKE : vectors[lockstep_below(ARRAY_COUNT(vectors))];
}

// Runs the guest, or finds that there is no time for it.
static enum virt_outcome enter(struct virt_vcpu *virt, uint64_t deadline)
{
    static const enum virt_outcome outcomes[] = {VIRT_TO_MONITOR, VIRT_CPUID, VIRT_PORT,
                                                 VIRT_INTERRUPT,  VIRT_NMI,   VIRT_MACHINE_CHECK,
                                                 VIRT_TIMER};
    uint32_t core = core_of(virt);
    struct vcpu_page *page = virt->page;
    struct spec_exit *exit = &exits[core];
    uint32_t event = page->event.word;

    must_hold(virt);
    expect_entry(core, page, deadline);
    *exit = any_exit();
    if (deadline <= host_tsc) {
        *exit = (struct spec_exit){.kind = SPEC_EXIT_TIMER, .reason = REASON_TIMER};
        memcpy(exit->registers, guests.cores[core].registers, sizeof(exit->registers));
    } else {
        exit->resumed = host_tsc;
        host_tsc += 1 + lockstep_below(50);
        exit->exited = host_tsc;
        virt->guest_ticks += exit->exited - exit->resumed;
        virt->finished[REASON_CPUID] += exit->answered;
        page->exit_tsc = exit->exited;
        page->event.word = 0;
        meanwhile(core, page, exit);
        show_exit(virt, exit);
    }
    decide_deadline(page, exit->kind);
    virt->reason = exit->reason;
    exits_of_kind[exit->kind]++;
    skipped[core] = false;
    const struct spec_poll poll = world_poll(core);
    core_exit_spec(&guests, core, exit, event, &poll, &guests);
    lockstep_counted(SPEC_ALLOWED);
    return outcomes[exit->kind];
}

static void export(struct virt_vcpu *virt, uint32_t groups)
{
    must_hold(virt);
    virt->page->valid |= groups;
    if ((groups & VCPU_GROUP_CONTROL) != 0) {
        virt->page->cr4 = exits[core_of(virt)].osxsave ? CR4_OSXSAVE : 0;
    }
}

static void skip(struct virt_vcpu *virt)
{
    must_hold(virt);
    lockstep_equal("skips once", skipped[core_of(virt)], false);
    skipped[core_of(virt)] = true;
}

static bool read_field(struct virt_vcpu *virt, uint64_t encoding, uint64_t *value)
{
    must_hold(virt);
    *value = 3 * encoding;
    return encoding < KNOWN_FIELDS;
}

static void trace_start(struct virt_vcpu *virt)
{
    (void)virt;
}

static void trace(struct virt_vcpu *virt, struct exit_record *record)
{
    must_hold(virt);
    record->reason = virt->reason;
}

static const struct virt_ops backend = {.name = "chance",
                                        .apic_offered = offer_no_apic,
                                        .cpu_start = start,
                                        .nested_format = PAGE_FORMAT_EPT,
                                        .nested_largest = largest,
                                        .vm_init = init_vm,
                                        .vm_pass_msrs = pass_msrs,
                                        .vm_intercept = intercept,
                                        .invalidate = invalidate,
                                        .vcpu_init = init_vcpu,
                                        .vcpu_destroy = destroy_vcpu,
                                        .vcpu_load = load_vcpu,
                                        .vcpu_unload = unload_vcpu,
                                        .vcpu_enter = enter,
                                        .vcpu_export = export,
                                        .vcpu_skip = skip,
                                        .vcpu_read = read_field,
                                        .vcpu_trace_start = trace_start,
                                        .vcpu_trace = trace};

const struct virt_ops *virt_probe(struct vm_support *support)
{
    support->lack = VM_LACKS_NOTHING;
    return &backend;
}
