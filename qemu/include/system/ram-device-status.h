/*
 * What has happened to a RAM device region
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_STATUS_H
#define SYSTEM_RAM_DEVICE_STATUS_H

#include "exec/hwaddr.h"
#include "qapi/qapi-builtin-types.h"

typedef struct RamDeviceStatus RamDeviceStatus;

/**
 * enum RamDeviceEvent - what is counted of each region
 *
 * @RAM_DEVICE_BYTES_READ: bytes copied from the device into buffers
 * @RAM_DEVICE_BYTES_WRITTEN: bytes copied from buffers into the device
 * @RAM_DEVICE_WAITS: mappings refused because their budget was in use
 * @RAM_DEVICE_REFUSALS: mappings refused because they could never fit
 * @RAM_DEVICE_FAULTS: accesses and copies that found the device gone
 * @RAM_DEVICE_MEMORY_ERRORS: those that met a memory error of the host's
 * @RAM_DEVICE_READ_ONLY_WRITES: writes dropped as the region is read-only
 * @RAM_DEVICE_EVENTS: the number of these
 */
typedef enum RamDeviceEvent {
    RAM_DEVICE_BYTES_READ,
    RAM_DEVICE_BYTES_WRITTEN,
    RAM_DEVICE_WAITS,
    RAM_DEVICE_REFUSALS,
    RAM_DEVICE_FAULTS,
    RAM_DEVICE_MEMORY_ERRORS,
    RAM_DEVICE_READ_ONLY_WRITES,
    RAM_DEVICE_EVENTS
} RamDeviceEvent;

/**
 * ram_device_status_new() - a region begins, of which nothing is counted yet
 *
 * The memory region frees it by g_free().
 */
RamDeviceStatus *ram_device_status_new(void);

/**
 * ram_device_count() - count an event, from any thread
 *
 * @mr: the region
 * @event: what has happened
 * @by: how often, or the bytes
 */
void ram_device_count(MemoryRegion *mr, RamDeviceEvent event, uint64_t by);

/**
 * ram_device_access_failed() - an access of system/ram-device.h has failed
 *
 * Counts and traces why; if the device is gone, schedules the bottom half that
 * ram_device_on_loss() was given.  To be called by the thread that made the
 * access, before it makes another one.
 *
 * @mr: the region
 * @offset: where the access or copy begins
 * @len: its length in bytes
 * @is_write: whether it was a write
 *
 * Returns: true if the device is gone; otherwise it was something else
 */
bool ram_device_access_failed(MemoryRegion *mr, hwaddr offset, hwaddr len,
                              bool is_write);

/**
 * ram_device_has_waited() - tell how long a copy took that has failed
 *
 * A driver may make an access wait for a device that isn't ready, and then fail
 * it: Linux 7.2's nvgrace-gpu for 30 seconds after a reset.  A copy of several
 * pieces would wait for each, and the main loop with it.  So if it was a second
 * or more, ram_device_is_given_up() is true for as long again, a minute at
 * most.
 *
 * @mr: the region
 * @begun: when the copy began, by g_get_monotonic_time()
 */
void ram_device_has_waited(MemoryRegion *mr, int64_t begun);

/**
 * ram_device_is_given_up() - must a copy fail without an attempt?
 *
 * @mr: the region
 */
bool ram_device_is_given_up(MemoryRegion *mr);

/**
 * ram_device_try_again() - the device may be ready: nothing is given up
 *
 * A copy that has begun before, and fails later, gives nothing up either.
 *
 * @mr: the region
 */
void ram_device_try_again(MemoryRegion *mr);

/**
 * ram_device_on_loss() - have a bottom half scheduled when the device is gone
 *
 * It is scheduled whenever an access has found it so.  To be called before the
 * region becomes part of an address space.
 *
 * @mr: the region
 * @bh: the bottom half; it must exist as long as the region does
 */
void ram_device_on_loss(MemoryRegion *mr, QEMUBH *bh);

/**
 * ram_device_visit_status() - show a region to an output visitor
 *
 * A struct of the region's name, offset and size, of whether it is read-only,
 * whether other devices' DMA is bounced, and of what was counted.
 *
 * @v: the visitor
 * @mr: the region, a RAM device
 * @errp: where to put an error
 */
bool ram_device_visit_status(Visitor *v, MemoryRegion *mr, Error **errp);

#endif /* SYSTEM_RAM_DEVICE_STATUS_H */
