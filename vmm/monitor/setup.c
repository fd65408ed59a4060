// SPDX-License-Identifier: MIT
// Building the VM: configuration, memory, image, ACPI tables, processor policy, devices. Each step
// ends the process with a message that names what was wrong. Called once by main.c.
#include "vmm/monitor/monitor.h"

#include "kernel/lib/format.h"
#include "kernel/lib/processor.h"
#include "kernel/lib/string.h"
#include "vmm/config/intercept.h"
#include "vmm/devices/acpi_tables.h"
#include "vmm/load/load.h"
#include "vmm/monitor/cpuid.h"
#include "vmm/monitor/msr.h"
#include "vmm/monitor/observing.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"
#include "vmm/runtime/vcpu_reset.h"
#include "vmm/runtime/tsc.h"

enum passed_handle {
    HANDLE_TO_CONSOLE = HANDLE_FIRST_PASSED,
    HANDLE_FROM_CONSOLE,
    HANDLE_FIRST_MODULE,
};

#define VM_ACCESS_ALL (VM_GRANT_READ | VM_GRANT_WRITE | VM_GRANT_EXECUTE)

static NORETURN void refuse(struct monitor *monitor, uint32_t reason, uint32_t status,
                            const char *format, ...) PRINTF(4, 5);
static NORETURN void refuse(struct monitor *monitor, uint32_t reason, uint32_t status,
                            const char *format, ...)
{
    char why[512];
    va_list arguments;

    va_start(arguments, format);
    (void)format_text_va(why, sizeof(why), format, arguments);
    va_end(arguments);
    monitor_end(monitor, reason, status, why);
}

// A system call that only lack of resources can make fail.
static uint64_t require(struct monitor *monitor, const char *what, int64_t result)
{
    if (result < 0) {
        refuse(monitor, END_BAD_CONFIG, RUN_USAGE, "%s: %s", what,
               status_name(call_status(result)));
    }
    return (uint64_t)result;
}

static void require_status(struct monitor *monitor, const char *what, enum status status)
{
    (void)require(monitor, what, -(int64_t)status);
}

static void read_config(struct monitor *monitor)
{
    const struct process_info *info = monitor->info;
    struct config_error error;

    if (config_parse_section((const char *)info->arguments, info->argument_bytes, &monitor->config,
                             &error) != STATUS_OK) {
        refuse(monitor, END_BAD_CONFIG, RUN_USAGE, "configuration, line %u of the section: %s",
               error.line, error.message);
    }
    if (monitor->config.vcpus > MONITOR_PROCESSORS) {
        refuse(monitor, END_BAD_CONFIG, RUN_USAGE, "vcpus: %u asked for, at most %u are supported",
               monitor->config.vcpus, MONITOR_PROCESSORS);
    }
    if (monitor->config.vcpus > 1 && monitor->config.apic == CONFIG_APIC_OFF) {
        refuse(monitor, END_BAD_CONFIG, RUN_USAGE,
               "apic: %u virtual processors need it, but it is off", monitor->config.vcpus);
    }
}

// Processors with local APICs; 0: there is one, at the PIC.
static uint32_t apic_processors(const struct monitor *monitor)
{
    const struct config_vm *config = &monitor->config;

    return config->vcpus > 1 || config->apic == CONFIG_APIC_ON ? config->vcpus : 0;
}

// One piece of guest RAM, `host` being where it is mapped here.
static void add_memory(struct monitor *monitor, uint64_t start, uint64_t size, uint64_t host)
{
    if (size == 0) {
        return;
    }
    require_status(
        monitor, "guest memory",
        guest_memory_add(&monitor->memory, gpa(start), size, (void *)(uintptr_t)host, false));
    require_status(monitor, "guest memory",
                   vm_grant(monitor->vm, start, host, size, VM_ACCESS_ALL));
}

static void make_memory(struct monitor *monitor)
{
    uint64_t bytes = monitor->config.memory;
    uint64_t low = bytes < LOAD_MEMORY_LOW ? bytes : LOAD_MEMORY_LOW;
    uint64_t host = require(monitor, "guest memory", memory_allocate(bytes));

    guest_memory_init(&monitor->memory);
    add_memory(monitor, 0, low, host);
    add_memory(monitor, LOAD_MEMORY_HIGH, bytes - low, host + low);
}

