// SPDX-License-Identifier: MIT
// The configuration parser: a table of keys, each with the place where it may stand and the
// function that takes its value. Called by the console process and, for one section, by the
// monitor. Pure; no lock.
#include "vmm/config/config.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/config/intercept.h"
#include "vmm/config/words.h"

// Where a key may stand.
enum key_place { PLACE_FIRST, PLACE_HEADER, PLACE_VM, PLACE_VM_START };

struct parser {
    const char *text;
    size_t length;
    size_t position; // of the next line
    const char *line_start;
    uint32_t line;
    struct config *config; // null while a lone section is parsed
    struct config_vm *vm;  // section being filled; null in the header
    uint32_t seen;         // keys already given in this section
    bool header_seen;
    struct config_error *error;
};

struct key {
    const char *name;
    enum key_place place;
    bool repeatable;
    bool may_be_empty;
    enum status (*take)(struct parser *parser, struct config_text value);
};

static enum status refuse(struct parser *parser, const char *format, ...) PRINTF(2, 3);
static enum status refuse(struct parser *parser, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)format_text_va(parser->error->message, sizeof(parser->error->message), format, arguments);
    va_end(arguments);
    parser->error->line = parser->line;
    return STATUS_MALFORMED;
}

// The index of `value` in `words`, or refuses and names them.
static enum status take_choice(struct parser *parser, const char *key, struct config_text value,
                               const char *const *words, uint32_t count, uint32_t *index)
{
    char list[64];
    size_t used = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (config_text_is(value, words[i])) {
            *index = i;
            return STATUS_OK;
        }
        used += format_text(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", words[i]);
    }
    return refuse(parser, "%s: expected one of %s, found \"%.*s\"", key, list, (int)value.length,
                  value.start);
}

static enum status take_version(struct parser *parser, struct config_text value)
{
    if (!config_text_is(value, "1")) {
        return refuse(parser, "gatehouse: expected format version 1, found \"%.*s\"",
                      (int)value.length, value.start);
    }
    parser->header_seen = true;
    return STATUS_OK;
}

static const char *const switch_words[] = {"off", "on"};

static enum status take_either(struct parser *parser, const char *key, struct config_text value,
                               const char *const words[2], bool *second)
{
    uint32_t index = 0;
    enum status status = take_choice(parser, key, value, words, 2, &index);

    *second = index == 1;
    return status;
}

static enum status take_console(struct parser *parser, struct config_text value)
{
    static const char *const words[] = {"terminal", "raw"};

    return take_either(parser, "console", value, words, &parser->config->raw);
}

static enum status take_stats(struct parser *parser, struct config_text value)
{
    return take_either(parser, "stats", value, switch_words, &parser->vm->stats);
}

static enum status take_exit_log(struct parser *parser, struct config_text value)
{
    return take_either(parser, "exit-log", value, switch_words, &parser->vm->exit_log);
}

static enum status take_escape(struct parser *parser, struct config_text value)
{
    return take_either(parser, "escape", value, switch_words, &parser->config->escape);
}

// What a finished section must have.
static enum status check_section(struct parser *parser)
{
    const struct config_vm *vm = parser->vm;

    if (!vm) {
        return STATUS_OK;
    }
    if (vm->kernel.length == 0) {
        return refuse(parser, "vm %.*s has no kernel", (int)vm->name.length, vm->name.start);
    }
    if (vm->memory == 0) {
        return refuse(parser, "vm %.*s has no memory", (int)vm->name.length, vm->name.start);
    }
    return STATUS_OK;
}

static bool name_is_taken(const struct config *config, struct config_text name)
{
    for (uint32_t i = 0; i < config->vm_count; i++) {
        if (config->vms[i].name.length == name.length &&
            memcmp(config->vms[i].name.start, name.start, name.length) == 0) {
            return true;
        }
    }
    return false;
}

static enum status next_vm(struct parser *parser, struct config_text name)
{
    struct config *config = parser->config;
    enum status status = check_section(parser);

