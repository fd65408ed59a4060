// SPDX-License-Identifier: MIT
// Ports and memory where nothing is: reads give all ones, writes are lost, nothing else happens.
// Status 0 (power-off) when that holds, 3 otherwise.
#include "guests/library/guest.h"

#define ABSENT_PORT   0x5a0
#define ABSENT_MEMORY 0xf0000000u

static bool test_ports(void)
{
    port_out8(ABSENT_PORT, 0x12);
    port_out16(ABSENT_PORT, 0x1234);
    port_out32(ABSENT_PORT, 0x12345678);
    bool passed = print_result(port_in8(ABSENT_PORT) == 0xff, "8-bit read of an absent port");
    passed &= print_result(port_in16(ABSENT_PORT) == 0xffff, "16-bit read of an absent port");
    passed &= print_result(port_in32(ABSENT_PORT) == UINT32_MAX, "32-bit read of an absent port");
    return passed;
}

static bool test_memory(void)
{
    uint32_t value;

    __asm__ volatile("movl $0x12345678, (%0)" : : "r"((uintptr_t)ABSENT_MEMORY) : "memory");
    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"((uintptr_t)ABSENT_MEMORY) : "memory");
    return print_result(value == UINT32_MAX, "32-bit read of absent memory");
}

void guest_main(uint32_t magic, uintptr_t information)
{
    (void)magic;
    (void)information;
    bool passed = test_ports();
    passed &= test_memory();
    if (passed) {
        power_off();
    }
    test_exit(1);
}
