// SPDX-License-Identifier: MIT
// The entry checker: the dump's look-up, the report, and the rules about control fields and the
// host's state. The rules about the guest's state are in entry_check_guest.c. Pure.
#include "vmm/monitor/entry_check.h"

#include "kernel/lib/format.h"
#include "vmm/monitor/entry_check_state.h"

#define PIN_SECTION          "VM-Execution Control Fields"
#define EXIT_SECTION         "VM-Exit Control Fields"
#define ENTRY_SECTION        "VM-Entry Control Fields"
#define HOST_SECTION         "Checks on Host Control Registers, MSRs, and SSP"
#define HOST_SEGMENT_SECTION "Checks on Host Segment and Descriptor-Table Registers"
#define HOST_SIZE_SECTION    "Checks Related to Address-Space Size"

// -- the dump and the report ------------------------------------------------------------------

static const struct vcpu_field *find(const struct entry_state *state, uint32_t encoding)
{
    for (size_t i = 0; i < state->count; i++) {
        if (state->fields[i].encoding == encoding) {
            return &state->fields[i];
        }
    }
    return 0;
}

uint64_t entry_field(const struct entry_state *state, uint32_t encoding)
{
    const struct vcpu_field *field = find(state, encoding);

    return field != 0 ? field->value : 0;
}

bool entry_has(const struct entry_state *state, uint32_t encoding)
{
    return find(state, encoding) != 0;
}

static void add_line(struct entry_state *state, const char *section, uint32_t field,
                     const char *rule, uint64_t bits)
{
    size_t left = state->size - state->length;
    size_t length;

    state->broken++;
    length = format_text(state->text + state->length, left, "%s: %s (0x%x) = 0x%llx: %s", section,
                         entry_check_field_name(field), field,
                         (unsigned long long)entry_field(state, field), rule);
    if (length < left && bits != 0) {
        length += format_text(state->text + state->length + length, left - length, " 0x%llx",
                              (unsigned long long)bits);
    }
    if (length + 1 < left) {
        state->text[state->length + length] = '\n';
        state->text[state->length + length + 1] = 0;
        state->length += length + 1;
    } else if (left != 0) {
        state->text[state->length] = 0; // a whole line or none
        state->size = state->length;
    }
}

void entry_rule(struct entry_state *state, bool holds, const char *section, uint32_t field,
                const char *rule)
{
    if (!holds && entry_has(state, field)) {
        add_line(state, section, field, rule, 0);
    }
}

void entry_bits(struct entry_state *state, const char *section, uint32_t field, uint64_t ones,
                uint64_t zeroes, const char *why)
{
    uint64_t value = entry_field(state, field);
    char rule[128];

    if (!entry_has(state, field)) {
        return;
    }
    if ((ones & ~value) != 0) {
        (void)format_text(rule, sizeof(rule), "%s: these bits must be 1:", why);
        add_line(state, section, field, rule, ones & ~value);
    }
    if ((zeroes & value) != 0) {
        (void)format_text(rule, sizeof(rule), "%s: these bits must be 0:", why);
        add_line(state, section, field, rule, zeroes & value);
    }
}

const char *entry_check_field_name(uint32_t encoding)
{
#define NAME_ROW(name, number, text, need) {(number), (text)},
    static const struct {
        uint32_t encoding;
        const char *name;
    } names[] = {VMCS_FIELDS(NAME_ROW)};
#undef NAME_ROW

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (names[i].encoding == encoding) {
            return names[i].name;
        }
    }
    return "unknown field";
}

// -- controls ---------------------------------------------------------------------------------

static void check_allowed(struct entry_state *state, const char *section, uint32_t field,
                          enum capability msr)
{
    uint32_t encoding = VCPU_FIELD_CAPABILITY((uint32_t)msr);
    uint64_t capability = entry_field(state, encoding);

    if (entry_has(state, encoding)) {
        entry_bits(state, section, field, (uint32_t)capability, ~(capability >> 32) & UINT32_MAX,
                   "the capability MSR decides");
    }
}

static void check_alignment(struct entry_state *state, bool in_use, uint32_t field,
                            uint64_t low_bits)
{
    if (in_use) {
        entry_bits(state, PIN_SECTION, field, 0, low_bits | entry_beyond_physical(state),
                   "the address must be aligned and within physical memory");
    }
}

// "EPTP": memory type 0 or 6, walk length 4, reserved bits 0.
static void check_ept_pointer(struct entry_state *state)
{
    uint64_t pointer = entry_field(state, FIELD_EPT_POINTER);

    entry_rule(state, (pointer & 7) == 0 || (pointer & 7) == 6, PIN_SECTION, FIELD_EPT_POINTER,
               "memory type (bits 2:0) must be 0 or 6");
    entry_rule(state, (pointer >> 3 & 7) == 3, PIN_SECTION, FIELD_EPT_POINTER,
               "page-walk length minus 1 (bits 5:3) must be 3");
    entry_bits(state, PIN_SECTION, FIELD_EPT_POINTER, 0, 0xf80 | entry_beyond_physical(state),
               "reserved");
}

