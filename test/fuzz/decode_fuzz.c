// SPDX-License-Identifier: MIT
// Fuzzes the instruction decoder: on any bytes, in the three modes, it agrees with Zydis
// (test/host/emulate/oracle.h).
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "test/host/emulate/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned modes[] = {16, 32, 64};
    uint8_t bytes[15] = {0};
    enum decode_outcome outcome;

    memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
    for (unsigned i = 0; i < 3; i++) {
        if (!oracle_compare(bytes, modes[i], &outcome))
            abort();
    }
    return 0;
}
