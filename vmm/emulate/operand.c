// SPDX-License-Identifier: MIT
// Registers, effective addresses, segmentation, and memory through the caller's operations.
#include "vmm/emulate/operand.h"
#include "kernel/lib/processor.h"
#include "vmm/emulate/alu.h"

// Access-rights bits of a segment, VMCS layout.
#define TYPE_WRITABLE    (1u << 1) // data: writable; code: readable
#define TYPE_EXPAND_DOWN (1u << 2)
#define TYPE_CODE        (1u << 3)

static bool fault(struct emulation *emulation, enum emulate_vector vector, bool has_error_code)
{
    emulation->result->outcome = EMULATE_EXCEPTION;
    emulation->result->fault =
        (struct emulate_fault){.vector = (uint8_t)vector, .has_error_code = has_error_code};
    return false;
}

bool operand_fault(struct emulation *emulation, enum emulate_vector vector)
{
    return fault(emulation, vector, false);
}

bool operand_fault_code(struct emulation *emulation, enum emulate_vector vector)
{
    return fault(emulation, vector, true);
}

bool operand_status(struct emulation *emulation, enum status status)
{
    if (LIKELY(status == STATUS_OK))
        return true;
    if (status == STATUS_FAULT) { // the operation filled in result->fault
        emulation->result->outcome = EMULATE_EXCEPTION;
    } else {
        emulation->result->outcome = EMULATE_FAILED;
        emulation->result->status = status;
    }
    return false;
}

static bool is_high_byte(const struct emulation *emulation, unsigned index, unsigned size)
{
    return size == 1 && index >= 4 && index < 8 && emulation->instruction->rex == 0;
}

uint64_t register_read(const struct emulation *emulation, unsigned index, unsigned size)
{
    if (is_high_byte(emulation, index, size))
        return (emulation->page->gpr[index - 4] >> 8) & 0xff;
    return emulation->page->gpr[index] & alu_mask(size);
}

void register_write(struct emulation *emulation, unsigned index, unsigned size, uint64_t value)
{
    uint64_t *gpr = &emulation->page->gpr[index];

    value &= alu_mask(size);
    if (is_high_byte(emulation, index, size)) {
        gpr = &emulation->page->gpr[index - 4];
        *gpr = (*gpr & ~0xff00ull) | (value << 8);
    } else if (size >= 4) {
        *gpr = value;
    } else {
        *gpr = (*gpr & ~alu_mask(size)) | value;
    }
}

static uint64_t address_mask(const struct emulation *emulation)
{
    return alu_mask(emulation->instruction->address_size);
}

uint64_t operand_offset(const struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    uint64_t offset = instruction->displacement + emulation->bit_displacement;

    if (instruction->base != REGISTER_NONE)
        offset += emulation->page->gpr[instruction->base];
    if (instruction->index != REGISTER_NONE)
        offset += emulation->page->gpr[instruction->index] << instruction->scale;
    if (instruction->rip_relative)
        offset += emulation->page->rip + instruction->length;
    return offset & address_mask(emulation);
}

static bool segment_fault(struct emulation *emulation, uint8_t segment)
{
    return operand_fault_code(emulation, segment == SEGMENT_SS ? EMULATE_VECTOR_STACK
                                                               : EMULATE_VECTOR_PROTECTION);
}

static bool is_canonical(const struct emulation *emulation, uint64_t address)
{
    unsigned unused_bits = emulation->page->cr4 & CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(address << unused_bits) >> unused_bits) == address;
}

static bool linear64(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                     gva_t *linear)
{
    uint64_t address = offset;

    if (segment == SEGMENT_FS || segment == SEGMENT_GS)
        address += emulation->page->segment[segment].base;
    if (!is_canonical(emulation, address) || !is_canonical(emulation, address + size - 1))
        return segment_fault(emulation, segment);
    *linear = gva(address);
    return true;
}