static void check_execution_controls(struct entry_state *state)
{
    uint64_t pin = entry_field(state, FIELD_PIN_CONTROLS);
    uint64_t primary = entry_field(state, FIELD_PRIMARY_CONTROLS);
    uint64_t secondary = entry_secondary(state);
    uint64_t targets = entry_field(state, VCPU_FIELD_CAPABILITY((uint32_t)CAPABILITY_MISC)) >> 16;

    entry_rule(state, entry_field(state, FIELD_CR3_TARGET_COUNT) <= (targets & 0x1ff), PIN_SECTION,
               FIELD_CR3_TARGET_COUNT, "more than IA32_VMX_MISC allows");
    entry_rule(state, (pin & CONTROL_PIN_NMI) != 0 || (pin & CONTROL_PIN_VIRTUAL_NMI) == 0,
               PIN_SECTION, FIELD_PIN_CONTROLS, "\"virtual NMIs\" needs \"NMI exiting\"");
    entry_rule(state, (pin & CONTROL_PIN_VIRTUAL_NMI) != 0 || (primary & CONTROL_NMI_WINDOW) == 0,
               PIN_SECTION, FIELD_PRIMARY_CONTROLS,
               "\"NMI-window exiting\" needs \"virtual NMIs\"");
    check_alignment(state, (primary & CONTROL_IO_BITMAPS) != 0, FIELD_IO_BITMAP_A, 0xfff);
    check_alignment(state, (primary & CONTROL_IO_BITMAPS) != 0, FIELD_IO_BITMAP_B, 0xfff);
    check_alignment(state, (primary & CONTROL_MSR_BITMAPS) != 0, FIELD_MSR_BITMAP, 0xfff);
    check_alignment(state, (primary & CONTROL_TPR_SHADOW) != 0, FIELD_VIRTUAL_APIC_ADDRESS, 0xfff);
    check_alignment(state, (secondary & 1) != 0, FIELD_APIC_ACCESS_ADDRESS, 0xfff);
    check_alignment(state, (pin & CONTROL_PIN_POSTED) != 0, FIELD_POSTED_INTERRUPT_DESCRIPTOR,
                    0x3f);
    entry_rule(state, (secondary & CONTROL_VPID) == 0 || entry_field(state, FIELD_VPID) != 0,
               PIN_SECTION, FIELD_VPID, "must not be 0 while \"enable VPID\" is 1");
    entry_rule(state, (secondary & CONTROL_UNRESTRICTED) == 0 || (secondary & CONTROL_EPT) != 0,
               PIN_SECTION, FIELD_SECONDARY_CONTROLS,
               "\"unrestricted guest\" needs \"enable EPT\"");
    if ((secondary & CONTROL_EPT) != 0) {
        check_ept_pointer(state);
    }
}

void entry_check_controls(struct entry_state *state)
{
    uint64_t pin = entry_field(state, FIELD_PIN_CONTROLS);
    uint64_t exit = entry_field(state, FIELD_EXIT_CONTROLS);

    check_allowed(state, PIN_SECTION, FIELD_PIN_CONTROLS, CAPABILITY_PIN);
    check_allowed(state, PIN_SECTION, FIELD_PRIMARY_CONTROLS, CAPABILITY_PRIMARY);
    if ((entry_field(state, FIELD_PRIMARY_CONTROLS) & CONTROL_SECONDARY) != 0) {
        check_allowed(state, PIN_SECTION, FIELD_SECONDARY_CONTROLS, CAPABILITY_SECONDARY);
    }
    check_execution_controls(state);
    check_allowed(state, EXIT_SECTION, FIELD_EXIT_CONTROLS, CAPABILITY_EXIT);
    entry_rule(state, (pin & CONTROL_PIN_TIMER) != 0 || (exit & CONTROL_EXIT_SAVE_TIMER) == 0,
               EXIT_SECTION, FIELD_EXIT_CONTROLS,
               "\"save VMX-preemption timer value\" needs \"activate VMX-preemption timer\"");
    check_allowed(state, ENTRY_SECTION, FIELD_ENTRY_CONTROLS, CAPABILITY_ENTRY);
    entry_bits(state, ENTRY_SECTION, FIELD_ENTRY_CONTROLS, 0, 0xc00,
               "outside system-management mode");
    if (entry_field(state, FIELD_EXIT_MSR_STORE_COUNT) != 0) {
        entry_bits(state, EXIT_SECTION, FIELD_EXIT_MSR_STORE, 0, 0xf, "not aligned to 16 bytes");
    }
    if (entry_field(state, FIELD_EXIT_MSR_LOAD_COUNT) != 0) {
        entry_bits(state, EXIT_SECTION, FIELD_EXIT_MSR_LOAD, 0, 0xf, "not aligned to 16 bytes");
    }
    if (entry_field(state, FIELD_ENTRY_MSR_LOAD_COUNT) != 0) {
        entry_bits(state, ENTRY_SECTION, FIELD_ENTRY_MSR_LOAD, 0, 0xf, "not aligned to 16 bytes");
    }
}

