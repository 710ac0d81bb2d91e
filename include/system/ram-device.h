/*
 * RAM device regions: what QEMU may do with them, and the routines that do it
 *
 * A RAM device region (memory_region_init_ram_device_ptr()) is a piece of a
 * real device that the host maps into QEMU's address space, usually a PCI BAR
 * mapped by VFIO.  The functions below are written in Rust (rust/ram-device)
 * and keep the contract of docs/devel/ram-device.rst: on the device side every
 * transfer is made of plain, naturally aligned loads or stores of 8, 4, 2 or 1
 * bytes in ascending order, each byte exactly once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_H
#define SYSTEM_RAM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * enum RamDeviceKind - what kind of storage a RAM device region is
 *
 * @RAM_DEVICE_REGISTER_LIKE: reads may have side effects, or the host mapping
 *                            refuses unaligned accesses.  Never handed out as
 *                            a pointer.
 * @RAM_DEVICE_MEMORY_LIKE: a prefetchable BAR: no read side effects, writes
 *                          may be merged (PCI Local Bus 3.0, 6.2.5.1); and the
 *                          host mapping tolerates unaligned accesses.  Device
 *                          models may hold a pointer into it.
 */
typedef enum RamDeviceKind {
    RAM_DEVICE_REGISTER_LIKE = 0,
    RAM_DEVICE_MEMORY_LIKE = 1,
} RamDeviceKind;

/**
 * enum RamDeviceDirect - the operator's say about a device's regions
 *
 * The values are those of OnOffAuto, so that a property of that type can be
 * passed on as it is.
 *
 * @RAM_DEVICE_DIRECT_AUTO: memory-like if the BAR is prefetchable and the host
 *                          mapping tolerates unaligned accesses
 * @RAM_DEVICE_DIRECT_ON: memory-like in any case
 * @RAM_DEVICE_DIRECT_OFF: register-like in any case
 */
typedef enum RamDeviceDirect {
    RAM_DEVICE_DIRECT_AUTO = 0,
    RAM_DEVICE_DIRECT_ON = 1,
    RAM_DEVICE_DIRECT_OFF = 2,
} RamDeviceDirect;

/**
 * struct RamDevice - one RAM device region, as the routines need to know it
 *
 * @host: host virtual address of the region's first byte
 * @size: length of the region in bytes; @host is mapped for that many
 * @kind: what kind of storage the region is
 * @readonly: the host mapping must not be written
 */
typedef struct RamDevice {
    uint8_t *host;
    uint64_t size;
    RamDeviceKind kind;
    bool readonly;
} RamDevice;

/**
 * ram_device_kind() - classify a region
 *
 * On hosts where some mappings refuse unaligned accesses (arm64) a prefetchable
 * region is asked by two loads, of 1 and of 4 bytes, from its first 8 bytes.
 * If it refuses, or isn't there at the time, it is register-like.
 *
 * To be called when QEMU's SIGBUS handler is in place (from a device's realize,
 * for example).
 *
 * @rd: the region; its kind doesn't matter
 * @prefetchable: the BAR's prefetchable bit
 * @direct: the operator's say
 *
 * Returns: the kind that the region is to be given.
 */
RamDeviceKind ram_device_kind(const RamDevice *rd, bool prefetchable,
                              RamDeviceDirect direct);

/**
 * ram_device_may_map() - may a pointer into the region be handed out?
 *
 * This is the question of address_space_map().
 *
 * @rd: the region
 * @is_write: the pointer's holder is going to write through it
 *
 * Returns: true for a memory-like region that may be accessed that way.
 */
bool ram_device_may_map(const RamDevice *rd, bool is_write);

/**
 * ram_device_load() - one load of 1, 2, 4 or 8 bytes
 *
 * A single load instruction of that width if the device address is naturally
 * aligned, and on x86-64 also if it isn't; elsewhere a misaligned load is cut
 * into aligned pieces.  No memory ordering beyond program order.
 *
 * @rd: the region
 * @offset: bytes from the region's start
 * @size: 1, 2, 4 or 8
 * @value: where to put the value, zero-extended, in host byte order
 *
 * Returns: true; or false, with @value all ones, if the access isn't wholly
 * inside the region or @size is none of the four, and the device has then not
 * been touched; or if the device has vanished.
 */
bool ram_device_load(const RamDevice *rd, uint64_t offset, unsigned size,
                     uint64_t *value);

/**
 * ram_device_store() - one store of 1, 2, 4 or 8 bytes
 *
 * The counterpart of ram_device_load().
 *
 * @rd: the region
 * @offset: bytes from the region's start
 * @size: 1, 2, 4 or 8
 * @value: the value in host byte order; only its low @size bytes are stored
 *
 * Returns: true; or false, with the device untouched, if the access isn't
 * wholly inside the region, @size is none of the four, or the region is
 * read-only; or false if the device has vanished.
 */
bool ram_device_store(const RamDevice *rd, uint64_t offset, unsigned size,
                      uint64_t value);

/**
 * ram_device_read() - copy from the device to RAM
 *
 * May be called from any thread, without the BQL.
 *
 * @rd: the region
 * @offset: bytes from the region's start
 * @ram: destination, of any alignment.  It may lie in the same region and
 *       overlap the source: the result is then that of memmove().
 * @len: bytes to copy
 *
 * Returns: true; or false, with @ram filled with 0xff and the device
 * untouched, if the transfer isn't wholly inside the region; or false, with
 * @ram filled with 0xff from there on, if the device vanishes meanwhile.
 */
bool ram_device_read(const RamDevice *rd, uint64_t offset, void *ram,
                     uint64_t len);

/**
 * ram_device_write() - copy from RAM to the device
 *
 * May be called from any thread, without the BQL.
 *
 * @rd: the region
 * @offset: bytes from the region's start
 * @ram: source, of any alignment.  It may lie in the same region and overlap
 *       the destination: the result is then that of memmove().
 * @len: bytes to copy
 *
 * Returns: true; or false, with the device untouched, if the transfer isn't
 * wholly inside the region or the region is read-only; or false, with nothing
 * written from there on, if the device vanishes meanwhile.
 */
bool ram_device_write(const RamDevice *rd, uint64_t offset, const void *ram,
                      uint64_t len);

#endif /* SYSTEM_RAM_DEVICE_H */