static uint64_t make_acpi_tables(struct monitor *monitor)
{
    const struct acpi_tables_config config = {
        .processors = apic_processors(monitor),
        .io_apic_address = IO_APIC_ADDRESS,
    };
    uint8_t *buffer =
        guest_memory_pointer(&monitor->memory, gpa(ACPI_TABLES_ADDRESS), ACPI_TABLES_MAXIMUM);
    size_t size = 0;

    if (!buffer) {
        return 0; // a VM this small has no ACPI
    }
    require_status(
        monitor, "ACPI tables",
        acpi_tables_build(buffer, ACPI_TABLES_MAXIMUM, gpa(ACPI_TABLES_ADDRESS), &config, &size));
    return ACPI_TABLES_ADDRESS;
}

// Copies of configuration texts with a NUL behind them. They all fit: the section is no longer
// than PROCESS_ARGUMENTS_MAXIMUM, and each text is followed there by at least one byte.
static char strings[PROCESS_ARGUMENTS_MAXIMUM + 64];
static size_t strings_used;

static const char *make_string(struct config_text text)
{
    char *string = strings + strings_used;

    ASSERT(strings_used + text.length + 1 <= sizeof(strings));
    if (text.length > 0) {
        memcpy(string, text.start, text.length);
    }
    string[text.length] = '\0';
    strings_used += text.length + 1;
    return string;
}

// Maps the module behind `handle` as the image called `file`, or by its module name.
static struct load_image map_image(struct monitor *monitor, uint32_t handle,
                                   struct config_text file, struct config_text name)
{
    struct module_info info;
    struct load_image image = {.file = make_string(file.length > 0 ? file : name)};

    require_status(monitor, image.file, module_info_get(handle, &info));
    image.size = info.bytes;
    image.bytes = (const uint8_t *)(uintptr_t)require(monitor, image.file, module_map(handle));
    return image;
}

static void map_images(struct monitor *monitor, struct load_request *request,
                       struct load_image *modules)
{
    const struct config_vm *config = &monitor->config;
    uint32_t handle = HANDLE_FIRST_MODULE;

    request->kernel = map_image(monitor, handle++, config->kernel_file, config->kernel);
    if (config->initrd.length > 0) {
        request->initrd = map_image(monitor, handle++, config->initrd_file, config->initrd);
    }
    for (uint32_t i = 0; i < config->module_count; i++) {
        const struct config_module *module = &config->modules[i];

        modules[i] = map_image(monitor, handle++, module->file, module->module);
        modules[i].arguments = make_string(module->arguments);
    }
    request->modules = modules;
    request->module_count = config->module_count;
}

static void load(struct monitor *monitor, struct load_entry *entry)
{
    static const enum load_type types[] = {
        [CONFIG_KERNEL_AUTO] = LOAD_AUTO, [CONFIG_KERNEL_LINUX] = LOAD_LINUX,
        [CONFIG_KERNEL_ELF] = LOAD_ELF,   [CONFIG_KERNEL_MULTIBOOT] = LOAD_MULTIBOOT,
        [CONFIG_KERNEL_FLAT] = LOAD_FLAT,
    };
    static struct load_image modules[CONFIG_MODULE_MAXIMUM];
    static struct load_report report;
    struct load_request request = {
        .type = types[monitor->config.kernel_type],
        .command_line = make_string(monitor->config.append),
        .memory_bytes = monitor->config.memory,
        .memory = &monitor->memory,
    };
    enum status status;

    map_images(monitor, &request, modules);
    request.rsdp = make_acpi_tables(monitor);
    status = load_guest(&request, entry, &report);
    if (status == STATUS_INVALID) {
        refuse(monitor, END_BAD_CONFIG, RUN_USAGE, "%s", report.text);
    }
    if (status != STATUS_OK) {
        refuse(monitor, END_BAD_IMAGE, RUN_BAD_IMAGE, "%s", report.text);
    }
    link_log(&monitor->link, entry->summary);
}

