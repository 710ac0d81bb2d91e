/*
 * Stand-ins for RAM devices that have vanished
 *
 * Device models hold pointers into memory-like RAM devices and use them as
 * they like.  If the device vanishes, the access is a SIGBUS that
 * rust/ram-device doesn't know.  A page of ones is put there then, so that
 * reads give ones and writes are lost, as with a real device that has gone;
 * and the main loop maps the device again in its place as soon as it can.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_STAND_IN_H
#define SYSTEM_RAM_DEVICE_STAND_IN_H

#include "system/ram-device.h"

/**
 * ram_device_watch() - have stand-ins made for this RAM device
 *
 * To be called with the BQL held.
 *
 * @rd: the region: a file that is mapped shared, whole pages
 * @fd: the file; it must stay open until ram_device_unwatch()
 * @offset: what is at the region's start, in bytes from the file's start
 */
void ram_device_watch(const RamDevice *rd, int fd, uint64_t offset);

/**
 * ram_device_unwatch() - have no stand-ins made any longer
 *
 * To be called with the BQL held, before the region is unmapped.  Does nothing
 * if the region isn't watched.
 *
 * @host: host virtual address of the region's first byte, or NULL
 */
void ram_device_unwatch(const void *host);

/**
 * ram_device_put_back() - map the devices again where stand-ins are
 *
 * To be called with the BQL held.  The main loop does so by itself; whoever has
 * brought a device back may not want to wait for that.  If a device isn't back
 * yet, the next access makes a stand-in again.
 */
void ram_device_put_back(void);

/**
 * ram_device_stand_in() - make a stand-in for what has faulted
 *
 * Async-signal-safe.
 *
 * @addr: the address whose access was a SIGBUS
 *
 * Returns: true if the access can be repeated; false if the address isn't in a
 * region that is watched, or no page can be had.
 */
bool ram_device_stand_in(void *addr);

#endif /* SYSTEM_RAM_DEVICE_STAND_IN_H */
