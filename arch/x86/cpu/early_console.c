// SPDX-License-Identifier: MIT
// Early output; see early_console.h. Firmware may leave a UART at any setting, so each text begins
// by setting 115200 8N1, which is also what the serial driver uses.
#include "arch/x86/cpu/early_console.h"
#include "arch/x86/cpu/registers.h"

#define DIVISOR_LOW      0
#define DIVISOR_HIGH     1
#define LINE_CONTROL     3
#define LINE_STATUS      5
#define LINE_8N1         0x03
#define DIVISOR_ACCESS   0x80
#define TRANSMITTER_FREE 0x20
#define POLLS            12800

static const uint16_t ports[] = {0x3f8, 0x2f8};

static void send(uint16_t port, char character)
{
    for (unsigned i = 0; i < POLLS; i++) {
        if (port_read8(port + LINE_STATUS) & TRANSMITTER_FREE) {
            break;
        }
    }
    port_write8(port, (uint8_t)character);
}

static void set_line(uint16_t port)
{
    port_write8(port + LINE_CONTROL, LINE_8N1 | DIVISOR_ACCESS);
    port_write8(port + DIVISOR_LOW, 1);
    port_write8(port + DIVISOR_HIGH, 0);
    port_write8(port + LINE_CONTROL, LINE_8N1);
}

void early_print(const char *text)
{
    for (unsigned i = 0; i < ARRAY_COUNT(ports); i++) {
        set_line(ports[i]);
        for (const char *c = text; *c != '\0'; c++) {
            if (*c == '\n') {
                send(ports[i], '\r');
            }
            send(ports[i], *c);
        }
    }
}

NORETURN void early_fail(const char *reason)
{
    early_print("Gatehouse cannot start: ");
    early_print(reason);
    early_print("\n");
    halt_forever();
}
