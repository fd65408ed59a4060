// SPDX-License-Identifier: MIT
// Configuration space of an empty PCI bus. See pci_host.h.
#include "vmm/devices/pci_host.h"

#include "kernel/lib/compiler.h"

// Register numbers on the bus are ports from 0xcf8 on.
#define CONFIG_ADDRESS 0u // only as a dword
#define RESET_CONTROL  1u // only as a byte
#define CONFIG_DATA    4u

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_FUNCTION 0x00ffff00u // bus, device and function
#define ADDRESS_REGISTER 0x000000fcu
#define ADDRESS_KNOWN    (ADDRESS_ENABLE | ADDRESS_FUNCTION | ADDRESS_REGISTER)

// The host bridge is the one that virtual machines usually have: everybody knows it by these
// numbers, and expects nothing of it.
#define BRIDGE_IDENTITY          0x12378086u // device and vendor
#define BRIDGE_CLASS             0x06000002u // host bridge; revision
#define BRIDGE_REGISTER_IDENTITY 0x00u
#define BRIDGE_REGISTER_CLASS    0x08u

// The dword that CONFIG_ADDRESS names. What is not there reads as ones; the rest of the bridge is
// zero, and cannot be changed.
static uint32_t config_dword(uint32_t address)
{
    if (!(address & ADDRESS_ENABLE) || (address & ADDRESS_FUNCTION) != 0)
        return UINT32_MAX;
    switch (address & ADDRESS_REGISTER) {
    case BRIDGE_REGISTER_IDENTITY:
        return BRIDGE_IDENTITY;
    case BRIDGE_REGISTER_CLASS:
        return BRIDGE_CLASS;
    default:
        return 0;
    }
}

static uint64_t pci_host_read(struct device *device, uint32_t reg, unsigned size)
{
    const struct pci_host *pci = CONTAINER_OF(device, struct pci_host, device);
    if (reg >= CONFIG_DATA)
        return config_dword(pci->address) >> (8 * (reg - CONFIG_DATA));
    if (reg == CONFIG_ADDRESS && size == 4)
        return pci->address;
    if (reg == RESET_CONTROL && size == 1)
        return pci->reset_control->ops->read(pci->reset_control, pci->reset_register, 1);
    return UINT32_MAX;
}

static void pci_host_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct pci_host *pci = CONTAINER_OF(device, struct pci_host, device);
    if (reg == CONFIG_ADDRESS && size == 4)
        pci->address = (uint32_t)value & ADDRESS_KNOWN;
    else if (reg == RESET_CONTROL && size == 1)
        pci->reset_control->ops->write(pci->reset_control, pci->reset_register, 1, value);
}

static void pci_host_reset(struct device *device)
{
    CONTAINER_OF(device, struct pci_host, device)->address = 0;
}

static const struct device_ops pci_host_ops = {"pci_host", pci_host_read, pci_host_write,
                                               pci_host_reset};

void pci_host_init(struct pci_host *pci, struct device *reset_control, uint32_t reset_register)
{
    *pci = (struct pci_host){{&pci_host_ops}, reset_control, reset_register, 0};
}
