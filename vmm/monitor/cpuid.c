// SPDX-License-Identifier: MIT
// The CPUID policy table and the builder of the guest's leaves. See cpuid.h; the bits are those of
// the manual's CPUID instruction reference.
#include "vmm/monitor/cpuid.h"

#include "kernel/lib/processor.h"
#include "kernel/lib/string.h"
#include "vmm/monitor/handlers.h"

#define BIT(n)         (1u << (n))
#define LEAF_STATE     0xdu
#define LEAF_TSC       0x15u
#define LEAF_FREQUENCY 0x16u
#define LEAF_SIGNATURE 0x40000000u
#define LEAF_TIMING    0x40000010u
// A second hypervisor interface, by which Linux learns that x2APIC mode works here without
// interrupt remapping; of its features there is only that port 0x80 need not be written for delays.
#define LEAF_PV_SIGNATURE 0x40000100u
#define LEAF_PV_FEATURES  0x40000101u
#define PV_NO_IO_DELAY    BIT(1)
#define LEAF_TOPOLOGY     0xbu

#define FEATURE_XSAVE   BIT(26) // leaf 1 ECX
#define FEATURE_OSXSAVE BIT(27)
#define FEATURES_AVX    (BIT(12) | BIT(28) | BIT(29)) // FMA, AVX, F16C
#define HYPERVISOR      BIT(31)

#define FEATURE_X2APIC       BIT(21)
#define TSC_ADJUST           BIT(1) // leaf 7 EBX
#define FEATURE_TSC_DEADLINE BIT(24)
#define FEATURE_APIC         BIT(9) // leaf 1 EDX
#define FEATURE_HTT          BIT(28)

// SSE3, PCLMULQDQ, SSSE3, FMA, CX16, PCID, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, AVX, F16C,
// RDRAND
#define KEEP_1_ECX                                                                                 \
    (BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | BIT(22) |        \
     BIT(23) | BIT(25) | FEATURE_XSAVE | BIT(28) | BIT(29) | BIT(30))
// FPU, VME, DE, PSE, TSC, MSR, PAE, MCE, CX8, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE-36, CLFSH, MMX,
// FXSR, SSE, SSE2, SS
#define KEEP_1_EDX 0x0f8bf9ffu
// FSGSBASE, BMI1, AVX2, FDP, SMEP, BMI2, ERMS, INVPCID, no FCS/FDS, RDSEED, ADX, SMAP,
// CLFLUSHOPT, CLWB, SHA
#define KEEP_7_EBX                                                                                 \
    (BIT(0) | BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(13) | BIT(18) |  \
     BIT(19) | BIT(20) | BIT(23) | BIT(24) | BIT(29))
#define KEEP_7_ECX (BIT(2) | BIT(8) | BIT(9) | BIT(10)) // UMIP, GFNI, VAES, VPCLMULQDQ
#define KEEP_7_EDX (BIT(4) | BIT(10))                   // fast short REP MOV, MD_CLEAR
#define KEEP_D1    (BIT(0) | BIT(1) | BIT(2))           // XSAVEOPT, XSAVEC, XGETBV with ECX = 1
// LAHF, LZCNT, PREFETCHW
#define KEEP_X1_ECX (BIT(0) | BIT(5) | BIT(8))
// SYSCALL, NX, 1 GiB pages, RDTSCP, long mode
#define KEEP_X1_EDX (BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29))
#define ALL         0xffffffffu

#define ANY_SUBLEAF ALL

struct row {
    uint32_t leaf;
    uint32_t subleaf; // ANY_SUBLEAF: it has none
    struct cpuid_words keep;
    struct cpuid_words set;
    uint32_t flags; // enum vm_cpuid_flags
};