    if (status != STATUS_OK) {
        return status;
    }
    if (name_is_taken(config, name)) {
        return refuse(parser, "vm: the name %.*s is taken", (int)name.length, name.start);
    }
    if (config->vm_count == CONFIG_VM_MAXIMUM) {
        return refuse(parser, "vm: at most %u VMs", CONFIG_VM_MAXIMUM);
    }
    parser->vm = &config->vms[config->vm_count++];
    return STATUS_OK;
}

static enum status take_vm(struct parser *parser, struct config_text value)
{
    enum status status = STATUS_OK;

    if (!config_is_name(value)) {
        return refuse(parser, "vm: expected a name of 1 to %u letters, digits, '.', '_' or '-'",
                      CONFIG_NAME_MAXIMUM);
    }
    if (parser->config) {
        status = next_vm(parser, value);
    } else if (parser->vm->name.length > 0) {
        status = refuse(parser, "vm: a section holds one VM");
    }
    if (status != STATUS_OK) {
        return status;
    }
    memset(parser->vm, 0, sizeof(*parser->vm));
    parser->vm->name = value;
    parser->vm->vcpus = 1;
    parser->vm->weight = CONFIG_WEIGHT_DEFAULT;
    parser->vm->clock = CONFIG_CLOCK_DEFAULT;
    parser->vm->restart_on_reset = true;
    parser->vm->watchdog = CONFIG_WATCHDOG_DEFAULT;
    parser->vm->section.start = parser->line_start;
    parser->seen = 0;
    return STATUS_OK;
}

static enum status take_kernel(struct parser *parser, struct config_text value)
{
    parser->vm->kernel = value;
    return STATUS_OK;
}

static enum status take_kernel_type(struct parser *parser, struct config_text value)
{
    static const char *const words[] = {"auto", "linux", "elf", "multiboot", "flat"};
    static_assert(CONFIG_KERNEL_ELF == 2 && CONFIG_KERNEL_FLAT == 4, "in the order of the enum");
    uint32_t index = 0;
    enum status status =
        take_choice(parser, "kernel-type", value, words, ARRAY_COUNT(words), &index);

    parser->vm->kernel_type = (enum config_kernel_type)index;
    return status;
}

static enum status take_kernel_file(struct parser *parser, struct config_text value)
{
    parser->vm->kernel_file = value;
    return STATUS_OK;
}

static enum status take_initrd(struct parser *parser, struct config_text value)
{
    parser->vm->initrd = value;
    return STATUS_OK;
}

static enum status take_initrd_file(struct parser *parser, struct config_text value)
{
    parser->vm->initrd_file = value;
    return STATUS_OK;
}

static enum status take_module(struct parser *parser, struct config_text value)
{
    struct config_vm *vm = parser->vm;
    struct config_module *module = &vm->modules[vm->module_count];

    if (vm->module_count == CONFIG_MODULE_MAXIMUM) {
        return refuse(parser, "module: at most %u modules", CONFIG_MODULE_MAXIMUM);
    }
    module->module = config_take_word(&value);
    module->file = config_take_word(&value);
    module->arguments = value;
    if (module->file.length == 0) {
        return refuse(parser, "module: expected MODULE FILE [ARGUMENTS]");
    }
    vm->module_count++;
    return STATUS_OK;
}

static enum status take_append(struct parser *parser, struct config_text value)
{
    parser->vm->append = value;
    return STATUS_OK;
}

static enum status take_memory(struct parser *parser, struct config_text value)
{
    uint64_t bytes = 0;

    if (!config_take_number(value, &bytes)) {
        return refuse(parser, "memory: expected a number of bytes, found \"%.*s\"",
                      (int)value.length, value.start);
    }
    if (bytes < CONFIG_MEMORY_MINIMUM || bytes > CONFIG_MEMORY_MAXIMUM || bytes % 4096 != 0) {
        return refuse(parser, "memory: expected a multiple of 4096 from 1 MiB to 1 TiB, found %llu",
                      (unsigned long long)bytes);
    }
    parser->vm->memory = bytes;
    return STATUS_OK;
}