void monitor_enter_image(struct monitor *monitor, struct vcpu_page *page)
{
    const struct load_entry *entry = monitor->entry;

    memcpy(page->gpr, entry->gpr, sizeof(page->gpr));
    page->rip = entry->rip;
    page->rflags = entry->rflags;
    page->cr0 = entry->cr0;
    page->cr3 = entry->cr3;
    page->cr4 = entry->cr4;
    page->efer = entry->efer;
    memcpy(page->segment, entry->segment, sizeof(page->segment));
    page->gdtr = entry->gdtr;
    page->idtr = entry->idtr;
    page->valid |= VCPU_GROUP_RIP | VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS | VCPU_GROUP_TABLES;
    page->dirty |= VCPU_GROUP_RIP | VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS | VCPU_GROUP_TABLES;
}

// CPUID and MSR policy, registered with the kernel where it can act on it alone.
static void make_policy(struct monitor *monitor)
{
    static struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
    struct machine *machine = &monitor->cpu[0].machine;
    uint32_t count;

    cpuid_features(cpuid_host, monitor->info->tsc_hz, &machine->features);
    machine->features.processors = apic_processors(monitor);
    count = cpuid_build(cpuid_host, &machine->features, entries);
    require_status(monitor, "CPUID policy", vm_set_cpuid(monitor->vm, entries, count));
    for (unsigned i = 0; i < msr_table_count; i++) {
        const struct msr_row *row = &msr_table[i];

        // Where the backend cannot, the row serves the exit.
        if (row->pass &&
            vm_set_msr(monitor->vm, row->first, row->last, VM_MSR_PASSTHROUGH) != STATUS_OK) {
            machine_log(machine, "MSR 0x%x exits: the backend does not pass it", row->first);
        }
    }
}

// Those of RDRAND and RDSEED that the processor has and a seed takes over.
static uint32_t seeded_instructions(const struct monitor *monitor)
{
    struct cpuid_words one, seven;

    if (!monitor->config.seeded) {
        return 0;
    }
    one = cpuid_host(1, 0);
    seven = cpuid_host(7, 0);
    return (one.ecx >> 30 & 1 ? VM_INTERCEPT_RDRAND : 0) |
           (seven.ebx >> 18 & 1 ? VM_INTERCEPT_RDSEED : 0);
}

// Exits that the person asked for. What the processor cannot do is named, not dropped.
static void make_intercepts(struct monitor *monitor)
{
    uint32_t wanted =
        (monitor->config.intercepts & ~(CONFIG_INTERCEPT_EXCEPTIONS | CONFIG_INTERCEPT_BAD_STATE)) |
        seeded_instructions(monitor);
    uint64_t lacking = require(monitor, "intercepts", vm_intercept(monitor->vm, wanted));
    char words[128];

    if (lacking != 0) {
        config_intercept_words((uint32_t)lacking, words, sizeof(words));
        refuse(monitor, END_BAD_CONFIG, RUN_USAGE,
               "intercept: the VMX of this processor does not offer %s", words);
    }
    if ((wanted & (VM_INTERCEPT_APIC_PAGE | VM_INTERCEPT_TPR)) != 0) {
        uint64_t page = require(monitor, "APIC page", memory_allocate(PAGE_SIZE));

        require_status(
            monitor, "APIC page",
            vm_grant(monitor->vm, VM_APIC_PAGE, page, PAGE_SIZE, VM_GRANT_READ | VM_GRANT_WRITE));
    }
}

void monitor_make_vcpu(struct virtual_cpu *cpu)
{
    struct vcpu_info info = {0};

    cpu->handle =
        (uint32_t)require(cpu->monitor, "virtual processor", vcpu_create(cpu->monitor->vm, &info));
    cpu->machine.page = (struct vcpu_page *)(uintptr_t)info.page;
    vcpu_reset(cpu->machine.page);
    if (cpu->machine.apic &&
        (cpu->monitor->config.intercepts & (VM_INTERCEPT_APIC_PAGE | VM_INTERCEPT_TPR)) == 0) {
        cpu->machine.apic->page = (uint32_t *)(uintptr_t)info.apic_page;
    }
    if ((cpu->monitor->config.intercepts & CONFIG_INTERCEPT_EXCEPTIONS) != 0) {
        cpu->machine.page->exception_bitmap = UINT32_MAX;
    }
    if (cpu->monitor->config.seeded) {
        random_seed(&cpu->machine.random, cpu->monitor->config.seed, cpu->index);
    }
    cpu->machine.bad_state = (cpu->monitor->config.intercepts & CONFIG_INTERCEPT_BAD_STATE) != 0;
}