// Segment type against access; real and virtual-8086 mode have no types.
static bool type_allows(const struct emulation *emulation, uint32_t rights, uint32_t access)
{
    if (!(emulation->page->cr0 & CR0_PE) || (emulation->page->rflags & RFLAGS_VM))
        return true;
    if (access & EMULATE_FETCH)
        return true;
    if (rights & TYPE_CODE)
        return !(access & EMULATE_WRITE) && (rights & TYPE_WRITABLE);
    return !(access & EMULATE_WRITE) || (rights & TYPE_WRITABLE);
}

static bool limit_allows(const struct vcpu_segment *segment, uint64_t first, uint64_t last)
{
    uint32_t rights = segment->access_rights;

    if ((rights & TYPE_EXPAND_DOWN) && !(rights & TYPE_CODE))
        return first > segment->limit && last <= (rights & SEGMENT_BIG ? 0xffffffffu : 0xffffu);
    return last <= segment->limit;
}

bool operand_linear(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                    uint32_t access, gva_t *linear)
{
    const struct vcpu_segment *state = &emulation->page->segment[segment];

    if (emulation->mode == 64)
        return linear64(emulation, segment, offset, size, linear);
    if (state->access_rights & SEGMENT_UNUSABLE)
        return segment_fault(emulation, segment);
    if (!type_allows(emulation, state->access_rights, access))
        return operand_fault_code(emulation, EMULATE_VECTOR_PROTECTION);
    if (!limit_allows(state, offset, offset + size - 1))
        return segment_fault(emulation, segment);
    *linear = gva((state->base + offset) & 0xffffffffu);
    return true;
}

// "Alignment Checking": only at privilege level 3, with CR0.AM and RFLAGS.AC.
static bool alignment_allows(const struct emulation *emulation, gva_t linear, uint32_t size)
{
    return is_aligned(linear.value, size) || !(emulation->page->cr0 & CR0_AM) ||
           !(emulation->page->rflags & RFLAGS_AC) || emulate_cpl(emulation->page) != 3;
}

static bool locate(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                   uint32_t access, gva_t *linear)
{
    if (!operand_linear(emulation, segment, offset, size, access, linear))
        return false;
    if (UNLIKELY(!alignment_allows(emulation, *linear, size)))
        return operand_fault_code(emulation, EMULATE_VECTOR_ALIGNMENT);
    return true;
}

bool memory_read(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                 uint32_t access, uint64_t *value)
{
    uint64_t bytes = 0;
    gva_t linear = gva(0);

    if (!locate(emulation, segment, offset, size, access, &linear))
        return false;
    if (!operand_status(emulation,
                        emulation->operations->read(emulation->context, linear, &bytes, size,
                                                    access, &emulation->result->fault)))
        return false;
    *value = bytes;
    return true;
}

bool memory_write(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                  uint64_t value)
{
    gva_t linear = gva(0);

    if (!locate(emulation, segment, offset, size, EMULATE_WRITE, &linear))
        return false;
    return operand_status(emulation,
                          emulation->operations->write(emulation->context, linear, &value, size,
                                                       &emulation->result->fault));
}

bool memory_probe(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                  uint32_t access)
{
    gva_t linear = gva(0);

    if (!locate(emulation, segment, offset, size, access, &linear))
        return false;
    return operand_status(emulation,
                          emulation->operations->probe(emulation->context, linear, size, access,
                                                       &emulation->result->fault));
}

bool rm_read(struct emulation *emulation, uint32_t size, uint32_t access, uint64_t *value)
{
    const struct instruction *instruction = emulation->instruction;

    if (instruction->memory)
        return memory_read(emulation, instruction->segment, operand_offset(emulation), size, access,
                           value);
    *value = register_read(emulation, instruction->rm, size);
    return true;
}

bool rm_write(struct emulation *emulation, uint32_t size, uint64_t value)
{
    const struct instruction *instruction = emulation->instruction;

    if (instruction->memory)
        return memory_write(emulation, instruction->segment, operand_offset(emulation), size,
                            value);
    register_write(emulation, instruction->rm, size, value);
    return true;
}
