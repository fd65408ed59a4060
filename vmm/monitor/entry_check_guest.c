// SPDX-License-Identifier: MIT
// The entry checker's rules about the guest's state, in the order of the manual's "Checking and
// Loading Guest State". Pure.
#include "kernel/lib/processor.h"
#include "vmm/monitor/entry_check_state.h"

#define CONTROL_SECTION "Checks on Guest Control Registers, Debug Registers, and MSRs"
#define SEGMENT_SECTION "Checks on Guest Segment Registers"
#define TABLE_SECTION   "Checks on Guest Descriptor-Table Registers"
#define RIP_SECTION     "Checks on Guest RIP, RFLAGS, and SSP"
#define STATE_SECTION   "Checks on Guest Non-Register State"
#define PDPTE_SECTION   "Checks on Guest Page-Directory-Pointer-Table Entries"

#define EFER_KNOWN 0xd01ull

static bool unrestricted(const struct entry_state *state)
{
    return (entry_secondary(state) & CONTROL_UNRESTRICTED) != 0;
}

static bool virtual_8086(const struct entry_state *state)
{
    return (entry_field(state, FIELD_GUEST_RFLAGS) & RFLAGS_VM) != 0;
}

// -- control registers, debug registers and MSRs ------------------------------------------------

static void check_efer(struct entry_state *state)
{
    uint64_t efer = entry_field(state, FIELD_GUEST_EFER);
    bool lma = (efer & EFER_LMA) != 0;

    entry_bits(state, CONTROL_SECTION, FIELD_GUEST_EFER, 0, ~EFER_KNOWN, "reserved");
    entry_rule(state, lma == entry_ia32e(state), CONTROL_SECTION, FIELD_GUEST_EFER,
               "LMA must equal the entry control \"IA-32e mode guest\"");
    entry_rule(state,
               (entry_field(state, FIELD_GUEST_CR0) & CR0_PG) == 0 ||
                   lma == ((efer & EFER_LME) != 0),
               CONTROL_SECTION, FIELD_GUEST_EFER, "LMA must equal LME while CR0.PG is 1");
}

void entry_check_guest_registers(struct entry_state *state)
{
    uint64_t cr0 = entry_field(state, FIELD_GUEST_CR0);
    uint64_t cr4 = entry_field(state, FIELD_GUEST_CR4);
    uint64_t entry = entry_field(state, FIELD_ENTRY_CONTROLS);
    bool ia32e = entry_ia32e(state);

    entry_check_cr_fixed(state, CONTROL_SECTION, FIELD_GUEST_CR0, FIELD_GUEST_CR4,
                         unrestricted(state) ? CR0_PE | CR0_PG : 0);
    entry_rule(state, (cr0 & CR0_PG) == 0 || (cr0 & CR0_PE) != 0, CONTROL_SECTION, FIELD_GUEST_CR0,
               "PG needs PE");
    entry_rule(state, !ia32e || (cr0 & CR0_PG) != 0, CONTROL_SECTION, FIELD_GUEST_CR0,
               "\"IA-32e mode guest\" needs PG");
    entry_rule(state, !ia32e || (cr4 & CR4_PAE) != 0, CONTROL_SECTION, FIELD_GUEST_CR4,
               "\"IA-32e mode guest\" needs PAE");
    entry_rule(state, ia32e || (cr4 & CR4_PCIDE) == 0, CONTROL_SECTION, FIELD_GUEST_CR4,
               "PCIDE needs \"IA-32e mode guest\"");
    if ((entry & CONTROL_ENTRY_LOAD_DEBUG) != 0) {
        entry_bits(state, CONTROL_SECTION, FIELD_GUEST_DEBUGCTL, 0, ~0xdfc3ull, "reserved");
        entry_bits(state, CONTROL_SECTION, FIELD_GUEST_DR7, 0, ~0xffffffffull, "reserved");
    }
    entry_bits(state, CONTROL_SECTION, FIELD_GUEST_CR3, 0,
               0xfff0000000000000 | entry_beyond_physical(state), "beyond physical memory");
    entry_rule(state, entry_canonical(entry_field(state, FIELD_GUEST_SYSENTER_ESP)),
               CONTROL_SECTION, FIELD_GUEST_SYSENTER_ESP, "must be canonical");
    entry_rule(state, entry_canonical(entry_field(state, FIELD_GUEST_SYSENTER_EIP)),
               CONTROL_SECTION, FIELD_GUEST_SYSENTER_EIP, "must be canonical");
    if ((entry & CONTROL_ENTRY_LOAD_PAT) != 0) {
        entry_rule(state, entry_pat_valid(entry_field(state, FIELD_GUEST_PAT)), CONTROL_SECTION,
                   FIELD_GUEST_PAT, "each byte must be a memory type (0, 1, 4, 5, 6, 7)");
    }
    if ((entry & CONTROL_ENTRY_LOAD_EFER) != 0) {
        check_efer(state);
    }
}

