// SPDX-License-Identifier: MIT
// The firmware configuration device that test kernels ask for the machine's size: a selector at
// port 0x510, the selected item's bytes one by one at port 0x511. Only what describes this machine
// is there; every other item is empty, and bytes behind an item's end read zero.
#pragma once

#include <stdint.h>
#include "vmm/devices/device.h"

#define FW_CFG_PORT 0x510u

// Register numbers on the bus.
enum fw_cfg_register { FW_CFG_SELECTOR, FW_CFG_DATA };

struct fw_cfg {
    struct device device;
    uint64_t memory_bytes;
    uint16_t processors;
    uint16_t item;   // selected
    uint32_t offset; // of its next byte
};

void fw_cfg_init(struct fw_cfg *fw_cfg, uint64_t memory_bytes, uint32_t processors);