// -- event injection --------------------------------------------------------------------------

#define EVENT_TYPE(word) ((word) >> 8 & 7)
enum event_type {
    TYPE_EXTERNAL,
    TYPE_RESERVED,
    TYPE_NMI,
    TYPE_EXCEPTION,
    TYPE_SOFTWARE_INTERRUPT,
    TYPE_PRIVILEGED,
    TYPE_SOFTWARE_EXCEPTION,
    TYPE_OTHER
};

// #DF, #TS, #NP, #SS, #GP, #PF, #AC
#define VECTORS_WITH_ERROR_CODE 0x27d00u

static bool error_code_expected(const struct entry_state *state, uint64_t word)
{
    bool protected_mode = (entry_field(state, FIELD_GUEST_CR0) & 1) != 0 ||
                          (entry_secondary(state) & CONTROL_UNRESTRICTED) == 0;

    return EVENT_TYPE(word) == TYPE_EXCEPTION && protected_mode && (word & 0xff) < 32 &&
           (VECTORS_WITH_ERROR_CODE >> (word & 31) & 1) != 0;
}

void entry_check_event(struct entry_state *state)
{
    uint64_t word = entry_field(state, FIELD_ENTRY_INTERRUPTION);
    uint64_t type = EVENT_TYPE(word);
    uint64_t vector = word & 0xff;
    uint64_t length = entry_field(state, FIELD_ENTRY_INSTRUCTION_LENGTH);
    bool trap_flag =
        entry_field(state, VCPU_FIELD_CAPABILITY((uint32_t)CAPABILITY_PRIMARY)) >> 59 & 1;
    bool software = type == TYPE_SOFTWARE_INTERRUPT || type == TYPE_PRIVILEGED ||
                    type == TYPE_SOFTWARE_EXCEPTION;

    if ((word >> 31 & 1) == 0) {
        return;
    }
    entry_rule(state, type != TYPE_RESERVED, ENTRY_SECTION, FIELD_ENTRY_INTERRUPTION,
               "interruption type 1 is reserved");
    entry_rule(state, type != TYPE_NMI || vector == 2, ENTRY_SECTION, FIELD_ENTRY_INTERRUPTION,
               "an NMI has vector 2");
    entry_rule(state, type != TYPE_EXCEPTION || vector < 32, ENTRY_SECTION,
               FIELD_ENTRY_INTERRUPTION, "a hardware exception has a vector below 32");
    entry_rule(state, type != TYPE_OTHER || trap_flag, ENTRY_SECTION, FIELD_ENTRY_INTERRUPTION,
               "type 7 is reserved without \"monitor trap flag\"");
    entry_rule(state, type != TYPE_OTHER || vector == 0, ENTRY_SECTION, FIELD_ENTRY_INTERRUPTION,
               "type \"other event\" has vector 0");
    entry_rule(state, ((word >> 11 & 1) != 0) == error_code_expected(state, word), ENTRY_SECTION,
               FIELD_ENTRY_INTERRUPTION,
               "bit 11 (deliver error code) must be 1 just for #DF, #TS, #NP, #SS, #GP, #PF and "
               "#AC in protected mode");
    entry_bits(state, ENTRY_SECTION, FIELD_ENTRY_INTERRUPTION, 0, 0x7ffff000, "reserved");
    if ((word >> 11 & 1) != 0) {
        entry_bits(state, ENTRY_SECTION, FIELD_ENTRY_ERROR_CODE, 0, 0xffff0000, "reserved");
    }
    entry_rule(state, !software || (length >= 1 && length <= 15), ENTRY_SECTION,
               FIELD_ENTRY_INSTRUCTION_LENGTH, "a software event's instruction has 1 to 15 bytes");
}

// -- host -------------------------------------------------------------------------------------

