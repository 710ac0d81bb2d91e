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
 * struct RamDevice - one RAM device region, as the routines need to know it
 *
 * @host: host virtual address of the region's first byte
 * @size: length of the region in bytes; @host is mapped for that many
 * @readonly: the host mapping must not be written
 * @direct: the operator wants pointers into it to be handed out
 */
typedef struct RamDevice {
    uint8_t *host;
    uint64_t size;
    bool readonly;
    bool direct;
} RamDevice;

/**
 * ram_device_gives_pointer() - may a pointer into the region be handed out?
 *
 * The one place that decides it; the memory core asks by
 * memory_region_ram_device_gives_pointer().
 *
 * @rd: the region
 * @is_write: the pointer's holder is going to write through it
 *
 * Returns: true if @rd is direct, and not read-only if it @is_write.
 */
bool ram_device_gives_pointer(const RamDevice *rd, bool is_write);

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

/**
 * ram_move_word() - move 1, 2, 4 or 8 bytes from ordinary RAM to ordinary RAM
 *
 * By one load and one store of that width, at any alignment.  The store is
 * atomic if @to is naturally aligned.  No memory ordering beyond program order.
 * On hosts other than x86-64 and aarch64 all that needs both sides to be aligned,
 * and a host that has an access of that width.
 *
 * @to: destination
 * @from: source
 * @len: bytes to move
 *
 * Returns: true; or false, with nothing done, if @len is none of the four.
 */
bool ram_move_word(void *to, const void *from, uint64_t len);

#endif /* SYSTEM_RAM_DEVICE_H */
