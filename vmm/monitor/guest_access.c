// SPDX-License-Identifier: MIT
// An access is cut at the page boundary into at most two parts; all parts are translated before the
// first byte moves. A part is RAM or a device's. Translations are remembered, with the entries they
// rest on, because most exits come from the same few instructions.
#include "vmm/monitor/guest_access.h"
#include "kernel/lib/processor.h"

// A stretch of one page.
struct part {
    gpa_t physical;
    uint8_t *host; // null: through guest_memory or the bus
    uint32_t size; // bytes
};

void guest_access_init(struct guest_access *access, struct guest_memory *memory,
                       struct mmio_bus *mmio, struct port_bus *ports)
{
    *access =
        (struct guest_access){.memory = memory, .mmio = mmio, .ports = ports, .device_page = 1};
}

static bool paging_is_same(const struct guest_paging *paging, const struct vcpu_page *page)
{
    return paging->cr3 == page->cr3 && paging->cr0 == page->cr0 && paging->cr4 == page->cr4 &&
           paging->efer == page->efer && !((paging->rflags ^ page->rflags) & RFLAGS_AC) &&
           paging->user == (emulate_cpl(page) == 3);
}

void guest_access_start(struct guest_access *access, const struct vcpu_page *page)
{
    const struct vm_exit *exit = &page->exit;

    if (!paging_is_same(&access->paging, page)) {
        access->paging = guest_paging_of(page);
        for (unsigned i = 0; i < GUEST_PAGE_USES; i++)
            access->walked[i].access = 0;
    }
    access->known.access = 0;
    access->modified = NULL;
    if (exit->kind != EXIT_MEMORY || !exit->memory.gva_valid || exit->memory.in_page_walk ||
        exit->memory.fetch)
        return;
    access->known.linear = align_down(exit->memory.gva, PAGE_SIZE);
    access->known.physical = align_down(exit->memory.gpa, PAGE_SIZE);
    access->known.access = EMULATE_READ | (exit->memory.write ? EMULATE_WRITE : 0u);
}

static bool covers(const struct guest_page *page, uint64_t linear, uint32_t kind)
{
    return page->linear == linear && (kind & ~page->access) == 0;
}

static bool is_writable(const struct guest_memory *memory, uint64_t physical)
{
    for (unsigned i = 0; i < memory->count; i++) {
        if (physical - memory->range[i].start < memory->range[i].size)
            return !memory->range[i].read_only;
    }
    return false;
}

// Walks, and remembers. Kept out of line: callers seldom come here.
__attribute__((noinline)) static enum status walk_page(struct guest_access *access, uint64_t linear,
                                                       gva_t address, uint32_t kind,
                                                       struct guest_page *page,
                                                       struct emulate_fault *fault)
{
    gpa_t physical;
    enum status status;

    page->access = 0;
    status = guest_walk_traced(access->memory, &access->paging, address, kind, &physical, fault,
                               &page->trace);
    if (status != STATUS_OK)
        return status;
    page->linear = linear;
    page->physical = align_down(physical.value, PAGE_SIZE);
    page->host = guest_memory_pointer(access->memory, gpa(page->physical), PAGE_SIZE);
    if ((kind & EMULATE_WRITE) && !is_writable(access->memory, page->physical))
        page->host = NULL;
    page->access = kind;
    return STATUS_OK;
}

static enum guest_page_use use_of(uint32_t kind)
{
    if (kind & EMULATE_FETCH)
        return GUEST_PAGE_FETCH;
    return kind & EMULATE_WRITE ? GUEST_PAGE_WRITE : GUEST_PAGE_READ;
}

// The remembered page when it still holds, else a fresh walk's. Null: *status says why.
static struct guest_page *find_page(struct guest_access *access, gva_t address, uint32_t kind,
                                    enum status *status, struct emulate_fault *fault)
{
    uint64_t linear = align_down(address.value, PAGE_SIZE);
    struct guest_page *page = &access->walked[use_of(kind)];

    if (LIKELY(covers(page, linear, kind) && guest_walk_holds(&page->trace)))
        return page;
    *status = walk_page(access, linear, address, kind, page, fault);
    return *status == STATUS_OK ? page : NULL;
}

