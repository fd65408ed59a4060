// SPDX-License-Identifier: MIT
// Dies of a triple fault: an invalid opcode without any interrupt descriptor table.
#include "guests/library/guest.h"

void guest_main(uint32_t magic, uintptr_t information)
{
    static const struct table_register no_table = {0, 0};

    (void)magic;
    (void)information;
    print_text("about to triple fault\n");
    __asm__ volatile("lidt %0; ud2" : : "m"(no_table));
    print_result(false, "ud2 without an IDT came back");
    test_exit(1);
}
