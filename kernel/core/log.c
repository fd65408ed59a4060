// SPDX-License-Identifier: MIT
// The kernel log (log.h): one ring of text, one lock.
#include "kernel/core/log.h"
#include "drivers/serial.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/lock/lock.h"
#include "kernel/thread/thread.h"

#define LOG_BYTES    65536u // a power of two
#define LINE_MAXIMUM 256u

static struct lock log_lock = LOCK_INITIAL(LOCK_LOG);
// Guarded by log_lock. Positions count bytes from the start of time.
static char ring[LOG_BYTES];
static uint64_t written;
static uint64_t taken; // by the port or by log_read; ring holds [taken, written)
static uint64_t lost;
static bool owned_by_console;
static bool port_known;
static unsigned log_port;
static struct event_binding reader;

static const char *const prefixes[] = {
    [LOG_ERROR] = "error: ",
    [LOG_WARNING] = "warning: ",
    [LOG_INFO] = "",
    [LOG_MACHINE] = "",
};

/*@
  // What the reader was told of as lost, and what is not taken yet, is no more than there was.
  predicate log_sound = lost <= taken <= written <= taken + LOG_BYTES;
  logic integer log_slot(integer position) = position % LOG_BYTES;
*/

// What is too old for the ring goes, and is counted.
/*@
  requires \valid_read(text + (0 .. size - 1));
  requires \separated(text + (0 .. size - 1), ring + (0 .. LOG_BYTES - 1));
  requires log_sound && size <= LOG_BYTES && written + size <= UINT64_MAX;
  terminates \true;
  assigns ring[0 .. LOG_BYTES - 1], written, taken, lost;
  ensures log_sound && written == \old(written) + size;
  ensures taken == \max(\old(taken), written - LOG_BYTES);
  ensures lost - \old(lost) == taken - \old(taken);
  ensures added: \forall integer i; 0 <= i < size ==>
    ring[log_slot(\old(written) + i)] == text[i];
  ensures kept: \forall integer i; taken <= i < \old(written) ==>
    ring[log_slot(i)] == \old(ring[log_slot(i)]);
*/
static void append(const char *text, size_t size)
{
    /*@
      loop invariant 0 <= i <= size && written == \at(written, Pre) + i;
      loop invariant \forall integer j; 0 <= j < i ==>
        ring[log_slot(\at(written, Pre) + j)] == text[j];
      loop invariant \forall integer j; 0 <= j && written - LOG_BYTES <= j < \at(written, Pre) ==>
        ring[log_slot(j)] == \at(ring[log_slot(j)], Pre);
      loop assigns i, written, ring[0 .. LOG_BYTES - 1];
      loop variant size - i;
    */
    for (size_t i = 0; i < size; i++) {
        ring[written++ % LOG_BYTES] = text[i];
    }
    if (written - taken > LOG_BYTES) {
        lost += written - taken - LOG_BYTES;
        taken = written - LOG_BYTES;
    }
}

// Writes what nobody took to the port.
static void write_out(void)
{
    while (taken < written) {
        (void)serial_putc(log_port, (uint8_t)ring[taken % LOG_BYTES]);
        taken++;
    }
}

void log_set_port(unsigned port)
{
    lock_acquire(&log_lock);
    log_port = port;
    port_known = true;
    write_out();
    lock_release(&log_lock);
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_MAXIMUM];
    size_t prefix = format_text(line, sizeof(line), "%s", prefixes[level]);
    va_list arguments;

    va_start(arguments, format);
    size_t length =
        prefix + format_text_va(line + prefix, sizeof(line) - prefix, format, arguments);
    va_end(arguments);
    if (length > sizeof(line) - 1) {
        length = sizeof(line) - 1;
    }
    line[length] = '\n'; // in the place of the NUL
    lock_acquire(&log_lock);
    append(line, length + 1);
    if (port_known && !owned_by_console) {
        write_out();
    }
    struct event_binding bound = reader;
    lock_release(&log_lock);
    event_send(&bound); // the wake queue's lock comes before the log's
}