// Fills in `physical` and `host` of a part that begins at `address`.
static enum status translate(struct guest_access *access, gva_t address, uint32_t kind,
                             struct part *part, struct emulate_fault *fault)
{
    uint64_t offset = address.value & PAGE_MASK;
    const struct guest_page *page = &access->known;
    enum status status = STATUS_OK;

    if (!covers(page, address.value - offset, kind)) {
        page = find_page(access, address, kind, &status, fault);
        if (page == NULL)
            return status;
    }
    part->physical = gpa(page->physical | offset);
    part->host = page->host != NULL ? page->host + offset : NULL;
    return STATUS_OK;
}

static bool crosses_page(gva_t address, uint32_t size)
{
    return (address.value & PAGE_MASK) + size > PAGE_SIZE;
}

// Both parts of an access that crosses a page.
static enum status locate_two(struct guest_access *access, gva_t address, uint32_t size,
                              uint32_t kind, struct part parts[2], struct emulate_fault *fault)
{
    enum status status = translate(access, address, kind, &parts[0], fault);

    if (status != STATUS_OK)
        return status;
    parts[0].size = (uint32_t)(PAGE_SIZE - (address.value & PAGE_MASK));
    parts[1].size = size - parts[0].size;
    return translate(access, gva(address.value + parts[0].size), kind, &parts[1], fault);
}

// An operand moves in one piece (a built-in of constant size is one load and one store).
// Instruction bytes, 9 to 15 of them, in two that overlap.
static void copy(void *to, const void *from, uint32_t size)
{
    if (size == 4) {
        __builtin_memcpy(to, from, 4);
    } else if (size >= 8) {
        __builtin_memcpy(to, from, 8);
        if (size > 8)
            __builtin_memcpy((uint8_t *)to + size - 8, (const uint8_t *)from + size - 8, 8);
    } else if (size == 1) {
        __builtin_memcpy(to, from, 1);
    } else if (size == 2) {
        __builtin_memcpy(to, from, 2);
    } else {
        __builtin_memcpy(to, from, size);
    }
}

