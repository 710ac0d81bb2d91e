/*
 * The arithmetic of the buffer pool for DMA into RAM device regions
 *
 * Who gets memory of the pool, and where in a chunk it is: written in Rust
 * (rust/ram-device), pure, and used by system/ram-device-pool.c, which has the
 * lock, the memory and the buffers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_PAGES_H
#define SYSTEM_RAM_DEVICE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A chunk of the pool is a huge page of most hosts */
#define RAM_DEVICE_PAGE_SIZE   4096
#define RAM_DEVICE_CHUNK_PAGES 512
#define RAM_DEVICE_CHUNK_SIZE  (RAM_DEVICE_CHUNK_PAGES * RAM_DEVICE_PAGE_SIZE)

/**
 * enum RamDeviceAnswer - what a request for pool memory is answered
 *
 * @RAM_DEVICE_GRANTED: the memory is the request's
 * @RAM_DEVICE_LATER: the budget is in use; ask again when memory comes back
 * @RAM_DEVICE_NEVER: the request is larger than the budget
 */
typedef enum RamDeviceAnswer {
    RAM_DEVICE_GRANTED = 0,
    RAM_DEVICE_LATER = 1,
    RAM_DEVICE_NEVER = 2,
} RamDeviceAnswer;

/**
 * struct RamDeviceAccount - a budget as a request finds it
 *
 * @limit: bytes that may be in use
 * @used: bytes in use, the request's own part included
 * @is_awaited: others wait already, and must not be overtaken
 */
typedef struct RamDeviceAccount {
    uint64_t limit;
    uint64_t used;
    bool is_awaited;
} RamDeviceAccount;

/**
 * ram_device_budget_ask() - may a request have memory of the pool?
 *
 * @account: the budget
 * @held: bytes that the request has already
 * @size: bytes that it asks for
 * @overdraw: it must not wait, because the device has begun with it: the
 *            budget may be overdrawn to twice its limit
 *
 * Returns: an enum RamDeviceAnswer.
 */
uint32_t ram_device_budget_ask(const RamDeviceAccount *account, uint64_t held,
                               uint64_t size, bool overdraw);

/**
 * struct RamDevicePages - which pages of a chunk are in use
 *
 * @used: a bit for each page; all zero: none
 */
typedef struct RamDevicePages {
    uint64_t used[RAM_DEVICE_CHUNK_PAGES / 64];
} RamDevicePages;

/**
 * ram_device_pages_take() - take pages of a chunk, side by side
 *
 * @pages: the chunk's; nobody else may use them meanwhile
 * @count: number of pages, at least 1
 *
 * Returns: the first page; RAM_DEVICE_CHUNK_PAGES if there is no such run.
 */
size_t ram_device_pages_take(RamDevicePages *pages, size_t count);

/**
 * ram_device_pages_give() - give pages back
 *
 * @pages: the chunk's; nobody else may use them meanwhile
 * @first: the first page
 * @count: number of pages
 *
 * Returns: true if no page of the chunk is in use any longer.
 */
bool ram_device_pages_give(RamDevicePages *pages, size_t first, size_t count);

#endif /* SYSTEM_RAM_DEVICE_PAGES_H */