// Leaves without a row read as zero.
static const struct row rows[] = {
    {0x0, ANY_SUBLEAF, {0, ALL, ALL, ALL}, {LEAF_FREQUENCY, 0, 0, 0}, 0},
    {0x1,
     ANY_SUBLEAF,
     {ALL, 0xff00, KEEP_1_ECX, KEEP_1_EDX},
     {0, 1u << 16, HYPERVISOR, 0},
     VM_CPUID_OSXSAVE},
    {0x2, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x4, 0, {0x3fff, ALL, ALL, ALL}, {0}, VM_CPUID_SUBLEAF}, // one core, one thread
    {0x4, 1, {0x3fff, ALL, ALL, ALL}, {0}, VM_CPUID_SUBLEAF},
    {0x4, 2, {0x3fff, ALL, ALL, ALL}, {0}, VM_CPUID_SUBLEAF},
    {0x4, 3, {0x3fff, ALL, ALL, ALL}, {0}, VM_CPUID_SUBLEAF},
    {0x7, 0, {0, KEEP_7_EBX, KEEP_7_ECX, KEEP_7_EDX}, {0}, VM_CPUID_SUBLEAF},
    {LEAF_TOPOLOGY, ANY_SUBLEAF, {0}, {0}, 0},                  // differs between processors
    {LEAF_STATE, 0, {0}, {0}, VM_CPUID_SUBLEAF | VM_CPUID_ASK}, // follows XCR0
    {LEAF_STATE, 1, {KEEP_D1, 0, 0, 0}, {0}, VM_CPUID_SUBLEAF},
    {LEAF_STATE, 2, {ALL, ALL, 0, 0}, {0}, VM_CPUID_SUBLEAF}, // AVX
    {LEAF_TSC, ANY_SUBLEAF, {0}, {0}, 0},                     // from the TSC frequency
    {LEAF_FREQUENCY, ANY_SUBLEAF, {0}, {0}, 0},
    {LEAF_SIGNATURE, ANY_SUBLEAF, {0}, {LEAF_TIMING, 0x65746147, 0x73756f68, 0x4d4d5665}, 0},
    {LEAF_TIMING, ANY_SUBLEAF, {0}, {0}, 0},
    {LEAF_PV_SIGNATURE, ANY_SUBLEAF, {0}, {0}, 0}, // with local APICs
    {LEAF_PV_FEATURES, ANY_SUBLEAF, {0}, {0}, 0},
    {0x80000000, ANY_SUBLEAF, {0, ALL, ALL, ALL}, {0x80000008, 0, 0, 0}, 0},
    {0x80000001, ANY_SUBLEAF, {ALL, ALL, KEEP_X1_ECX, KEEP_X1_EDX}, {0}, 0},
    {0x80000002, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000003, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000004, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000005, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000006, ANY_SUBLEAF, {ALL, ALL, ALL, ALL}, {0}, 0},
    {0x80000007, ANY_SUBLEAF, {0, 0, 0, BIT(8)}, {0}, 0}, // invariant TSC
    {0x80000008, ANY_SUBLEAF, {0xffff, 0, 0, 0}, {0}, 0},
};
static_assert(ARRAY_COUNT(rows) <= VM_CPUID_MAXIMUM, "all rows fit");

// A leaf above the host's last reads as zero here, not as the last leaf's data.
static struct cpuid_words ask(cpuid_source *source, uint32_t leaf, uint32_t subleaf)
{
    if (leaf > source(leaf & 0xffff0000u, 0).eax) {
        return (struct cpuid_words){0};
    }
    return source(leaf, subleaf);
}

// APIC IDs set aside for `processors`: the next power of two.
static uint32_t addressable(uint32_t processors)
{
    uint32_t ids = 1;

    while (ids < processors) {
        ids *= 2;
    }
    return ids;
}

// TSC frequency = ECX * EBX / EAX, with ECX, the crystal's, below 2^32.
static struct cpuid_words tsc_leaf(uint64_t hz)
{
    uint32_t numerator = 1;

    while (hz / numerator > UINT32_MAX) {
        numerator *= 2;
    }
    return (struct cpuid_words){1, numerator, (uint32_t)(hz / numerator), 0};
}

uint32_t cpuid_ticks_per_crystal(uint64_t tsc_hz)
{
    return tsc_leaf(tsc_hz).ebx;
}

// Local APICs: leaves 1 and 0BH are each processor's own, and the number of cores is in leaf 4.
static void add_processors(const struct machine_features *features, struct vm_cpuid_entry *entry)
{
    if (features->processors == 0) {
        return;
    }
    if (entry->leaf == 1) {
        entry->ecx |= FEATURE_X2APIC | FEATURE_TSC_DEADLINE;
        entry->edx |= FEATURE_APIC | (features->processors > 1 ? FEATURE_HTT : 0);
        entry->flags |= VM_CPUID_ASK;
    } else if (entry->leaf == 7) {
        entry->ebx |= TSC_ADJUST;
    } else if (entry->leaf == LEAF_PV_SIGNATURE) {
        entry->eax = LEAF_PV_FEATURES;
        entry->ebx = 0x4b4d564b; // "KVMKVMKVM"
        entry->ecx = 0x564b4d56;
        entry->edx = 0x4d;
    } else if (entry->leaf == LEAF_PV_FEATURES) {
        entry->eax = PV_NO_IO_DELAY;
    } else if (entry->leaf == LEAF_TOPOLOGY) {
        entry->flags |= VM_CPUID_ASK;
    } else if (entry->leaf == 4 && (entry->eax & 0x1f) != 0) {
        bool shared = (entry->eax >> 5 & 7) >= 3; // the last level

        entry->eax |= (addressable(features->processors) - 1) << 26;
        entry->eax |= shared ? (addressable(features->processors) - 1) << 14 : 0;
    }
}