// -- segment registers ------------------------------------------------------------------------

enum segment { ES, CS, SS, DS, FS, GS, LDTR, TR };

// The fields of a segment lie two encodings apart, in the order of enum segment.
static uint32_t selector_of(enum segment segment)
{
    return FIELD_GUEST_ES_SELECTOR + 2 * (uint32_t)segment;
}

static uint32_t base_of(enum segment segment)
{
    return FIELD_GUEST_ES_BASE + 2 * (uint32_t)segment;
}

static uint32_t limit_of(enum segment segment)
{
    return FIELD_GUEST_ES_LIMIT + 2 * (uint32_t)segment;
}

static uint32_t rights_of(enum segment segment)
{
    return FIELD_GUEST_ES_RIGHTS + 2 * (uint32_t)segment;
}

static uint64_t rights(const struct entry_state *state, enum segment segment)
{
    return entry_field(state, rights_of(segment));
}

static uint64_t dpl(const struct entry_state *state, enum segment segment)
{
    return rights(state, segment) >> 5 & 3;
}

static uint64_t type(const struct entry_state *state, enum segment segment)
{
    return rights(state, segment) & 15;
}

static bool usable(const struct entry_state *state, enum segment segment)
{
    return (rights(state, segment) >> 16 & 1) == 0;
}

static void rights_rule(struct entry_state *state, enum segment segment, bool holds,
                        const char *rule)
{
    entry_rule(state, holds, SEGMENT_SECTION, rights_of(segment), rule);
}

static void check_virtual_8086_segment(struct entry_state *state, enum segment segment)
{
    entry_rule(state,
               entry_field(state, base_of(segment)) == entry_field(state, selector_of(segment))
                                                           << 4,
               SEGMENT_SECTION, base_of(segment), "must be selector << 4 in virtual-8086 mode");
    entry_rule(state, entry_field(state, limit_of(segment)) == 0xffff, SEGMENT_SECTION,
               limit_of(segment), "must be 0xffff in virtual-8086 mode");
    rights_rule(state, segment, rights(state, segment) == 0xf3,
                "must be 0xf3 in virtual-8086 mode");
}

// What all usable segments have in common: S, P, reserved bits, and the limit's granularity.
static void check_common_rights(struct entry_state *state, enum segment segment, bool system)
{
    uint64_t value = rights(state, segment);
    uint64_t limit = entry_field(state, limit_of(segment));
    bool granular = (value >> 15 & 1) != 0;

    rights_rule(state, segment, (value >> 4 & 1) == (system ? 0 : 1),
                system ? "S (bit 4) must be 0" : "S (bit 4) must be 1");
    rights_rule(state, segment, (value >> 7 & 1) == 1, "P (bit 7) must be 1");
    entry_bits(state, SEGMENT_SECTION, rights_of(segment), 0, 0xfffe0f00, "reserved");
    rights_rule(state, segment, (limit & 0xfff) == 0xfff || !granular,
                "G (bit 15) must be 0: the limit's bits 11:0 are not all 1");
    rights_rule(state, segment, limit >> 20 == 0 || granular,
                "G (bit 15) must be 1: the limit's bits 31:20 are not all 0");
}

static void check_code_segment(struct entry_state *state)
{
    uint64_t kind = type(state, CS);
    bool plain_data = kind == 3 && unrestricted(state);

    rights_rule(state, CS, plain_data || kind == 9 || kind == 11 || kind == 13 || kind == 15,
                "type must be 9, 11, 13 or 15, or 3 for an unrestricted guest");
    rights_rule(state, CS, kind != 3 || dpl(state, CS) == 0, "DPL must be 0 for type 3");
    rights_rule(state, CS, (kind != 9 && kind != 11) || dpl(state, CS) == dpl(state, SS),
                "DPL must equal that of SS for types 9 and 11");
    rights_rule(state, CS, (kind != 13 && kind != 15) || dpl(state, CS) <= dpl(state, SS),
                "DPL must not exceed that of SS for types 13 and 15");
    rights_rule(state, CS, !entry_ia32e(state) || (rights(state, CS) >> 13 & 3) != 3,
                "L and D/B must not both be 1 in IA-32e mode");
    entry_bits(state, SEGMENT_SECTION, base_of(CS), 0, ~0xffffffffull, "bits 63:32");
    check_common_rights(state, CS, false);
}

