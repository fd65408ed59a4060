// SPDX-License-Identifier: MIT
// Text formatting: see format.h for what it understands. An unknown conversion is copied as it
// stands, so a mistake shows. Pure; no lock.
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
    int length; // -2 hh, -1 h, 0 none, 1 l, 2 ll or z
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

// Writes sign or prefix, then digits, within the field.
static void put_field(struct output *output, const struct conversion *conversion,
                      const char *prefix, const char *body, size_t body_length)
{
    size_t prefix_length = strlen(prefix);
    size_t total = prefix_length + body_length;
    size_t padding = conversion->width > total ? conversion->width - total : 0;
    if (!conversion->left && !conversion->zero) {
        put_many(output, ' ', padding);
    }
    for (size_t i = 0; i < prefix_length; i++) {
        put(output, prefix[i]);
    }
    if (!conversion->left && conversion->zero) {
        put_many(output, '0', padding);
    }
    for (size_t i = 0; i < body_length; i++) {
        put(output, body[i]);
    }
    if (conversion->left) {
        put_many(output, ' ', padding);
    }
}

static void put_number(struct output *output, const struct conversion *conversion,
                       const char *prefix, uint64_t value, unsigned base, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[24];
    size_t position = sizeof text;
    do {
        text[--position] = digits[value % base];
        value /= base;
    } while (value != 0);
    put_field(output, conversion, prefix, text + position, sizeof text - position);
}

static uint64_t take_unsigned(int length, struct arguments *arguments)
{
    switch (length) {
    case -2:
        return (unsigned char)va_arg(arguments->list, unsigned);
    case -1:
        return (unsigned short)va_arg(arguments->list, unsigned);
    case 0:
        return va_arg(arguments->list, unsigned);
    default:
        return va_arg(arguments->list, uint64_t);
    }
}

static int64_t take_signed(int length, struct arguments *arguments)
{
    switch (length) {
    case -2:
        return (signed char)va_arg(arguments->list, int);
    case -1:
        return (short)va_arg(arguments->list, int);
    case 0:
        return va_arg(arguments->list, int);
    default:
        return va_arg(arguments->list, int64_t);
    }
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

static const char *parse_length(const char *format, int *length)
{
    *length = 0;
    if (*format == 'z') {
        *length = 2;
        return format + 1;
    }
    while (*format == 'l' && *length < 2) {
        ++*length;
        format++;
    }
    while (*format == 'h' && *length > -2 && *length <= 0) {
        --*length;
        format++;
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
    return parse_length(format, &conversion->length);
}

static void put_string(struct output *output, struct conversion *conversion, const char *text)
{
    if (!text) {
        text = "(null)";
    }
    size_t limit = conversion->has_precision ? conversion->precision : SIZE_MAX;
    conversion->zero = false;
    put_field(output, conversion, "", text, strnlen(text, limit));
}

static void put_signed(struct output *output, const struct conversion *conversion, int64_t value)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put_number(output, conversion, value < 0 ? "-" : "", magnitude, 10, false);
}

// Handles the conversion that starts after '%'; returns where the format goes on.
static const char *convert(struct output *output, const char *format, struct arguments *arguments)
{
    struct conversion conversion;
    const char *end = parse(format, &conversion, arguments);
    char character;
    switch (*end) {
    case 'd':
    case 'i':
        put_signed(output, &conversion, take_signed(conversion.length, arguments));
        break;
    case 'u':
        put_number(output, &conversion, "", take_unsigned(conversion.length, arguments), 10, false);
        break;
    case 'x':
    case 'X':
        put_number(output, &conversion, "", take_unsigned(conversion.length, arguments), 16,
                   *end == 'X');
        break;
    case 'p':
        put_number(output, &conversion, "0x", (uintptr_t)va_arg(arguments->list, void *), 16,
                   false);
        break;
    case 's':
        put_string(output, &conversion, va_arg(arguments->list, const char *));
        break;
    case 'c':
        character = (char)va_arg(arguments->list, int);
        conversion.zero = false;
        put_field(output, &conversion, "", &character, 1);
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