// What depends on more than the row: frequencies, and XSAVE's dependants.
static void adjust(const struct machine_features *features, struct vm_cpuid_entry *entry)
{
    uint32_t mhz = (uint32_t)((features->tsc_hz + 500000) / 1000000);
    struct cpuid_words tsc = tsc_leaf(features->tsc_hz);

    if (entry->leaf == LEAF_TSC) {
        entry->eax = tsc.eax;
        entry->ebx = tsc.ebx;
        entry->ecx = tsc.ecx;
    } else if (entry->leaf == LEAF_FREQUENCY) {
        entry->eax = entry->ebx = mhz;
        entry->ecx = 100;
    } else if (entry->leaf == LEAF_TIMING) {
        entry->eax = (uint32_t)(features->tsc_hz / 1000);
        entry->ebx = tsc.ecx / 1000; // the local APIC timer's input
    } else if (entry->leaf == 1 && !(features->xcr0_allowed & XCR0_AVX)) {
        entry->ecx &= ~FEATURES_AVX;
    } else if (entry->leaf == 7 && !(features->xcr0_allowed & XCR0_AVX)) {
        entry->ebx &= ~BIT(5);             // AVX2
        entry->ecx &= ~(BIT(9) | BIT(10)); // VAES, VPCLMULQDQ
    } else if (entry->leaf == LEAF_STATE && features->xcr0_allowed == 0) {
        entry->eax = entry->ebx = 0;
        entry->flags &= ~(uint32_t)VM_CPUID_ASK;
    }
    if (entry->leaf == 1 && features->xcr0_allowed == 0) {
        entry->ecx &= ~FEATURE_XSAVE;
        entry->flags &= ~(uint32_t)VM_CPUID_OSXSAVE;
    }
}

static struct vm_cpuid_entry filter(cpuid_source *source, const struct row *row)
{
    uint32_t subleaf = row->subleaf == ANY_SUBLEAF ? 0 : row->subleaf;
    struct cpuid_words host = ask(source, row->leaf, subleaf);

    return (struct vm_cpuid_entry){
        .leaf = row->leaf,
        .subleaf = subleaf,
        .flags = row->flags,
        .eax = (host.eax & row->keep.eax) | row->set.eax,
        .ebx = (host.ebx & row->keep.ebx) | row->set.ebx,
        .ecx = (host.ecx & row->keep.ecx) | row->set.ecx,
        .edx = (host.edx & row->keep.edx) | row->set.edx,
    };
}

// Leaves that only processors with local APICs have.
static bool is_of_processors(uint32_t leaf)
{
    return leaf == LEAF_TOPOLOGY || leaf == LEAF_PV_SIGNATURE || leaf == LEAF_PV_FEATURES;
}

static void keep_leaf_one(struct machine_features *features, const struct vm_cpuid_entry *entry)
{
    features->leaf_one[0] = entry->eax;
    features->leaf_one[1] = entry->ebx;
    features->leaf_one[2] = entry->ecx;
    features->leaf_one[3] = entry->edx;
}

uint32_t cpuid_build(cpuid_source *source, struct machine_features *features,
                     struct vm_cpuid_entry *entries)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct vm_cpuid_entry *entry = &entries[count];

        if (features->processors == 0 && is_of_processors(rows[i].leaf)) {
            continue;
        }
        *entry = filter(source, &rows[i]);
        adjust(features, entry);
        add_processors(features, entry);
        if (entry->leaf == 1) {
            keep_leaf_one(features, entry);
        }
        count++;
    }
    return count;
}

// CR4 bits that exist where a feature bit of leaf 1 EDX or ECX, or of leaf 7 EBX or ECX is set.
static uint64_t cr4_of(struct cpuid_words one, struct cpuid_words seven, bool xsave)
{
    const struct {
        uint32_t word, bit;
        uint64_t cr4;
    } table[] = {
        {one.edx, BIT(1), CR4_VME | CR4_PVI}, {one.edx, BIT(2), CR4_DE},
        {one.edx, BIT(3), CR4_PSE},           {one.edx, BIT(4), CR4_TSD},
        {one.edx, BIT(6), CR4_PAE},           {one.edx, BIT(7), CR4_MCE},
        {one.edx, BIT(13), CR4_PGE},          {one.edx, BIT(24), CR4_OSFXSR},
        {one.edx, BIT(25), CR4_OSXMMEXCPT},   {one.ecx, BIT(17), CR4_PCIDE},
        {seven.ebx, BIT(0), CR4_FSGSBASE},    {seven.ebx, BIT(7), CR4_SMEP},
        {seven.ebx, BIT(20), CR4_SMAP},       {seven.ecx, BIT(2), CR4_UMIP},
    };
    uint64_t cr4 = CR4_PCE | (xsave ? CR4_OSXSAVE : 0);

    for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
        if (table[i].word & table[i].bit) {
            cr4 |= table[i].cr4;
        }
    }
    return cr4;
}