static void check_stack_segment(struct entry_state *state)
{
    bool real_mode = (entry_field(state, FIELD_GUEST_CR0) & CR0_PE) == 0;

    if (usable(state, SS)) {
        rights_rule(state, SS, type(state, SS) == 3 || type(state, SS) == 7, "type must be 3 or 7");
        entry_bits(state, SEGMENT_SECTION, base_of(SS), 0, ~0xffffffffull, "bits 63:32");
        check_common_rights(state, SS, false);
    }
    if (!unrestricted(state)) {
        uint64_t rpl = entry_field(state, FIELD_GUEST_SS_SELECTOR) & 3;

        entry_rule(state, rpl == (entry_field(state, FIELD_GUEST_CS_SELECTOR) & 3), SEGMENT_SECTION,
                   FIELD_GUEST_SS_SELECTOR, "RPL must equal that of CS");
        rights_rule(state, SS, dpl(state, SS) == rpl, "DPL must equal the selector's RPL");
    }
    rights_rule(state, SS, (type(state, CS) != 3 && !real_mode) || dpl(state, SS) == 0,
                "DPL must be 0 in real mode and with a CS of type 3");
}

static void check_data_segment(struct entry_state *state, enum segment segment)
{
    uint64_t kind = type(state, segment);

    if (segment == FS || segment == GS) {
        entry_rule(state, entry_canonical(entry_field(state, base_of(segment))), SEGMENT_SECTION,
                   base_of(segment), "must be canonical");
    }
    if (!usable(state, segment)) {
        return;
    }
    if (segment == DS || segment == ES) {
        entry_bits(state, SEGMENT_SECTION, base_of(segment), 0, ~0xffffffffull, "bits 63:32");
    }
    rights_rule(state, segment, (kind & 1) != 0, "type must be accessed (bit 0)");
    rights_rule(state, segment, (kind & 8) == 0 || (kind & 2) != 0,
                "a code segment's type must be readable (bit 1)");
    rights_rule(state, segment,
                unrestricted(state) || kind > 11 ||
                    dpl(state, segment) >= (entry_field(state, selector_of(segment)) & 3),
                "DPL must not be below the selector's RPL");
    check_common_rights(state, segment, false);
}

static void check_system_segments(struct entry_state *state)
{
    uint64_t kind = type(state, TR);

    entry_bits(state, SEGMENT_SECTION, FIELD_GUEST_TR_SELECTOR, 0, 4, "TI");
    entry_rule(state, entry_canonical(entry_field(state, FIELD_GUEST_TR_BASE)), SEGMENT_SECTION,
               FIELD_GUEST_TR_BASE, "must be canonical");
    rights_rule(state, TR, kind == 11 || (kind == 3 && !entry_ia32e(state)),
                "type must be 11 (busy TSS), or 3 outside IA-32e mode");
    rights_rule(state, TR, usable(state, TR), "must be usable");
    check_common_rights(state, TR, true);
    if (usable(state, LDTR)) {
        entry_bits(state, SEGMENT_SECTION, FIELD_GUEST_LDTR_SELECTOR, 0, 4, "TI");
        entry_rule(state, entry_canonical(entry_field(state, FIELD_GUEST_LDTR_BASE)),
                   SEGMENT_SECTION, FIELD_GUEST_LDTR_BASE, "must be canonical");
        rights_rule(state, LDTR, type(state, LDTR) == 2, "type must be 2 (LDT)");
        check_common_rights(state, LDTR, true);
    }
}

void entry_check_guest_segments(struct entry_state *state)
{
    static const enum segment data[] = {ES, DS, FS, GS};

    if (virtual_8086(state)) {
        for (enum segment segment = ES; segment <= GS; segment++) {
            check_virtual_8086_segment(state, segment);
        }
    } else {
        check_code_segment(state);
        check_stack_segment(state);
        for (size_t i = 0; i < ARRAY_COUNT(data); i++) {
            check_data_segment(state, data[i]);
        }
    }
    check_system_segments(state);
}