static void make_platform(struct monitor *monitor)
{
    struct platform_config config = {
        .tsc = tsc_now(),
        .tsc_hz = monitor->info->tsc_hz,
        .start_time = (int64_t)monitor->config.clock,
        .memory_bytes = monitor->config.memory,
        .processors = apic_processors(monitor),
        .ticks_per_count = cpuid_ticks_per_crystal(monitor->info->tsc_hz),
        .physical_bits = monitor->cpu[0].machine.features.physical_bits,
        .context = &monitor->link,
        .console_output = link_output,
        .console_input = link_input,
    };

    require_status(monitor, "devices", platform_init(&monitor->platform, &config));
    require_status(
        monitor, "watchdog",
        watchdog_start(&monitor->watchdog, &monitor->platform.clock, monitor->config.watchdog));
    monitor->link.now = &monitor->platform.clock.tsc;
}

// What each processor's exit handlers work on. The features are those of the first.
static void make_machines(struct monitor *monitor)
{
    struct platform *platform = &monitor->platform;

    for (uint32_t i = 0; i < monitor->config.vcpus; i++) {
        struct machine *machine = &monitor->cpu[i].machine;
        struct platform_processor *processor =
            platform->processors > 0 ? &platform->processor[i] : NULL;

        machine->features = monitor->cpu[0].machine.features;
        machine->apic = processor ? &processor->apic : NULL;
        guest_access_init(&machine->access, &monitor->memory,
                          processor ? &processor->mmio : &platform->mmio, &platform->ports);
        msr_reset(machine);
    }
}

// Ports without a device are answered by the kernel.
static void make_port_policy(struct monitor *monitor)
{
    const struct port_bus *ports = &monitor->platform.ports;

    require_status(monitor, "port policy",
                   vm_set_port(monitor->vm, 0, PORT_COUNT - 1, VM_PORT_FLOAT));
    for (unsigned i = 1; i < ports->count; i++) { // region 0 is the hole
        require_status(
            monitor, "port policy",
            vm_set_port(monitor->vm, ports->region[i].first, ports->region[i].last, VM_PORT_EXIT));
    }
}

static void log_line(void *context, const char *line)
{
    link_log(context, line);
}

static void connect_machines(struct monitor *monitor)
{
    for (uint32_t i = 0; i < MONITOR_PROCESSORS; i++) {
        struct virtual_cpu *cpu = &monitor->cpu[i];

        cpu->monitor = monitor;
        cpu->index = i;
        cpu->machine.memory = &monitor->memory;
        cpu->machine.platform = &monitor->platform;
        cpu->machine.log = log_line;
        cpu->machine.log_context = &monitor->link;
        exit_trail_start(&cpu->trail);
    }
}

void monitor_setup(struct monitor *monitor, const struct process_info *info)
{
    static const uint64_t no_time = 0;
    static struct load_entry entry;

    monitor->entry = &entry;
    monitor->info = info;
    link_init(&monitor->link, HANDLE_TO_CONSOLE, HANDLE_FROM_CONSOLE, info->tsc_hz, &no_time);
    connect_machines(monitor);
    require_status(monitor, "console channel", channel_bind(HANDLE_FROM_CONSOLE, LINK_EVENT_BIT));
    read_config(monitor);
    monitor->vm = (uint32_t)require(monitor, "virtual machine", vm_create());
    make_memory(monitor);
    load(monitor, &entry);
    make_policy(monitor);
    make_intercepts(monitor);
    make_platform(monitor);
    make_machines(monitor);
    if (apic_processors(monitor) == 0) { // else each processor's thread makes its own
        monitor_make_vcpu(&monitor->cpu[0]);
        monitor->link.now = &monitor->cpu[0].machine.page->exit_tsc;
        monitor_enter_image(monitor, monitor->cpu[0].machine.page);
        observing_start(&monitor->cpu[0]);
    }
    make_port_policy(monitor);
}
