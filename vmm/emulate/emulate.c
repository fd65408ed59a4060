// SPDX-License-Identifier: MIT
// One instruction, from fetch to RIP: fetches bytes a page at a time, decodes, executes, advances.
#include "vmm/emulate/emulate.h"
#include "kernel/lib/processor.h"
#include "vmm/emulate/alu.h"
#include "vmm/emulate/decode.h"
#include "vmm/emulate/execute.h"
#include "vmm/emulate/operand.h"

unsigned emulate_cpl(const struct vcpu_page *page)
{
    return (page->segment[SEGMENT_SS].access_rights >> 5) & 3;
}

unsigned emulate_mode(const struct vcpu_page *page)
{
    uint32_t rights = page->segment[SEGMENT_CS].access_rights;

    if ((page->efer & EFER_LMA) && (rights & SEGMENT_LONG))
        return 64;
    return rights & SEGMENT_BIG ? 32 : 16;
}

bool emulate_advance(struct vcpu_page *page, uint32_t length)
{
    bool single_step = page->rflags & RFLAGS_TF;

    page->rip += length;
    if ((page->valid & VCPU_GROUP_CONTROL) && emulate_mode(page) != 64)
        page->rip &= 0xffffffffu;
    page->rflags &= ~(uint64_t)RFLAGS_RF;
    page->interruptibility &= ~(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS);
    page->dirty |= VCPU_GROUP_RIP;
    return single_step;
}

// Fetches up to the end of the page, or of the instruction's 15 bytes; then the segment's end.
static bool fetch_more(struct emulation *emulation)
{
    struct emulate_result *result = emulation->result;
    uint64_t offset = emulation->page->rip + result->fetched;
    uint32_t size = EMULATE_LENGTH_MAXIMUM - result->fetched;
    const struct vcpu_segment *code = &emulation->page->segment[SEGMENT_CS];
    gva_t linear;
    uint64_t in_page;

    if (emulation->mode != 64)
        offset &= 0xffffffffu;
    if (size == 0 || !operand_linear(emulation, SEGMENT_CS, offset, 1, EMULATE_FETCH, &linear))
        return operand_fault_code(emulation, EMULATE_VECTOR_PROTECTION);
    in_page = PAGE_SIZE - (linear.value & PAGE_MASK);
    if (size > in_page)
        size = (uint32_t)in_page;
    if (emulation->mode != 64 && size - 1 > code->limit - offset)
        size = (uint32_t)(code->limit - offset) + 1;
    if (!operand_status(emulation, emulation->operations->read(
                                       emulation->context, linear, &result->bytes[result->fetched],
                                       size, EMULATE_FETCH, &result->fault)))
        return false;
    result->fetched += (uint8_t)size;
    return true;
}

// From the cache, else into `room`.
static enum decode_outcome decode(struct emulation *emulation, struct decode_cache *cache,
                                  struct instruction *room)
{
    const struct emulate_result *result = emulation->result;
    uint64_t rip = emulation->page->rip;
    enum decode_outcome outcome;

    if (cache != NULL) {
        emulation->instruction =
            decode_cache_find(cache, rip, result->bytes, result->fetched, emulation->mode);
        if (LIKELY(emulation->instruction != NULL))
            return DECODE_OK;
    }
    emulation->instruction = room;
    outcome = decode_instruction(result->bytes, result->fetched, emulation->mode, room);
    if (outcome == DECODE_OK && cache != NULL)
        decode_cache_store(cache, rip, result->bytes, room);
    return outcome;
}

static bool fetch_and_decode(struct emulation *emulation, struct decode_cache *cache,
                             struct instruction *room)
{
    struct emulate_result *result = emulation->result;
    enum decode_outcome outcome;

    do {
        if (!fetch_more(emulation))
            return false;
        outcome = decode(emulation, cache, room);
        result->length = emulation->instruction->length;
    } while (outcome == DECODE_MORE);

    if (outcome == DECODE_UNDEFINED)
        return operand_fault(emulation, EMULATE_VECTOR_UNDEFINED);
    if (outcome == DECODE_UNSUPPORTED)
        result->outcome = EMULATE_UNSUPPORTED;
    return outcome == DECODE_OK;
}

void emulate_instruction_cached(struct vcpu_page *page, const struct emulate_operations *operations,
                                void *context, struct decode_cache *cache,
                                struct emulate_result *result)
{
    struct instruction room;
    struct emulation emulation = {
        .page = page,
        .operations = operations,
        .context = context,
        .result = result,
        .mode = (uint8_t)emulate_mode(page),
    };

    *result = (struct emulate_result){.outcome = EMULATE_DONE};
    if (!fetch_and_decode(&emulation, cache, &room))
        return;
    page->dirty |= VCPU_GROUP_RIP; // covers RSP; a string may stop half-way with a fault
    if (!execute(&emulation))
        return;
    if (result->outcome == EMULATE_AGAIN)
        result->single_step = page->rflags & RFLAGS_TF;
    else
        result->single_step = emulate_advance(page, result->length);
}

void emulate_instruction(struct vcpu_page *page, const struct emulate_operations *operations,
                         void *context, struct emulate_result *result)
{
    emulate_instruction_cached(page, operations, context, NULL, result);
}
