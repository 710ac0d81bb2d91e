/*
 * RAM devices that vanish
 *
 * When a device stops decoding its BAR, an access to it is a SIGBUS.  If the
 * access is one of rust/ram-device, it fails and QEMU goes on (C7 in
 * docs/devel/ram-device.rst).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_FAULT_H
#define SYSTEM_RAM_DEVICE_FAULT_H

#include <stdint.h>

/**
 * ram_device_fixup() - is a fault an access to a RAM device?
 *
 * Async-signal-safe.
 *
 * @pc: address of the instruction that faulted
 *
 * Returns: the address where execution has to go on, after the access and with
 * its failure noted; or 0 if the instruction is no access of rust/ram-device.
 */
uintptr_t ram_device_fixup(uintptr_t pc);

#endif /* SYSTEM_RAM_DEVICE_FAULT_H */
