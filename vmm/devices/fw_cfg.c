// SPDX-License-Identifier: MIT
// Firmware configuration: what the items hold. See fw_cfg.h.
#include "vmm/devices/fw_cfg.h"

#include "kernel/lib/compiler.h"

enum item {
    ITEM_SIGNATURE = 0x00,
    ITEM_INTERFACES = 0x01,
    ITEM_MEMORY_BYTES = 0x03,
    ITEM_NO_GRAPHIC = 0x04,
    ITEM_PROCESSORS = 0x05,
    ITEM_PROCESSORS_MAXIMUM = 0x0f,
};

#define SIGNATURE         0x554d4551u // the letters by which guests know the device
#define SELECTOR_AND_DATA 1u          // no DMA

// The bytes of an item as one little-endian number; items that are not there are all zero.
static uint64_t item_value(const struct fw_cfg *fw_cfg)
{
    switch (fw_cfg->item) {
    case ITEM_SIGNATURE:
        return SIGNATURE;
    case ITEM_INTERFACES:
        return SELECTOR_AND_DATA;
    case ITEM_MEMORY_BYTES:
        return fw_cfg->memory_bytes;
    case ITEM_NO_GRAPHIC:
        return 1;
    case ITEM_PROCESSORS:
    case ITEM_PROCESSORS_MAXIMUM:
        return fw_cfg->processors;
    default:
        return 0;
    }
}

static uint64_t fw_cfg_read(struct device *device, uint32_t reg, unsigned size)
{
    struct fw_cfg *fw_cfg = CONTAINER_OF(device, struct fw_cfg, device);
    if (reg != FW_CFG_DATA)
        return UINT64_MAX >> (64 - 8 * size); // the selector is write-only
    if (fw_cfg->offset >= sizeof(uint64_t))
        return 0;
    return item_value(fw_cfg) >> (8 * fw_cfg->offset++) & 0xff;
}

static void fw_cfg_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct fw_cfg *fw_cfg = CONTAINER_OF(device, struct fw_cfg, device);
    if (reg != FW_CFG_SELECTOR || size != 2)
        return; // the items are read-only
    fw_cfg->item = (uint16_t)value;
    fw_cfg->offset = 0;
}

static void fw_cfg_reset(struct device *device)
{
    struct fw_cfg *fw_cfg = CONTAINER_OF(device, struct fw_cfg, device);
    fw_cfg->item = 0;
    fw_cfg->offset = 0;
}

static const struct device_ops fw_cfg_ops = {"fw_cfg", fw_cfg_read, fw_cfg_write, fw_cfg_reset};

void fw_cfg_init(struct fw_cfg *fw_cfg, uint64_t memory_bytes, uint32_t processors)
{
    *fw_cfg = (struct fw_cfg){{&fw_cfg_ops}, memory_bytes, (uint16_t)processors, 0, 0};
}