// -- tables, RIP, RFLAGS, non-register state ----------------------------------------------------

static void check_rip(struct entry_state *state)
{
    uint64_t rip = entry_field(state, FIELD_GUEST_RIP);
    uint64_t flags = entry_field(state, FIELD_GUEST_RFLAGS);
    uint64_t event = entry_field(state, FIELD_ENTRY_INTERRUPTION);
    bool ia32e = entry_ia32e(state);
    bool code_64 = ia32e && (rights(state, CS) >> 13 & 1) != 0;
    bool real_mode = (entry_field(state, FIELD_GUEST_CR0) & CR0_PE) == 0;

    if (code_64) {
        entry_rule(state, entry_canonical(rip), RIP_SECTION, FIELD_GUEST_RIP, "must be canonical");
    } else {
        entry_bits(state, RIP_SECTION, FIELD_GUEST_RIP, 0, ~0xffffffffull,
                   "no 64-bit code segment");
    }
    entry_bits(state, RIP_SECTION, FIELD_GUEST_RFLAGS, 2, ~0x3f7fd7ull, "reserved");
    entry_rule(state, (flags & RFLAGS_VM) == 0 || (!ia32e && !real_mode), RIP_SECTION,
               FIELD_GUEST_RFLAGS, "VM must be 0 in IA-32e mode and in real mode");
    entry_rule(state, (event & 0x80000700) != 0x80000000 || (flags & RFLAGS_IF) != 0, RIP_SECTION,
               FIELD_GUEST_RFLAGS, "IF must be 1 to inject an external interrupt");
}

static void check_interruptibility(struct entry_state *state)
{
    uint64_t blocking = entry_field(state, FIELD_GUEST_INTERRUPTIBILITY);
    uint64_t event = entry_field(state, FIELD_ENTRY_INTERRUPTION);
    uint64_t pin = entry_field(state, FIELD_PIN_CONTROLS);
    bool external = (event & 0x80000700) == 0x80000000;
    bool nmi = (event & 0x80000700) == 0x80000200;

    entry_bits(state, STATE_SECTION, FIELD_GUEST_INTERRUPTIBILITY, 0, 0xfffffff0,
               "reserved (bit 4 is for enclaves)");
    entry_rule(state, (blocking & 3) != 3, STATE_SECTION, FIELD_GUEST_INTERRUPTIBILITY,
               "blocking by STI and by MOV SS exclude each other");
    entry_rule(state,
               (blocking & 1) == 0 || (entry_field(state, FIELD_GUEST_RFLAGS) & RFLAGS_IF) != 0,
               STATE_SECTION, FIELD_GUEST_INTERRUPTIBILITY, "blocking by STI needs RFLAGS.IF");
    entry_rule(state, !external || (blocking & 3) == 0, STATE_SECTION, FIELD_GUEST_INTERRUPTIBILITY,
               "no external interrupt can be injected under blocking by STI or MOV SS");
    entry_rule(state, !nmi || (blocking & 2) == 0, STATE_SECTION, FIELD_GUEST_INTERRUPTIBILITY,
               "no NMI can be injected under blocking by MOV SS");
    entry_bits(state, STATE_SECTION, FIELD_GUEST_INTERRUPTIBILITY, 0, 4, "blocking by SMI");
    entry_rule(state, !nmi || (pin & CONTROL_PIN_VIRTUAL_NMI) == 0 || (blocking & 8) == 0,
               STATE_SECTION, FIELD_GUEST_INTERRUPTIBILITY,
               "no NMI can be injected under blocking by NMI");
}

// Which events a vCPU that is not active can be woken with: in HLT interrupts, NMIs, #DB, #MC and
// "other"; in shutdown NMIs and #MC; while it waits for a SIPI none.
static bool event_allowed(uint64_t activity, uint64_t event)
{
    uint64_t kind = event >> 8 & 7;
    uint64_t vector = event & 0xff;
    bool machine_check = kind == 3 && vector == 18;

    if ((event >> 31 & 1) == 0 || activity == 0) {
        return true;
    }
    if (activity == 1) {
        return kind == 0 || kind == 2 || (kind == 3 && vector == 1) || machine_check || kind == 7;
    }
    return activity == 2 && (kind == 2 || machine_check);
}

