// SPDX-License-Identifier: MIT
// The 16550A UART. See uart.h for what is particular about time; register behaviour follows the
// PC16550D data sheet.
#include "vmm/devices/uart.h"

#include "kernel/lib/string.h"

// Keeps rare work out of the register-saving of a hot caller.
#define NOINLINE __attribute__((noinline))

enum uart_register { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RDI   0x01u // received data available
#define IER_THRI  0x02u // transmitter holding register empty
#define IER_RLSI  0x04u // receiver line status
#define IER_MSI   0x08u // modem status
#define IER_WRITE 0x0fu

#define IIR_NONE    0x01u
#define IIR_MSI     0x00u
#define IIR_THRI    0x02u
#define IIR_RDI     0x04u
#define IIR_RLSI    0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFO    0xc0u

#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_KEPT     0xc9u // enable, DMA mode, trigger level

#define LCR_DLAB 0x80u

#define MCR_DTR   0x01u
#define MCR_RTS   0x02u
#define MCR_OUT1  0x04u
#define MCR_OUT2  0x08u
#define MCR_LOOP  0x10u
#define MCR_WRITE 0x1fu

#define LSR_DATA    0x01u
#define LSR_OVERRUN 0x02u
#define LSR_THRE    0x20u
#define LSR_TEMT    0x40u

#define MSR_DCTS 0x01u
#define MSR_DDSR 0x02u
#define MSR_TERI 0x04u
#define MSR_DDCD 0x08u
#define MSR_CTS  0x10u
#define MSR_DSR  0x20u
#define MSR_RI   0x40u
#define MSR_DCD  0x80u

#define BIT_CLOCK_HZ    115200u // line rate at divisor 1
#define BITS_PER_BYTE   10u
#define SLOWEST_DIVISOR 12u // the receiver is never slower than 9600 baud

static bool fifo_enabled(const struct uart *uart)
{
    return uart->fcr & FCR_ENABLE;
}

static unsigned capacity(const struct uart *uart)
{
    return fifo_enabled(uart) ? UART_FIFO : 1;
}

static unsigned trigger_level(const struct uart *uart)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};
    return fifo_enabled(uart) ? levels[uart->fcr >> 6] : 1;
}

// The pending interrupt of highest priority, as IIR shows it. The character time-out counts as
// passed at once: whatever the source has is in the FIFO already.
static uint8_t interrupt_id(const struct uart *uart)
{
    if (uart->ier & IER_RLSI && uart->errors)
        return IIR_RLSI;
    if (uart->ier & IER_RDI && uart->rx_count >= trigger_level(uart))
        return IIR_RDI;
    if (uart->ier & IER_RDI && uart->rx_count > 0)
        return IIR_TIMEOUT;
    if (uart->ier & IER_THRI && uart->thr_empty)
        return IIR_THRI;
    if (uart->ier & IER_MSI && uart->msr_deltas)
        return IIR_MSI;
    return IIR_NONE;
}

