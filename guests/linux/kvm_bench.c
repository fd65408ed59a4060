// SPDX-License-Identifier: MIT
// Runs the exit benchmark under Linux KVM, as the first process of a Linux without anything else:
// loads KVM's modules, makes a VM with KVM's own interrupt controllers and timer, starts the 64-bit
// benchmark in it as a multiboot loader would, and answers the exits that KVM leaves to user space
// as its usual monitors do, with a switch. What the guest prints goes to the console.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY_BYTES     (64ul << 20)
#define GUEST            "/bench.elf"
#define INFORMATION      0x9000u // struct multiboot_info, all zero but for what follows
#define MULTIBOOT_MAGIC  0x2badb002u
#define COM1             0x3f8u
#define COM1_LINE_STATUS (COM1 + 5)
#define COM1_EMPTY       0x60u
#define ACPI_CONTROL     0x604u
#define TEST_EXIT        0xf4u
#define SHUTDOWN_PORT    0x8900u
#define CPUID_ENTRIES    100u
#define FEATURE_X2APIC   (1u << 21) // leaf 1 ECX
#define FEATURE_DEADLINE (1u << 24)

static void end_machine(void)
{
    const char *word = "Shutdown";

    fflush(stdout);
    sleep(1);
    if (ioperm(SHUTDOWN_PORT, 1, 1) == 0) {
        while (*word) {
            outb((unsigned char)*word++, SHUTDOWN_PORT);
        }
    }
    for (;;) {
        pause();
    }
}

static int require(int result, const char *what)
{
    if (result < 0) {
        printf("kvm_bench: %s: %s\n", what, strerror(errno));
        end_machine();
    }
    return result;
}

static void load_module(const char *path)
{
    int file = require(open(path, O_RDONLY | O_CLOEXEC), path);

    require((int)syscall(SYS_finit_module, file, "", 0), path);
    close(file);
}

// Puts the segments of the ELF64 file where they belong; returns the entry.
static uint64_t load_guest(uint8_t *memory)
{
    int file = require(open(GUEST, O_RDONLY | O_CLOEXEC), GUEST);
    struct stat status;
    const uint8_t *image;

    require(fstat(file, &status), GUEST);
    image = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (image == MAP_FAILED) {
        require(-1, GUEST);
    }
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Phdr *segment = (const void *)(image + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segment[i].p_type == PT_LOAD &&
            segment[i].p_paddr + segment[i].p_memsz < MEMORY_BYTES) {
            memcpy(memory + segment[i].p_paddr, image + segment[i].p_offset, segment[i].p_filesz);
        }
    }
    return header->e_entry;
}

static void set_cpuid(int kvm, int vcpu)
{
    struct kvm_cpuid2 *table =
        calloc(1, sizeof(*table) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2));

    if (table == NULL) {
        require(-1, "memory");
    }
    table->nent = CPUID_ENTRIES;
    require(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, table), "KVM_GET_SUPPORTED_CPUID");
    for (unsigned i = 0; i < table->nent; i++) {
        if (table->entries[i].function == 1) {
            table->entries[i].ecx |= FEATURE_X2APIC | FEATURE_DEADLINE;
        }
    }
    require(ioctl(vcpu, KVM_SET_CPUID2, table), "KVM_SET_CPUID2");
    free(table);
}

// The state that the Multiboot specification promises: flat 32-bit protected mode, interrupts off.
static void set_registers(int vcpu, uint64_t entry)
{
    struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
    struct kvm_segment code = data;
    struct kvm_sregs system;
    struct kvm_regs registers = {
        .rip = entry, .rflags = 2, .rax = MULTIBOOT_MAGIC, .rbx = INFORMATION};

    code.selector = 0x08;
    code.type = 11;
    require(ioctl(vcpu, KVM_GET_SREGS, &system), "KVM_GET_SREGS");
    system.cs = code;
    system.ds = system.es = system.fs = system.gs = system.ss = data;
    system.cr0 = 0x11;
    require(ioctl(vcpu, KVM_SET_SREGS, &system), "KVM_SET_SREGS");
    require(ioctl(vcpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");
}

// False: the guest has ended itself.
static int answer_port(const struct kvm_run *run, uint8_t *data)
{
    if (run->io.direction == KVM_EXIT_IO_IN) {
        memset(data, run->io.port == COM1_LINE_STATUS ? COM1_EMPTY : 0xff, run->io.size);
        return 1;
    }
    switch (run->io.port) {
    case COM1:
        putchar(*data);
        return 1;
    case ACPI_CONTROL:
    case TEST_EXIT:
        return 0;
    default:
        return 1;
    }
}

static void run_guest(int vcpu, struct kvm_run *run)
{
    for (;;) {
        require(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            if (!answer_port(run, (uint8_t *)run + run->io.data_offset)) {
                return;
            }
            break;
        case KVM_EXIT_MMIO:
            if (!run->mmio.is_write) {
                memset(run->mmio.data, 0xff, run->mmio.len);
            }
            break;
        default:
            printf("kvm_bench: exit reason %u\n", run->exit_reason);
            return;
        }
    }
}

static void bench(void)
{
    int kvm = require(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    int vm = require(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    size_t size = (size_t)require(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    uint8_t *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_BYTES,
                                                 .userspace_addr = (uintptr_t)memory};
    struct kvm_pit_config pit = {0};

    if (memory == MAP_FAILED) {
        require(-1, "memory");
    }
    madvise(memory, MEMORY_BYTES, MADV_NOHUGEPAGE); // first_touch is of a page of 4 KiB
    require(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul), "KVM_SET_TSS_ADDR");
    require(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    require(ioctl(vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
    require(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    int vcpu = require(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED) {
        require(-1, "struct kvm_run");
    }
    set_cpuid(kvm, vcpu);
    set_registers(vcpu, load_guest(memory));
    run_guest(vcpu, run);
}

int main(void)
{
    printf("kvm_bench: begins\n");
    load_module("/irqbypass.ko");
    load_module("/kvm.ko");
    load_module("/kvm-intel.ko");
    bench();
    printf("kvm_bench: done\n");
    end_machine();
}