static enum status take_range(struct parser *parser, const char *key, struct config_text value,
                              uint32_t low, uint32_t high, uint32_t *number)
{
    uint64_t found = 0;

    if (!config_take_number(value, &found) || found < low || found > high) {
        return refuse(parser, "%s: expected %u to %u, found \"%.*s\"", key, low, high,
                      (int)value.length, value.start);
    }
    *number = (uint32_t)found;
    return STATUS_OK;
}

static enum status take_vcpus(struct parser *parser, struct config_text value)
{
    return take_range(parser, "vcpus", value, 1, CONFIG_VCPU_MAXIMUM, &parser->vm->vcpus);
}

static enum status take_weight(struct parser *parser, struct config_text value)
{
    return take_range(parser, "weight", value, 1, CONFIG_WEIGHT_MAXIMUM, &parser->vm->weight);
}

static enum status take_apic(struct parser *parser, struct config_text value)
{
    static const char *const words[] = {"auto", "on", "off"};
    uint32_t index = 0;
    enum status status = take_choice(parser, "apic", value, words, ARRAY_COUNT(words), &index);

    parser->vm->apic = (enum config_apic)index;
    return status;
}

static enum status take_intercept(struct parser *parser, struct config_text value)
{
    struct config_text unknown;

    if (!config_take_intercepts(value, &parser->vm->intercepts, &unknown)) {
        return refuse(parser, "intercept: \"%.*s\" is none", (int)unknown.length, unknown.start);
    }
    return STATUS_OK;
}

static enum status take_reset(struct parser *parser, struct config_text value)
{
    static const char *const words[] = {"end", "restart"};

    return take_either(parser, "reset", value, words, &parser->vm->restart_on_reset);
}

static enum status take_clock(struct parser *parser, struct config_text value)
{
    uint64_t seconds = 0;

    if (!config_take_number(value, &seconds) || seconds >= CONFIG_CLOCK_MAXIMUM) {
        return refuse(parser, "clock: expected seconds since 1970, before 2100, found \"%.*s\"",
                      (int)value.length, value.start);
    }
    parser->vm->clock = seconds;
    return STATUS_OK;
}

static enum status take_seed(struct parser *parser, struct config_text value)
{
    if (!config_take_number(value, &parser->vm->seed)) {
        return refuse(parser, "seed: expected a number, found \"%.*s\"", (int)value.length,
                      value.start);
    }
    parser->vm->seeded = true;
    return STATUS_OK;
}

static enum status take_watchdog(struct parser *parser, struct config_text value)
{
    static const char *const words[] = {"report", "stop"};
    struct config_text number = config_take_word(&value);
    enum status status =
        take_range(parser, "watchdog", number, 0, CONFIG_WATCHDOG_MAXIMUM, &parser->vm->watchdog);

    return status == STATUS_OK
               ? take_either(parser, "watchdog", value, words, &parser->vm->watchdog_stops)
               : status;
}

static const struct key keys[] = {
    {"gatehouse", PLACE_FIRST, false, false, take_version},
    {"console", PLACE_HEADER, false, false, take_console},
    {"escape", PLACE_HEADER, false, false, take_escape},
    {"vm", PLACE_VM_START, true, false, take_vm},
    {"kernel", PLACE_VM, false, false, take_kernel},
    {"kernel-type", PLACE_VM, false, false, take_kernel_type},
    {"kernel-file", PLACE_VM, false, false, take_kernel_file},
    {"initrd", PLACE_VM, false, false, take_initrd},
    {"initrd-file", PLACE_VM, false, false, take_initrd_file},
    {"module", PLACE_VM, true, false, take_module},
    {"append", PLACE_VM, false, true, take_append},
    {"memory", PLACE_VM, false, false, take_memory},
    {"vcpus", PLACE_VM, false, false, take_vcpus},
    {"weight", PLACE_VM, false, false, take_weight},
    {"apic", PLACE_VM, false, false, take_apic},
    {"intercept", PLACE_VM, false, false, take_intercept},
    {"reset", PLACE_VM, false, false, take_reset},
    {"clock", PLACE_VM, false, false, take_clock},
    {"stats", PLACE_VM, false, false, take_stats},
    {"exit-log", PLACE_VM, false, false, take_exit_log},
    {"seed", PLACE_VM, false, false, take_seed},
    {"watchdog", PLACE_VM, false, false, take_watchdog},
};
static_assert(ARRAY_COUNT(keys) <= 32, "struct parser's seen has a bit per key");