// OUT2 connects the interrupt on a PC; in loopback the pin is inactive.
static void update_irq(struct uart *uart)
{
    bool connected = (uart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    interrupt_line_set(&uart->irq, connected && interrupt_id(uart) != IIR_NONE);
}

static void push(struct uart *uart, uint8_t byte)
{
    uart->rx[(uart->rx_head + uart->rx_count) % UART_FIFO] = byte;
    uart->rx_count++;
}

static uint8_t pop(struct uart *uart)
{
    uint8_t byte = uart->rx[uart->rx_head];
    uart->rx_head = (uint8_t)((uart->rx_head + 1) % UART_FIFO);
    uart->rx_count--;
    return byte;
}

// Empties the receiver. Bytes of the source are kept in `held`, before those already there; both
// together never exceed UART_FIFO because the source is asked only when `held` is empty.
static void clear_receiver(struct uart *uart)
{
    if (!uart->from_loop && uart->rx_count > 0) {
        memmove(&uart->held[uart->rx_count], uart->held, uart->held_count);
        uart->held_count = (uint8_t)(uart->held_count + uart->rx_count);
        for (unsigned i = 0; uart->rx_count > 0; i++)
            uart->held[i] = pop(uart);
    }
    uart->rx_count = 0;
    uart->from_loop = false;
}

// The next byte for the guest, or -1: handed-back bytes first, then the source.
static int next_byte(struct uart *uart, bool take)
{
    if (uart->held_count == 0)
        return uart->host.receive(uart->host.context, take);
    uint8_t byte = uart->held[0];
    if (take) {
        uart->held_count--;
        memmove(uart->held, uart->held + 1, uart->held_count);
    }
    return byte;
}

static bool guest_listens(const struct uart *uart)
{
    return uart->ier & IER_RDI || uart->polls >= UART_POLLS;
}

static uint64_t character_time(const struct uart *uart)
{
    uint64_t divisor = uart->divisor;
    if (divisor == 0 || divisor > SLOWEST_DIVISOR)
        divisor = SLOWEST_DIVISOR;
    return divisor * BITS_PER_BYTE * NANOSECONDS / BIT_CLOCK_HZ;
}

// Moves bytes from the source into the receiver: a burst of up to its capacity, then nothing until
// the line would have carried them. Without that pause a guest could be handed more in one
// interrupt than its driver can buffer.
static void feed(struct uart *uart)
{
    if (!guest_listens(uart) || uart->mcr & MCR_LOOP || uart->from_loop)
        return;
    unsigned room = capacity(uart) - uart->rx_count;
    if (uart->rx_count >= trigger_level(uart) || next_byte(uart, false) < 0)
        return;
    uint64_t now = clock_now(uart->clock);
    if (now < uart->receive_at) {
        timer_set(&uart->receive_timer, uart->receive_at);
        return;
    }
    unsigned fed = 0;
    for (int byte; fed < room && (byte = next_byte(uart, true)) >= 0; fed++)
        push(uart, (uint8_t)byte);
    uart->receive_at = now + fed * character_time(uart);
}

static void receive_timer_expired(struct timer *timer, uint64_t now)
{
    (void)now;
    struct uart *uart = CONTAINER_OF(timer, struct uart, receive_timer);
    feed(uart);
    update_irq(uart);
}

void uart_input_ready(struct uart *uart)
{
    feed(uart);
    update_irq(uart);
}

static NOINLINE void loop_back(struct uart *uart, uint8_t byte)
{
    uart->from_loop = true;
    if (uart->rx_count < capacity(uart)) {
        push(uart, byte);
        return;
    }
    uart->errors |= LSR_OVERRUN;
    if (!fifo_enabled(uart))
        uart->rx[uart->rx_head] = byte;
}

static void transmit(struct uart *uart, uint8_t byte)
{
    uart->thr_empty = true;
    if (UNLIKELY(uart->mcr & MCR_LOOP))
        loop_back(uart, byte);
    else
        uart->host.transmit(uart->host.context, byte);
    if (uart->ier)
        update_irq(uart);
}

static void write_ier(struct uart *uart, uint8_t value)
{
    if (value & ~uart->ier & IER_THRI)
        uart->thr_empty = true;
    uart->ier = value & IER_WRITE;
    feed(uart);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
    bool toggled = (value ^ uart->fcr) & FCR_ENABLE;
    if (toggled || (value & FCR_ENABLE && value & FCR_CLEAR_RX))
        clear_receiver(uart);
    uart->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    feed(uart);
}

// MSR 7:4: what a terminal that is always ready shows; in loopback the modem control outputs.
static uint8_t modem_inputs(const struct uart *uart)
{
    if (!(uart->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (uint8_t)((uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
                     (uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *uart, uint8_t value)
{
    uint8_t before = modem_inputs(uart);
    if (value & ~uart->mcr & MCR_LOOP)
        clear_receiver(uart);
    uart->mcr = value & MCR_WRITE;
    uint8_t after = modem_inputs(uart);
    uint8_t changed = (uint8_t)((before ^ after) >> 4);
    if (!(before & ~after & MSR_RI))
        changed &= (uint8_t)~MSR_TERI; // RI counts only when it goes away
    uart->msr_deltas |= changed;
    feed(uart);
}

static uint8_t read_rbr(struct uart *uart)
{
    uint8_t byte = uart->rx[uart->rx_head]; // an empty receiver repeats its last byte
    if (uart->rx_count > 0)
        byte = pop(uart);
    if (uart->rx_count == 0)
        uart->from_loop = false;
    feed(uart);
    return byte;
}

static uint8_t read_iir(struct uart *uart)
{
    uint8_t id = interrupt_id(uart);
    if (id == IIR_THRI)
        uart->thr_empty = false;
    return id | (fifo_enabled(uart) ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
    if (uart->polls < UART_POLLS)
        uart->polls++;
    feed(uart);
    uint8_t value = LSR_THRE | LSR_TEMT | uart->errors | (uart->rx_count ? LSR_DATA : 0);
    uart->errors = 0;
    return value;
}

static uint8_t read_register(struct uart *uart, uint32_t reg)
{
    bool dlab = uart->lcr & LCR_DLAB;
    uint8_t value;
    switch (reg) {
    case RBR_THR:
        return dlab ? (uint8_t)uart->divisor : read_rbr(uart);
    case IER:
        return dlab ? (uint8_t)(uart->divisor >> 8) : uart->ier;
    case IIR_FCR:
        return read_iir(uart);
    case LCR:
        return uart->lcr;
    case MCR:
        return uart->mcr;
    case LSR:
        return read_lsr(uart);
    case MSR:
        value = modem_inputs(uart) | uart->msr_deltas;
        uart->msr_deltas = 0;
        return value;
    default:
        return uart->scratch;
    }
}

static uint64_t uart_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)size;
    struct uart *uart = CONTAINER_OF(device, struct uart, device);
    if (reg != LSR)
        uart->polls = 0;
    uint8_t value = read_register(uart, reg);
    if (reg != LSR || uart->ier)
        update_irq(uart);
    return value;
}

static NOINLINE void write_divisor(struct uart *uart, uint32_t reg, uint8_t value)
{
    if (reg == RBR_THR)
        uart->divisor = (uint16_t)((uart->divisor & 0xff00) | value);
    else
        uart->divisor = (uint16_t)((uart->divisor & 0x00ff) | value << 8);
}

static NOINLINE void write_register(struct uart *uart, uint32_t reg, uint8_t value)
{
    switch (reg) {
    case IER:
        write_ier(uart, value);
        break;
    case IIR_FCR:
        write_fcr(uart, value);
        break;
    case LCR:
        uart->lcr = value;
        break;
    case MCR:
        write_mcr(uart, value);
        break;
    case SCR:
        uart->scratch = value;
        break;
    default: // LSR and MSR are read-only
        break;
    }
    update_irq(uart);
}

static void uart_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    (void)size;
    struct uart *uart = CONTAINER_OF(device, struct uart, device);
    bool dlab = uart->lcr & LCR_DLAB;
    uart->polls = 0;
    if (LIKELY(reg == RBR_THR && !dlab))
        transmit(uart, (uint8_t)value);
    else if (reg <= IER && dlab)
        write_divisor(uart, reg, (uint8_t)value);
    else
        write_register(uart, reg, (uint8_t)value);
}

static void uart_reset(struct device *device)
{
    struct uart *uart = CONTAINER_OF(device, struct uart, device);
    clear_receiver(uart);
    timer_stop(&uart->receive_timer);
    uart->divisor = 12;
    uart->ier = uart->lcr = uart->mcr = uart->scratch = uart->fcr = 0;
    uart->errors = uart->msr_deltas = uart->polls = 0;
    uart->thr_empty = false;
    uart->rx_head = 0;
    interrupt_line_set(&uart->irq, false);
}

static const struct device_ops uart_ops = {"uart", uart_read, uart_write, uart_reset};

enum status uart_init(struct uart *uart, struct clock *clock, const struct uart_host *host)
{
    *uart = (struct uart){.device = {&uart_ops}, .host = *host, .clock = clock};
    uart->divisor = 12;
    return clock_add_timer(clock, &uart->receive_timer, receive_timer_expired);
}