void cpuid_features(cpuid_source *source, uint64_t tsc_hz, struct machine_features *features)
{
    struct cpuid_words one = ask(source, 1, 0);
    uint32_t state = one.ecx & FEATURE_OSXSAVE ? ask(source, LEAF_STATE, 0).eax : 0;
    struct cpuid_words seven = ask(source, 7, 0);
    struct cpuid_words sizes = ask(source, 0x80000008, 0);

    features->tsc_hz = tsc_hz;
    features->xcr0_allowed = state & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
    features->cr4_allowed = cr4_of(one, seven, features->xcr0_allowed != 0);
    features->physical_bits = (sizes.eax & 0xff) != 0 ? sizes.eax & 0xff : 36;
}

// Bytes of the XSAVE area with the components of `xcr0`, in the standard format. AVX is the only
// one behind the legacy area and the header, at 576.
static uint32_t state_bytes(uint64_t xcr0)
{
    return xcr0 & XCR0_AVX ? 576 + 256 : 576;
}

// Leaf 0DH, sub-leaf 0: what the components of XCR0 take.
static enum outcome answer_state(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    bool state = (uint32_t)page->gpr[GPR_RAX] == LEAF_STATE && (uint32_t)page->gpr[GPR_RCX] == 0;

    if (!machine_has(machine, VCPU_GROUP_XCR0)) {
        return OUTCOME_FETCH;
    }
    page->gpr[GPR_RAX] = state ? (uint32_t)machine->features.xcr0_allowed : 0;
    page->gpr[GPR_RBX] = state ? state_bytes(page->xcr0) : 0;
    page->gpr[GPR_RCX] = state ? state_bytes(machine->features.xcr0_allowed) : 0;
    page->gpr[GPR_RDX] = 0;
    return OUTCOME_ADVANCE;
}

static enum outcome answer(struct vcpu_page *page, struct cpuid_words words)
{
    page->gpr[GPR_RAX] = words.eax;
    page->gpr[GPR_RBX] = words.ebx;
    page->gpr[GPR_RCX] = words.ecx;
    page->gpr[GPR_RDX] = words.edx;
    return OUTCOME_ADVANCE;
}

// Leaf 1: the initial APIC ID, how many there are, and two bits that follow the processor's state.
static enum outcome answer_one(struct machine *machine)
{
    const uint32_t *leaf = machine->features.leaf_one;
    struct cpuid_words words = {leaf[0], leaf[1], leaf[2], leaf[3]};

    if (!machine_has(machine, VCPU_GROUP_CONTROL)) {
        return OUTCOME_FETCH;
    }
    words.ebx &= 0xffff;
    words.ebx |= machine->apic->index << 24 | addressable(machine->features.processors) << 16;
    if ((words.ecx & FEATURE_XSAVE) && (machine->page->cr4 & CR4_OSXSAVE)) {
        words.ecx |= FEATURE_OSXSAVE;
    }
    if (!local_apic_enabled(machine->apic)) {
        words.edx &= ~FEATURE_APIC;
    }
    return answer(machine->page, words);
}

// Leaf 0BH: one thread a core, all cores in one package.
static enum outcome answer_topology(struct machine *machine)
{
    uint32_t level = (uint32_t)machine->page->gpr[GPR_RCX];
    uint32_t processors = machine->features.processors;
    struct cpuid_words words = {.ecx = level & 0xff, .edx = machine->apic->index};

    if (level == 0) {
        words.ebx = 1;
        words.ecx |= 1 << 8; // SMT
    } else if (level == 1) {
        words.eax = (uint32_t)__builtin_ctz(addressable(processors));
        words.ebx = processors;
        words.ecx |= 2 << 8; // core
    }
    return answer(machine->page, words);
}

enum outcome handle_cpuid(struct machine *machine)
{
    uint32_t leaf = (uint32_t)machine->page->gpr[GPR_RAX];

    if (machine->apic && leaf == 1) {
        return answer_one(machine);
    }
    if (machine->apic && leaf == LEAF_TOPOLOGY) {
        return answer_topology(machine);
    }
    return answer_state(machine);
}