static void check_activity(struct entry_state *state)
{
    uint64_t activity = entry_field(state, FIELD_GUEST_ACTIVITY);
    uint64_t misc = entry_field(state, VCPU_FIELD_CAPABILITY((uint32_t)CAPABILITY_MISC));
    uint64_t blocking = entry_field(state, FIELD_GUEST_INTERRUPTIBILITY);

    entry_rule(state, activity <= 3, STATE_SECTION, FIELD_GUEST_ACTIVITY, "must be 0 to 3");
    entry_rule(state, activity == 0 || activity > 3 || (misc >> (5 + activity) & 1) != 0,
               STATE_SECTION, FIELD_GUEST_ACTIVITY, "a state that IA32_VMX_MISC does not allow");
    entry_rule(state, event_allowed(activity, entry_field(state, FIELD_ENTRY_INTERRUPTION)),
               STATE_SECTION, FIELD_GUEST_ACTIVITY, "does not take the event to be injected");
    entry_rule(state, activity != 1 || dpl(state, SS) == 0, STATE_SECTION, FIELD_GUEST_ACTIVITY,
               "HLT needs an SS with DPL 0");
    entry_rule(state, activity == 0 || (blocking & 3) == 0, STATE_SECTION, FIELD_GUEST_ACTIVITY,
               "must be active under blocking by STI or MOV SS");
}

static void check_pending_debug(struct entry_state *state)
{
    uint64_t pending = entry_field(state, FIELD_GUEST_PENDING_DEBUG);
    uint64_t blocking = entry_field(state, FIELD_GUEST_INTERRUPTIBILITY);
    bool trap = (entry_field(state, FIELD_GUEST_RFLAGS) & RFLAGS_TF) != 0;
    bool branches = (entry_field(state, FIELD_GUEST_DEBUGCTL) >> 1 & 1) != 0;

    entry_bits(state, STATE_SECTION, FIELD_GUEST_PENDING_DEBUG, 0, ~0x500full, "reserved");
    if ((blocking & 3) != 0 || entry_field(state, FIELD_GUEST_ACTIVITY) == 1) {
        entry_rule(state, (pending >> 14 & 1) == (trap && !branches ? 1u : 0u), STATE_SECTION,
                   FIELD_GUEST_PENDING_DEBUG,
                   "BS (bit 14) must be 1 just for RFLAGS.TF without DEBUGCTL.BTF, under blocking "
                   "by STI or MOV SS or in HLT");
    }
}

void entry_check_guest_rest(struct entry_state *state)
{
    static const uint32_t bases[] = {FIELD_GUEST_GDTR_BASE, FIELD_GUEST_IDTR_BASE};
    static const uint32_t limits[] = {FIELD_GUEST_GDTR_LIMIT, FIELD_GUEST_IDTR_LIMIT};
    uint64_t link = entry_field(state, FIELD_LINK_POINTER);

    for (size_t i = 0; i < ARRAY_COUNT(bases); i++) {
        entry_rule(state, entry_canonical(entry_field(state, bases[i])), TABLE_SECTION, bases[i],
                   "must be canonical");
        entry_bits(state, TABLE_SECTION, limits[i], 0, 0xffff0000, "bits 31:16");
    }
    check_rip(state);
    check_activity(state);
    check_interruptibility(state);
    check_pending_debug(state);
    entry_rule(state, link == UINT64_MAX || (link & 0xfff) == 0, STATE_SECTION, FIELD_LINK_POINTER,
               "must be all ones, or aligned to 4 KiB");
}

// With EPT, which all our guests have, the four entries of PAE paging are fields.
void entry_check_guest_pdptes(struct entry_state *state)
{
    static const uint32_t entries[] = {FIELD_GUEST_PDPTE0, FIELD_GUEST_PDPTE1, FIELD_GUEST_PDPTE2,
                                       FIELD_GUEST_PDPTE3};
    bool pae = (entry_field(state, FIELD_GUEST_CR0) & CR0_PG) != 0 &&
               (entry_field(state, FIELD_GUEST_CR4) & CR4_PAE) != 0 && !entry_ia32e(state);

    if (!pae || (entry_secondary(state) & CONTROL_EPT) == 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        if ((entry_field(state, entries[i]) & PDPTE_PRESENT) != 0) {
            entry_bits(state, PDPTE_SECTION, entries[i], 0,
                       0xfff0000000000000 | PDPTE_RESERVED | entry_beyond_physical(state),
                       "reserved in an entry that is present");
        }
    }
}