// Adds the oldest text to the `count` bytes that are in the buffer of `size`; returns how many are.
/*@
  requires \valid(buffer + (0 .. size - 1)) && log_sound && count <= size;
  requires \separated(buffer + (0 .. size - 1), ring + (0 .. LOG_BYTES - 1));
  terminates \true;
  assigns buffer[count .. size - 1], taken;
  ensures log_sound && \result == count + \min(size - count, written - \old(taken));
  ensures taken == \old(taken) + (\result - count);
  ensures in_order: \forall integer i; count <= i < \result ==>
    buffer[i] == ring[log_slot(\old(taken) + i - count)];
  ensures no_more: \forall integer i; \result <= i < size ==> buffer[i] == \old(buffer[i]);
*/
static size_t take(char *buffer, size_t count, size_t size)
{
    /*@
      loop invariant \at(count, Pre) <= count <= size && taken <= written;
      loop invariant taken == \at(taken, Pre) + count - \at(count, Pre);
      loop invariant \forall integer i; \at(count, Pre) <= i < count ==>
        buffer[i] == ring[log_slot(\at(taken, Pre) + i - \at(count, Pre))];
      loop invariant \forall integer i; count <= i < size ==> buffer[i] == \at(buffer[i], Pre);
      loop assigns count, taken, buffer[\at(count, Pre) .. size - 1];
      loop variant size - count;
    */
    while (count < size && taken < written) {
        buffer[count++] = ring[taken++ % LOG_BYTES];
    }
    return count;
}

/*@
  requires \valid(buffer + (0 .. size - 1)) && log_sound && lock_free(&log_lock);
  requires \separated(buffer + (0 .. size - 1), ring + (0 .. LOG_BYTES - 1), &log_lock, &taken,
                      &lost, &owned_by_console);
  terminates \true;
  assigns buffer[0 .. size - 1], taken, lost, owned_by_console, log_lock.last, log_lock.turn;
  ensures owned_by_console == 1 && log_sound && lock_free(&log_lock) && \result <= size;
  // Behind a notice of what was lost, of which none is left to be told then, stands the text.
  ensures lost == \old(lost) || lost == 0;
  ensures lost == \old(lost) ==> \result == \min(size, written - \old(taken));
  ensures lost == \old(lost) ==> taken == \old(taken) + \result;
  ensures lost != \old(lost) ==> taken - \old(taken) < \result;
  ensures taken - \old(taken) < \result ==> \old(lost) > 0 && lost == 0 &&
    (\result == size || taken == written);
  ensures in_order: \forall integer i; \result - (taken - \old(taken)) <= i < \result ==>
    buffer[i] == ring[log_slot(\old(taken) + i - (\result - (taken - \old(taken))))];
*/
size_t log_read(char *buffer, size_t size)
{
    size_t count = 0;

    lock_acquire(&log_lock);
    owned_by_console = true;
    if (lost > 0) {
        count = format_text(buffer, size, "warning: %lu bytes of the log were lost\n", lost);
        count = count < size ? count : 0; // else at the next call
        lost = count > 0 ? 0 : lost;
    }
    count = take(buffer, count, size);
    lock_release(&log_lock);
    return count;
}

enum status log_bind(uint32_t bit)
{
    lock_acquire(&log_lock);
    bool other = reader.thread && reader.thread != current_thread();
    if (!other) {
        event_bind(&reader, bit);
    }
    lock_release(&log_lock);
    if (other) {
        return STATUS_BUSY;
    }
    event_send(&reader);
    return STATUS_OK;
}

// The two below run at the end of the machine, perhaps in the middle of a holder's work: no lock.
void log_raw(const char *text)
{
    for (; port_known && *text; text++) {
        (void)serial_putc(log_port, (uint8_t)*text);
    }
}

void log_flush_unread(void)
{
    if (port_known) {
        serial_flush(log_port);
        write_out();
    }
}
