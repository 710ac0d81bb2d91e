/*
 * Buffers for DMA into RAM device regions
 *
 * Who asks for a pointer into a RAM device (address_space_map()) gets one into
 * a buffer of ordinary RAM, which is filled and flushed by the routines of
 * system/ram-device.h.  Buffers are of any size, begin at a page, and lie in
 * memory that nothing else of QEMU is in.  Nobody gets what earlier DMA of the
 * VM has left there.
 *
 * Each virtio device has a budget of its own, and so has each address space
 * for whoever else does DMA there.  What doesn't fit into it at present waits.
 *
 * All functions may be called from any thread, without the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_POOL_H
#define SYSTEM_RAM_DEVICE_POOL_H

#include "exec/hwaddr.h"
#include "qemu/queue.h"
#include "qemu/units.h"
#include "system/ram-device.h"
#include "system/ram-device-pages.h"

/* Bytes that each budget may have in use; "x-ram-device-buffer-size" */
extern uint64_t ram_device_buffer_size;
#define RAM_DEVICE_BUFFER_SIZE_DEFAULT (64 * MiB)

/**
 * struct RamDeviceWaiter - one whose requests may have to wait for memory
 *
 * A virtqueue.  All zero: it doesn't wait.
 *
 * @budget: what it waits for, or is to take from; or NULL
 * @need: bytes that it waits for
 * @waits: it waits; atomically accessed
 * @has_turn: it needn't wait any longer, and all others must; atomically
 *            accessed
 * @next: the one who has waited for less
 */
typedef struct RamDeviceWaiter {
    struct RamDeviceBudget *budget;
    uint64_t need;
    bool waits;
    bool has_turn;
    QTAILQ_ENTRY(RamDeviceWaiter) next;
} RamDeviceWaiter;

/**
 * struct RamDeviceRequest - the mappings of one request of a device
 *
 * All of them are asked for before the first buffer is filled, so that nothing
 * is read in vain if the request has to wait.
 *
 * @budget: the device's budget
 * @waiter: who waits if it must; NULL if nobody does
 * @held: bytes of the pool that the request has so far
 * @need: bytes that it was refused last
 * @answer: what it was answered last
 * @overdraw: it must not wait
 * @in_parts: one mapping is of RAM_DEVICE_CHUNK_SIZE at most, and filled at once
 * @has_buffers: it has been given a buffer
 */
typedef struct RamDeviceRequest {
    struct RamDeviceBudget *budget;
    RamDeviceWaiter *waiter;
    uint64_t held;
    uint64_t need;
    RamDeviceAnswer answer;
    bool overdraw;
    bool in_parts;
    bool has_buffers;
} RamDeviceRequest;

/**
 * ram_device_budget_new() - open a budget
 *
 * @bh: scheduled when somebody who waits can have its turn, and then to call
 *      ram_device_next_turn(); or NULL
 */
struct RamDeviceBudget *ram_device_budget_new(QEMUBH *bh);

/**
 * ram_device_budget_close() - close a budget
 *
 * Its bottom half isn't scheduled any longer, and nobody waits for it.  Buffers
 * may still be in use.
 *
 * @budget: the budget, or NULL
 */
void ram_device_budget_close(struct RamDeviceBudget *budget);

/**
 * ram_device_budget_is_short() - is there somebody whom it has put off?
 *
 * @budget: the budget, or NULL
 *
 * Returns: true if a request has been answered RAM_DEVICE_LATER and no memory
 * has come back since.
 */
bool ram_device_budget_is_short(struct RamDeviceBudget *budget);

/**
 * ram_device_map() - get a buffer
 *
 * If the range lies in a buffer for the same direction that is in use already,
 * both share it, as they would share the memory if it were RAM.
 *
 * @mr: a lasting RAM device region, to which the buffer holds a reference
 * @offset: bytes from the region's start
 * @len: in: bytes wanted; out: bytes that the buffer has, at most
 *       RAM_DEVICE_CHUNK_SIZE
 * @is_write: the buffer is for data that goes to the device
 * @request: the request, whose answer is set
 *
 * Returns: the buffer, cleared if @is_write, else to be filled by
 * ram_device_fill(); or NULL if the answer isn't RAM_DEVICE_GRANTED.
 */
void *ram_device_map(MemoryRegion *mr, hwaddr offset, hwaddr *len,
                     bool is_write, RamDeviceRequest *request);

/**
 * ram_device_fill() - read the device into a buffer
 *
 * @buffer: what ram_device_map() has returned, or any other pointer
 * @len: its length in bytes
 *
 * Returns: true if the buffer has what the device has, or is none; false if
 * the device is gone.
 */
bool ram_device_fill(void *buffer, hwaddr len);

/**
 * ram_device_unmap() - give a buffer back, written to the device if need be
 *
 * @buffer: what ram_device_map() has returned, or any other pointer
 * @is_write: the buffer is for data that goes to the device
 * @access_len: bytes to write if @is_write
 *
 * Returns: false if it is no buffer.
 */
bool ram_device_unmap(void *buffer, bool is_write, hwaddr access_len);

/**
 * ram_device_update() - tell the buffers what was written past them
 *
 * Who writes to a device by its address, while a buffer that is going to be
 * written has the same bytes, would see them overwritten.  virtio-scsi maps a
 * request's data, and the disk model writes by the address what it answers
 * without a disk.
 *
 * @rd: the region
 * @offset: bytes from the region's start
 * @data: what was written there
 * @len: its length in bytes
 */
void ram_device_update(const RamDevice *rd, hwaddr offset, const void *data,
                       hwaddr len);

/**
 * ram_device_is_buffer() - is this a snapshot of a RAM device?
 *
 * For those who would hold a mapping for long and rely on it as memory.
 *
 * @pointer: any pointer
 */
bool ram_device_is_buffer(const void *pointer);

/**
 * ram_device_discard() - get memory that is for nobody
 *
 * @len: in: bytes wanted; out: bytes that there are
 *
 * Returns: what ram_device_unmap() takes, but never writes anywhere.
 */
void *ram_device_discard(hwaddr *len);

/**
 * ram_device_wait() - wait for one's turn
 *
 * Turns come in the order in which those who wait began to.  Until it is over,
 * nobody else gets memory.  Who waits again during its turn, since a request
 * has turned out to need more, is the next one again.
 *
 * @request: a request that was answered RAM_DEVICE_LATER, its buffers returned
 *
 * Returns: false if it needn't wait, because memory has come back meanwhile;
 * it is its turn then, unless it overdraws the budget past others.
 */
bool ram_device_wait(const RamDeviceRequest *request);

/**
 * ram_device_next_turn() - let the one who has waited for longest go on
 *
 * @budget: the budget
 *
 * Returns: whose turn it is now, to be told to ask again; NULL if nobody waits,
 * somebody else's turn isn't over, or there isn't enough for the first one.
 */
RamDeviceWaiter *ram_device_next_turn(struct RamDeviceBudget *budget);

/**
 * ram_device_end_turn() - take a turn away from whoever hasn't taken it
 *
 * @budget: the budget
 */
void ram_device_end_turn(struct RamDeviceBudget *budget);

/**
 * ram_device_wait_over() - not wait any longer, nor have one's turn
 *
 * Because it has been taken, or isn't wanted any longer.
 *
 * @waiter: one who waits, or whose turn it is, or neither
 */
void ram_device_wait_over(RamDeviceWaiter *waiter);

#endif /* SYSTEM_RAM_DEVICE_POOL_H */
