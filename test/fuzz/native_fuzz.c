// SPDX-License-Identifier: MIT
// Fuzzes the instruction executor against this computer's processor (test/host/emulate/native.h):
// the input chooses the instruction, its operands and the registers.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "test/host/emulate/native.h"
#include "vmm/emulate/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int ready;
    struct random random = {.state = 1, .input = data, .input_bytes = size};
    unsigned operation;

    if (!ready) {
        if (native_set_up() != 0 || native_catch_divide_errors() != 0)
            abort();
        ready = 1;
    }
    while (random.input_bytes >= sizeof(uint64_t)) {
        if (native_try(&random, random_below(&random, OPCODE_MAP_COUNT * 256), &operation) ==
            NATIVE_DIFFERS)
            abort();
    }
    return 0;
}