static enum status check_place(struct parser *parser, const struct key *key)
{
    bool first = parser->config && !parser->header_seen;
    bool in_vm = parser->config ? parser->vm != NULL : parser->vm->name.length > 0;

    if (first != (key->place == PLACE_FIRST)) {
        return first ? refuse(parser, "expected \"gatehouse 1\" as the first line")
                     : refuse(parser, "%s: only as the first line", key->name);
    }
    if (key->place == PLACE_HEADER && (!parser->config || in_vm)) {
        return refuse(parser, "%s: only before the first vm", key->name);
    }
    if (key->place == PLACE_VM && !in_vm) {
        return refuse(parser, "%s: only after a vm line", key->name);
    }
    return STATUS_OK;
}

static enum status apply_key(struct parser *parser, uint32_t index, struct config_text value)
{
    const struct key *key = &keys[index];
    enum status status = check_place(parser, key);

    if (status != STATUS_OK) {
        return status;
    }
    if (!key->repeatable && (parser->seen & (1u << index))) {
        return refuse(parser, "%s: given twice", key->name);
    }
    if (value.length == 0 && !key->may_be_empty) {
        return refuse(parser, "%s: a value is missing", key->name);
    }
    parser->seen |= 1u << index;
    return key->take(parser, value);
}

static enum status parse_line(struct parser *parser, struct config_text line)
{
    struct config_text value = line;
    struct config_text name = config_take_word(&value);

    for (uint32_t i = 0; i < line.length; i++) {
        if ((uint8_t)line.start[i] < 0x20 && line.start[i] != '\t') {
            return refuse(parser, "control character 0x%02x", (unsigned)(uint8_t)line.start[i]);
        }
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (config_text_is(name, keys[i].name)) {
            return apply_key(parser, i, value);
        }
    }
    return refuse(parser, "unknown key \"%.*s\"", (int)(name.length < 40 ? name.length : 40),
                  name.start);
}

// The next line without its LF; the last line may lack one.
static bool next_line(struct parser *parser, struct config_text *line)
{
    size_t rest = parser->length - parser->position;
    const char *start = parser->text + parser->position;
    size_t length = 0;

    if (rest == 0) {
        return false;
    }
    while (length < rest && start[length] != '\n') {
        length++;
    }
    line->start = start;
    line->length = (uint32_t)length;
    parser->position += length < rest ? length + 1 : length;
    parser->line_start = start;
    parser->line++;
    return true;
}

static enum status parse_all(struct parser *parser)
{
    struct config_text line;

    if (parser->length > UINT32_MAX) {
        return refuse(parser, "the text is too long");
    }
    while (next_line(parser, &line)) {
        enum status status = line.length > 0 ? parse_line(parser, line) : STATUS_OK;

        if (status != STATUS_OK) {
            return status;
        }
        if (parser->vm && parser->vm->section.start) {
            parser->vm->section.length =
                (uint32_t)(parser->text + parser->position - parser->vm->section.start);
        }
    }
    return check_section(parser);
}

enum status config_parse(const char *text, size_t length, struct config *config,
                         struct config_error *error)
{
    struct parser parser = {.text = text, .length = length, .config = config, .error = error};
    enum status status;

    memset(config, 0, sizeof(*config));
    memset(error, 0, sizeof(*error));
    status = parse_all(&parser);
    if (status != STATUS_OK) {
        return status;
    }
    if (config->vm_count == 0) {
        return refuse(&parser, "no vm");
    }
    return STATUS_OK;
}

enum status config_parse_section(const char *text, size_t length, struct config_vm *vm,
                                 struct config_error *error)
{
    struct parser parser = {.text = text, .length = length, .vm = vm, .error = error};
    enum status status;

    memset(vm, 0, sizeof(*vm));
    memset(error, 0, sizeof(*error));
    status = parse_all(&parser);
    if (status == STATUS_OK && vm->name.length == 0) {
        return refuse(&parser, "no vm");
    }
    return status;
}
