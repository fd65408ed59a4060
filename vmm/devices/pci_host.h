// SPDX-License-Identifier: MIT
// PCI configuration space by mechanism #1 (ports 0xcf8 to 0xcff): a bus with nothing on it but the
// host bridge, so that systems find out that there is nothing else. The one byte among these ports
// that has another meaning, the reset control register at 0xcf9, goes on to its own device.
#pragma once

#include <stdint.h>
#include "vmm/devices/device.h"

#define PCI_HOST_PORT  0xcf8u
#define PCI_HOST_PORTS 8u

struct pci_host {
    struct device device;
    struct device *reset_control; // whose register `reset_register` is at 0xcf9
    uint32_t reset_register;
    uint32_t address; // CONFIG_ADDRESS
};

void pci_host_init(struct pci_host *pci, struct device *reset_control, uint32_t reset_register);