// Devices take 1, 2, 4 or 8 bytes: the largest of these that is left.
static unsigned device_size(uint32_t left)
{
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

static void device_read(struct guest_access *access, struct part part, uint8_t *bytes)
{
    while (part.size > 0) {
        unsigned size = device_size(part.size);
        uint64_t value = mmio_bus_read(access->mmio, part.physical, size);

        copy(bytes, &value, size);
        bytes += size;
        part.physical.value += size;
        part.size -= size;
    }
}

static void device_write(struct guest_access *access, struct part part, const uint8_t *bytes)
{
    while (part.size > 0) {
        unsigned size = device_size(part.size);
        uint64_t value = 0;

        copy(&value, bytes, size);
        mmio_bus_write(access->mmio, part.physical, size, value);
        bytes += size;
        part.physical.value += size;
        part.size -= size;
    }
}

// True when no byte of the page of `physical` is RAM.
static bool is_device_page(struct guest_access *access, uint64_t physical)
{
    uint64_t page = align_down(physical, PAGE_SIZE);

    if (page == access->device_page)
        return true;
    for (unsigned i = 0; i < access->memory->count; i++) {
        const struct guest_memory_range *range = &access->memory->range[i];

        if (page - range->start < range->size || range->start - page < PAGE_SIZE)
            return false;
    }
    access->device_page = page;
    return true;
}

static enum status read_part(struct guest_access *access, struct part part, uint8_t *bytes,
                             uint32_t kind)
{
    if (LIKELY(part.host != NULL)) {
        copy(bytes, part.host, part.size);
        return STATUS_OK;
    }
    if (!is_device_page(access, part.physical.value) &&
        guest_memory_read(access->memory, part.physical, bytes, part.size) == STATUS_OK)
        return STATUS_OK;
    if (kind & EMULATE_FETCH)
        return STATUS_NOT_FOUND;
    device_read(access, part, bytes);
    return STATUS_OK;
}

// Remembers what a read-modify-write found, for its write.
static void note_modified(struct guest_access *access, struct part part, uint32_t kind,
                          const void *bytes)
{
    access->modified = NULL;
    if (kind != (EMULATE_READ | EMULATE_WRITE) || part.host == NULL || part.size > 8)
        return;
    access->modified = part.host;
    access->modified_size = part.size;
    access->modified_from = 0;
    copy(&access->modified_from, bytes, part.size);
}

#define EXCHANGE(type)                                                                             \
    {                                                                                              \
        type before = (type)access->modified_from;                                                 \
        return __atomic_compare_exchange_n((type *)(void *)access->modified, &before, (type)value, \
                                           false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);             \
    }

// Writes what a read-modify-write has made of it. False: it is no longer what was read.
static bool exchange(struct guest_access *access, const uint8_t *bytes)
{
    uint64_t value = 0;

    copy(&value, bytes, access->modified_size);
    switch (access->modified_size) {
    case 1:
        EXCHANGE(uint8_t)
    case 2:
        EXCHANGE(uint16_t)
    case 4:
        EXCHANGE(uint32_t)
    default:
        EXCHANGE(uint64_t)
    }
}

static void write_part(struct guest_access *access, struct part part, const uint8_t *bytes)
{
    if (part.host != NULL) {
        copy(part.host, bytes, part.size);
        return;
    }
    if (LIKELY(is_device_page(access, part.physical.value))) {
        device_write(access, part, bytes);
        return;
    }
    if (guest_memory_write(access->memory, part.physical, bytes, part.size) == STATUS_OK)
        return;
    if (guest_memory_covers(access->memory, part.physical, part.size))
        access->dropped_writes++;
    else
        device_write(access, part, bytes);
}

static enum status access_read(void *context, gva_t address, void *buffer, uint32_t size,
                               uint32_t kind, struct emulate_fault *fault)
{
    struct guest_access *access = context;
    struct part parts[2];
    enum status status;

    if (LIKELY(!crosses_page(address, size))) {
        status = translate(access, address, kind, &parts[0], fault);
        parts[0].size = size;
        if (status == STATUS_OK)
            status = read_part(access, parts[0], buffer, kind);
        if (UNLIKELY(kind & EMULATE_WRITE) && status == STATUS_OK)
            note_modified(access, parts[0], kind, buffer);
        return status;
    }
    status = locate_two(access, address, size, kind, parts, fault);
    if (status == STATUS_OK)
        status = read_part(access, parts[0], buffer, kind);
    if (status == STATUS_OK)
        status = read_part(access, parts[1], (uint8_t *)buffer + parts[0].size, kind);
    return status;
}

static enum status access_write(void *context, gva_t address, const void *buffer, uint32_t size,
                                struct emulate_fault *fault)
{
    struct guest_access *access = context;
    struct part parts[2];
    enum status status;

    if (LIKELY(!crosses_page(address, size))) {
        status = translate(access, address, EMULATE_WRITE, &parts[0], fault);
        parts[0].size = size;
        if (status != STATUS_OK)
            return status;
        if (parts[0].host != NULL && parts[0].host == access->modified &&
            size == access->modified_size)
            return exchange(access, buffer) ? STATUS_OK : STATUS_BUSY;
        write_part(access, parts[0], buffer);
        return STATUS_OK;
    }
    status = locate_two(access, address, size, EMULATE_WRITE, parts, fault);
    if (status != STATUS_OK)
        return status;
    write_part(access, parts[0], buffer);
    write_part(access, parts[1], (const uint8_t *)buffer + parts[0].size);
    return STATUS_OK;
}

static enum status access_probe(void *context, gva_t address, uint32_t size, uint32_t kind,
                                struct emulate_fault *fault)
{
    struct part parts[2];

    if (crosses_page(address, size))
        return locate_two(context, address, size, kind, parts, fault);
    return translate(context, address, kind, &parts[0], fault);
}

static enum status access_port_in(void *context, uint16_t port, uint32_t size, uint32_t *value)
{
    struct guest_access *access = context;

    *value = port_bus_read(access->ports, port, size);
    return STATUS_OK;
}

static enum status access_port_out(void *context, uint16_t port, uint32_t size, uint32_t value)
{
    struct guest_access *access = context;

    port_bus_write(access->ports, port, size, value);
    return STATUS_OK;
}

const struct emulate_operations guest_access_operations = {
    .read = access_read,
    .write = access_write,
    .probe = access_probe,
    .port_in = access_port_in,
    .port_out = access_port_out,
};

// -- the short way --------------------------------------------------------------------------------

// The instruction at RIP, where its page and its bytes are as they were; else null.
static const struct instruction *known_instruction(const struct guest_access *access,
                                                   const struct vcpu_page *page)
{
    const struct guest_page *code = &access->walked[GUEST_PAGE_FETCH];
    uint64_t offset = page->rip & PAGE_MASK;

    if (offset > PAGE_SIZE - EMULATE_LENGTH_MAXIMUM || code->host == NULL ||
        !covers(code, page->rip - offset, EMULATE_FETCH) || !guest_walk_holds(&code->trace))
        return NULL;
    return decode_cache_find(&access->decoded, page->rip, code->host + offset,
                             EMULATE_LENGTH_MAXIMUM, 64);
}

// True when the access lies in one page. The exit tells the first byte that was not RAM: at the
// start of a page that may be the middle of an access.
static bool is_whole(const struct vm_exit *exit, uint32_t size)
{
    uint64_t offset = exit->memory.gpa & PAGE_MASK;

    return offset != 0 && offset + size <= PAGE_SIZE;
}

// At the start of a page: true when the operand begins there.
static bool begins_at(const struct vcpu_page *page, const struct instruction *instruction)
{
    uint64_t address = instruction->displacement;

    if (instruction->segment == SEGMENT_FS || instruction->segment == SEGMENT_GS ||
        instruction->address_size != 8 || instruction->rip_relative)
        return false;
    if (instruction->base != REGISTER_NONE)
        address += page->gpr[instruction->base];
    if (instruction->index != REGISTER_NONE)
        address += page->gpr[instruction->index] << instruction->scale;
    return address == page->exit.memory.gva;
}

// Registers that hold a whole operand in their lowest bits; not AH, CH, DH and BH.
static bool is_low(const struct instruction *instruction)
{
    return instruction->operand_size != 1 || instruction->rex != 0 || instruction->reg < 4;
}

static bool is_simple_move(const struct vcpu_page *page, const struct instruction *instruction)
{
    uint32_t size =
        instruction->form == FORM_REG_RM ? instruction->source_size : instruction->operand_size;

    return instruction->memory && is_low(instruction) &&
           (instruction->operation == OPERATION_MOV || instruction->operation == OPERATION_MOVZX) &&
           (is_whole(&page->exit, size) ||
            ((page->exit.memory.gpa & PAGE_MASK) == 0 && begins_at(page, instruction)));
}

static void load(struct guest_access *access, struct vcpu_page *page,
                 const struct instruction *instruction)
{
    uint64_t *gpr = &page->gpr[instruction->reg];
    uint64_t value =
        mmio_bus_read(access->mmio, gpa(page->exit.memory.gpa), instruction->source_size);
    uint64_t kept =
        instruction->operand_size >= 4 ? 0 : UINT64_MAX << (8 * instruction->operand_size);

    *gpr = (*gpr & kept) | value;
}

static void store(struct guest_access *access, const struct vcpu_page *page,
                  const struct instruction *instruction)
{
    uint64_t value =
        instruction->form == FORM_RM_IMM ? instruction->immediate : page->gpr[instruction->reg];

    mmio_bus_write(access->mmio, gpa(page->exit.memory.gpa), instruction->operand_size,
                   value & (UINT64_MAX >> (64 - 8 * instruction->operand_size)));
}

bool guest_access_move(struct guest_access *access, struct vcpu_page *page, bool *single_step)
{
    const struct instruction *instruction;

    if (!page->exit.memory.gva_valid || emulate_mode(page) != 64 || (page->rflags & RFLAGS_AC) ||
        access->device_page != align_down(page->exit.memory.gpa, PAGE_SIZE) ||
        !paging_is_same(&access->paging, page))
        return false;
    instruction = known_instruction(access, page);
    if (instruction == NULL || !is_simple_move(page, instruction))
        return false;
    if (instruction->form == FORM_REG_RM)
        load(access, page, instruction);
    else
        store(access, page, instruction);
    *single_step = emulate_advance(page, instruction->length);
    return true;
}

void guest_access_emulate(struct guest_access *access, struct vcpu_page *page,
                          struct emulate_result *result)
{
    guest_access_start(access, page);
    emulate_instruction_cached(page, &guest_access_operations, access, &access->decoded, result);
}
