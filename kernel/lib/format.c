// SPDX-License-Identifier: MIT
// Text formatting in ring 0: see format.h for what it understands. Anything else is copied as it
// stands, so a mistake shows. Pure; no lock.
#include "kernel/lib/format.h"
#include <stdbool.h>
#include <stdint.h>

struct output {
    char *buffer;
    size_t size;
    size_t length; // of the whole text, whether it fitted or not
};

// Wrapped, so that its address can be passed on whatever kind of type va_list is.
struct arguments {
    va_list list;
};

/*@
  predicate ends_at{L}(char *text, integer end) =
    text[end] == 0 && \forall integer i; 0 <= i < end ==> text[i] != 0;

  // Where a text goes: what of it fits is in the buffer, whose last byte is kept for the NUL.
  predicate output_sound{L}(struct output *output) =
    \valid(output) && \valid(output->buffer + (0 .. output->size - 1)) &&
    \separated(output, output->buffer + (0 .. output->size - 1));
*/

/*@
  requires output_sound(output) && output->length < SIZE_MAX;
  terminates \true;
  assigns output->length, output->buffer[0 .. output->size - 1];
  ensures output->length == \old(output->length) + 1;
  ensures output->length < output->size ==> output->buffer[output->length - 1] == character;
  ensures \forall integer i; 0 <= i < output->size &&
    (i != \old(output->length) || i == output->size - 1) ==>
    output->buffer[i] == \old(output->buffer[i]);
*/
static void put(struct output *output, char character)
{
    if (output->size != 0 && output->length < output->size - 1) {
        output->buffer[output->length] = character;
    }
    output->length++;
}

/*@
  requires output_sound(output);
  requires \exists integer end; 0 <= end <= SIZE_MAX - output->length && ends_at(text, end) &&
    \valid_read(text + (0 .. end)) &&
    \separated(text + (0 .. end), output, output->buffer + (0 .. output->size - 1));
  terminates \true;
  assigns output->length, output->buffer[0 .. output->size - 1];
  ensures output->length >= \old(output->length);
  ensures \old(ends_at(text, \at(output->length, Post) - output->length));
  ensures \forall integer i; \old(output->length) <= i < output->length &&
    i < output->size - 1 ==> output->buffer[i] == \old(text[i - \at(output->length, Pre)]);
  ensures \forall integer i; 0 <= i < output->size &&
    (i < \old(output->length) || i >= output->length || i == output->size - 1) ==>
    output->buffer[i] == \old(output->buffer[i]);
*/
static void put_text(struct output *output, const char *text)
{
    //@ ghost size_t done = 0;
    /*@
      loop invariant c == text + done && output->length == \at(output->length, Pre) + done;
      loop invariant \forall integer end; 0 <= end && ends_at{Pre}(text, end) ==> done <= end;
      loop invariant \forall integer i; 0 <= i < done ==> \at(text[i], Pre) != 0;
      loop invariant \forall integer end; 0 <= end && ends_at{Pre}(text, end) &&
        \separated(text + (0 .. end), output->buffer + (0 .. output->size - 1)) ==>
        \forall integer i; 0 <= i <= end ==> text[i] == \at(text[i], Pre);
      loop invariant \forall integer i; \at(output->length, Pre) <= i < output->length &&
        i < output->size - 1 ==>
        output->buffer[i] == \at(text[i - \at(output->length, Pre)], Pre);
      loop invariant \forall integer i; 0 <= i < output->size &&
        (i < \at(output->length, Pre) || i >= output->length || i == output->size - 1) ==>
        output->buffer[i] == \at(output->buffer[i], Pre);
      loop assigns c, done, output->length, output->buffer[0 .. output->size - 1];
      loop variant SIZE_MAX - done;
    */
    for (const char *c = text; *c != '\0'; c++) {
        put(output, *c);
        //@ ghost done++;
    }
}

// With zeroes in front, up to `width` digits.
static void put_number(struct output *output, uint64_t value, unsigned base, unsigned width)
{
    char text[24];
    size_t position = sizeof text;

    text[--position] = '\0';
    do {
        text[--position] = "0123456789abcdef"[value % base];
        value /= base;
    } while (position != 0 && (value != 0 || sizeof text - 1 - position < width));
    put_text(output, text + position);
}

// Handles the conversion that starts after '%'; returns where the format goes on.
static const char *convert(struct output *output, const char *format, struct arguments *arguments)
{
    const char *end = format;
    unsigned width = 0;
    bool wide = false;

    for (; *end >= '0' && *end <= '9'; end++) {
        width = width * 10 + (unsigned)(*end - '0');
    }
    for (; *end == 'l'; end++) {
        wide = true;
    }
    if (*end == 's') {
        const char *text = va_arg(arguments->list, const char *);
        put_text(output, text ? text : "(null)");
    } else if (*end == 'u' || *end == 'x') {
        put_number(output,
                   wide ? va_arg(arguments->list, uint64_t) : va_arg(arguments->list, unsigned),
                   *end == 'u' ? 10 : 16, width);
    } else {
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