static void check_host_selectors(struct entry_state *state)
{
    static const uint32_t selectors[] = {FIELD_HOST_ES_SELECTOR, FIELD_HOST_CS_SELECTOR,
                                         FIELD_HOST_SS_SELECTOR, FIELD_HOST_DS_SELECTOR,
                                         FIELD_HOST_FS_SELECTOR, FIELD_HOST_GS_SELECTOR,
                                         FIELD_HOST_TR_SELECTOR};
    static const uint32_t bases[] = {FIELD_HOST_FS_BASE, FIELD_HOST_GS_BASE, FIELD_HOST_TR_BASE,
                                     FIELD_HOST_GDTR_BASE, FIELD_HOST_IDTR_BASE};

    for (size_t i = 0; i < ARRAY_COUNT(selectors); i++) {
        entry_bits(state, HOST_SEGMENT_SECTION, selectors[i], 0, 7, "RPL and TI");
    }
    entry_rule(state, entry_field(state, FIELD_HOST_CS_SELECTOR) != 0, HOST_SEGMENT_SECTION,
               FIELD_HOST_CS_SELECTOR, "must not be null");
    entry_rule(state, entry_field(state, FIELD_HOST_TR_SELECTOR) != 0, HOST_SEGMENT_SECTION,
               FIELD_HOST_TR_SELECTOR, "must not be null");
    for (size_t i = 0; i < ARRAY_COUNT(bases); i++) {
        entry_rule(state, entry_canonical(entry_field(state, bases[i])), HOST_SEGMENT_SECTION,
                   bases[i], "must be canonical");
    }
}

static void check_fixed(struct entry_state *state, const char *section, uint32_t field,
                        enum capability fixed0, enum capability fixed1, uint64_t free)
{
    uint64_t ones = entry_field(state, VCPU_FIELD_CAPABILITY((uint32_t)fixed0));
    uint64_t allowed = entry_field(state, VCPU_FIELD_CAPABILITY((uint32_t)fixed1));

    if (entry_has(state, VCPU_FIELD_CAPABILITY((uint32_t)fixed1))) {
        entry_bits(state, section, field, ones & ~free, ~allowed, "the fixed-bit MSRs decide");
    }
}

void entry_check_cr_fixed(struct entry_state *state, const char *section, uint32_t cr0,
                          uint32_t cr4, uint64_t free)
{
    check_fixed(state, section, cr0, CAPABILITY_CR0_FIXED0, CAPABILITY_CR0_FIXED1, free);
    check_fixed(state, section, cr4, CAPABILITY_CR4_FIXED0, CAPABILITY_CR4_FIXED1, 0);
}

void entry_check_host(struct entry_state *state)
{
    uint64_t exit = entry_field(state, FIELD_EXIT_CONTROLS);
    uint64_t efer = entry_field(state, FIELD_HOST_EFER);

    entry_check_cr_fixed(state, HOST_SECTION, FIELD_HOST_CR0, FIELD_HOST_CR4, 0);
    entry_bits(state, HOST_SECTION, FIELD_HOST_CR3, 0, entry_beyond_physical(state),
               "beyond physical memory");
    entry_rule(state, entry_canonical(entry_field(state, FIELD_HOST_SYSENTER_ESP)), HOST_SECTION,
               FIELD_HOST_SYSENTER_ESP, "must be canonical");
    entry_rule(state, entry_canonical(entry_field(state, FIELD_HOST_SYSENTER_EIP)), HOST_SECTION,
               FIELD_HOST_SYSENTER_EIP, "must be canonical");
    if ((exit & CONTROL_EXIT_LOAD_PAT) != 0) {
        entry_rule(state, entry_pat_valid(entry_field(state, FIELD_HOST_PAT)), HOST_SECTION,
                   FIELD_HOST_PAT, "each byte must be a memory type (0, 1, 4, 5, 6, 7)");
    }
    if ((exit & CONTROL_EXIT_LOAD_EFER) != 0) {
        entry_rule(state, (efer & 0x500) == ((exit & CONTROL_EXIT_HOST_64) != 0 ? 0x500 : 0),
                   HOST_SECTION, FIELD_HOST_EFER,
                   "LMA and LME must equal \"host address-space size\"");
    }
    check_host_selectors(state);
    entry_bits(state, HOST_SIZE_SECTION, FIELD_EXIT_CONTROLS, CONTROL_EXIT_HOST_64, 0,
               "the host runs in IA-32e mode");
    entry_bits(state, HOST_SIZE_SECTION, FIELD_HOST_CR4, 1u << 5, 0, "the host is 64-bit: PAE");
    entry_rule(state, entry_canonical(entry_field(state, FIELD_HOST_RIP)), HOST_SIZE_SECTION,
               FIELD_HOST_RIP, "must be canonical");
}

size_t entry_check_all(const struct vcpu_field *fields, size_t count, char *text, size_t size)
{
    struct entry_state state = {fields, count, text, size, 0, 0};

    if (size != 0) {
        text[0] = 0;
    }
    entry_check_controls(&state);
    entry_check_event(&state);
    entry_check_host(&state);
    entry_check_guest_registers(&state);
    entry_check_guest_segments(&state);
    entry_check_guest_rest(&state);
    entry_check_guest_pdptes(&state);
    return state.broken;
}
