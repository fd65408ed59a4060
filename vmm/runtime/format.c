// SPDX-License-Identifier: MIT
// Text formatting in programs: see format.h for what it understands. An unknown conversion is
// copied as it stands, so a mistake shows. Pure; no lock.
#include "kernel/lib/format.h"
#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/string.h"

struct output {
    char *buffer;
    size_t size;
    size_t length; // of the whole text, whether it fitted or not
};

// Wrapped, so that its address can be passed on whatever kind of type va_list is.
struct arguments {
    va_list list;
};

struct conversion {
    bool zero;
    bool left;
    bool has_precision;
    size_t width;
    size_t precision;
    bool wide; // l or ll
};

static void put(struct output *output, char character)
{
    if (output->size != 0 && output->length < output->size - 1) {
        output->buffer[output->length] = character;
    }
    output->length++;
}

static void put_many(struct output *output, char character, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(output, character);
    }
}

// Writes the sign, if any, and the text within the field.
static void put_field(struct output *output, const struct conversion *conversion, bool negative,
                      const char *text, size_t length)
{
    size_t total = length + negative;
    size_t padding = conversion->width > total ? conversion->width - total : 0;
    if (!conversion->left && !conversion->zero) {
        put_many(output, ' ', padding);
    }
    put_many(output, '-', negative);
    if (!conversion->left && conversion->zero) {
        put_many(output, '0', padding);
    }
    for (size_t i = 0; i < length; i++) {
        put(output, text[i]);
    }
    if (conversion->left) {
        put_many(output, ' ', padding);
    }
}

static void put_number(struct output *output, const struct conversion *conversion, bool negative,
                       uint64_t value, unsigned base)
{
    char text[24];
    size_t position = sizeof text;
    do {
        text[--position] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_field(output, conversion, negative, text + position, sizeof text - position);
}

static void put_unsigned(struct output *output, const struct conversion *conversion, unsigned base,
                         struct arguments *arguments)
{
    uint64_t value =
        conversion->wide ? va_arg(arguments->list, uint64_t) : va_arg(arguments->list, unsigned);
    put_number(output, conversion, false, value, base);
}

static void put_signed(struct output *output, const struct conversion *conversion,
                       struct arguments *arguments)
{
    int64_t value =
        conversion->wide ? va_arg(arguments->list, int64_t) : va_arg(arguments->list, int);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put_number(output, conversion, value < 0, magnitude, 10);
}

static const char *parse_count(const char *format, size_t *count, struct arguments *arguments)
{
    if (*format == '*') {
        int given = va_arg(arguments->list, int);
        *count = given > 0 ? (size_t)given : 0;
        return format + 1;
    }
    *count = 0;
    while (*format >= '0' && *format <= '9') {
        *count = *count * 10 + (size_t)(*format++ - '0');
    }
    return format;
}

static const char *parse(const char *format, struct conversion *conversion,
                         struct arguments *arguments)
{
    *conversion = (struct conversion){0};
    for (; *format == '0' || *format == '-'; format++) {
        conversion->zero |= *format == '0';
        conversion->left |= *format == '-';
    }
    format = parse_count(format, &conversion->width, arguments);
    if (*format == '.') {
        conversion->has_precision = true;
        format = parse_count(format + 1, &conversion->precision, arguments);
    }
    for (; *format == 'l'; format++) {
        conversion->wide = true;
    }
    return format;
}

static void put_string(struct output *output, struct conversion *conversion, const char *text)
{
    if (!text) {
        text = "(null)";
    }
    size_t limit = conversion->has_precision ? conversion->precision : SIZE_MAX;
    conversion->zero = false;
    put_field(output, conversion, false, text, strnlen(text, limit));
}

// Handles the conversion that starts after '%'; returns where the format goes on.
static const char *convert(struct output *output, const char *format, struct arguments *arguments)
{
    struct conversion conversion;
    const char *end = parse(format, &conversion, arguments);
    char character;
    switch (*end) {
    case 'd':
        put_signed(output, &conversion, arguments);
        break;
    case 'u':
        put_unsigned(output, &conversion, 10, arguments);
        break;
    case 'x':
        put_unsigned(output, &conversion, 16, arguments);
        break;
    case 's':
        put_string(output, &conversion, va_arg(arguments->list, const char *));
        break;
    case 'c':
        character = (char)va_arg(arguments->list, int);
        conversion.zero = false;
        put_field(output, &conversion, false, &character, 1);
        break;
    case '%':
        put(output, '%');
        break;
    default: // not ours: show the percent sign and go on after it
        put(output, '%');
        return format;
    }
    return end + 1;
}

size_t format_text_va(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output output = {buffer, size, 0};
    struct arguments copy;
    va_copy(copy.list, arguments);
    while (*format != '\0') {
        if (*format == '%') {
            format = convert(&output, format + 1, &copy);
        } else {
            put(&output, *format++);
        }
    }
    va_end(copy.list);
    if (size != 0) {
        buffer[output.length < size ? output.length : size - 1] = '\0';
    }
    return output.length;
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_va(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
