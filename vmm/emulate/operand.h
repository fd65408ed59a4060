// SPDX-License-Identifier: MIT
// Registers and memory as an instruction sees them: segmentation, checks, and the caller's
// operations. Internal to the emulator. A function that returns false has recorded the outcome (an
// exception, or the caller's refusal) in the result, and nothing was changed.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/emulate/decode.h"
#include "vmm/emulate/emulate.h"

// One call of emulate_instruction.
struct emulation {
    struct vcpu_page *page;
    const struct emulate_operations *operations;
    void *context;
    struct emulate_result *result;
    uint8_t mode; // 16, 32 or 64
    const struct instruction *instruction;
    uint64_t bit_displacement; // what a bit offset in a register adds to the address
};

// Records an exception without (fault) or with (fault_code) an error code of zero; returns false.
bool operand_fault(struct emulation *emulation, enum emulate_vector vector);
bool operand_fault_code(struct emulation *emulation, enum emulate_vector vector);

// General register `index` of `size` bytes; a byte register is AH to BH for 4 to 7 without REX.
// Writing 4 bytes clears the upper half, as in 64-bit mode.
uint64_t register_read(const struct emulation *emulation, unsigned index, unsigned size);
void register_write(struct emulation *emulation, unsigned index, unsigned size, uint64_t value);

// Offset `offset` in `segment` to a linear address for `size` bytes of `access`, with the checks of
// the manual's "Limit Checking", "Type Checking" and "Canonical Addressing".
bool operand_linear(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                    uint32_t access, gva_t *linear) MUST_CHECK;

// The offset of the ModRM memory operand.
uint64_t operand_offset(const struct emulation *emulation);

// Memory at an offset in a segment, 1 to 8 bytes, zero-extended. `access` of memory_read is
// EMULATE_READ, or with EMULATE_WRITE when a write to the same place follows.
bool memory_read(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                 uint32_t access, uint64_t *value) MUST_CHECK;
bool memory_write(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                  uint64_t value) MUST_CHECK;
bool memory_probe(struct emulation *emulation, uint8_t segment, uint64_t offset, uint32_t size,
                  uint32_t access) MUST_CHECK;

// The r/m operand, register or memory, of `size` bytes.
bool rm_read(struct emulation *emulation, uint32_t size, uint32_t access,
             uint64_t *value) MUST_CHECK;
bool rm_write(struct emulation *emulation, uint32_t size, uint64_t value) MUST_CHECK;

// Records what an operation returned; true for STATUS_OK.
bool operand_status(struct emulation *emulation, enum status status) MUST_CHECK;
