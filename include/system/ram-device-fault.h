/*
 * RAM devices that vanish
 *
 * When a device stops decoding its BAR, an access to it is a SIGBUS.  If the
 * access is one of rust/ram-device, it fails and QEMU goes on (C7 in
 * docs/devel/ram-device.rst).  For any other access a page of ones stands in
 * for the device until the main loop has mapped the device there again
 * (ram-device-stand-in.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_FAULT_H
#define SYSTEM_RAM_DEVICE_FAULT_H

#include <stdbool.h>
#include <stddef.h>
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

/**
 * struct RamDeviceMapping - a RAM device's file, mapped shared and writable
 *
 * @host: host virtual address, a multiple of the page size
 * @size: length in bytes, a multiple of the page size
 * @fd: the file
 * @offset: what is at @host, in bytes from the file's start
 */
typedef struct RamDeviceMapping {
    void *host;
    size_t size;
    int fd;
    uint64_t offset;
} RamDeviceMapping;

/**
 * ram_device_mapping_add() - have a stand-in made where this mapping faults
 *
 * To be called with the BQL held.
 *
 * @mapping: the mapping; another one at that address must have been removed
 *
 * Returns: true, or false if there are too many.
 */
bool ram_device_mapping_add(const RamDeviceMapping *mapping);

/**
 * ram_device_mapping_remove() - forget a mapping
 *
 * To be called with the BQL held.
 *
 * @host: the mapping's address
 *
 * Returns: true, or false if there is no such mapping.
 */
bool ram_device_mapping_remove(const void *host);

/**
 * ram_device_mapping_fault() - is a fault in one of the mappings?
 *
 * Async-signal-safe.
 *
 * @addr: the address that faulted
 *
 * Returns: true if it is; the main loop will be told by
 * ram_device_mapping_take_faulted().
 */
bool ram_device_mapping_fault(const void *addr);

/**
 * ram_device_mapping_take_faulted() - what has faulted?
 *
 * @page: the host's page size
 * @mapping: where to put a part of a mapping that has had faults
 *
 * Returns: true, or false if there were none since they were last asked for.
 */
bool ram_device_mapping_take_faulted(size_t page, RamDeviceMapping *mapping);

#endif /* SYSTEM_RAM_DEVICE_FAULT_H */
