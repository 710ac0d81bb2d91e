/*
 * RAM device regions in builds without Rust
 *
 * memory_region_get_ram_device() answers false there, so that RAM devices are
 * accessed as they were before rust/ram-device came; nothing gets here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/ram-device.h"
#include "system/dma.h"
#include "system/dma-refusal.h"
#include "system/ram-device-pool.h"
#include "system/ram-device-status.h"

bool ram_device_gives_pointer(const RamDevice *rd, bool is_write)
{
    g_assert_not_reached();
}

bool ram_device_load(const RamDevice *rd, uint64_t offset, unsigned size,
                     uint64_t *value)
{
    g_assert_not_reached();
}

bool ram_device_store(const RamDevice *rd, uint64_t offset, unsigned size,
                      uint64_t value)
{
    g_assert_not_reached();
}

bool ram_device_read(const RamDevice *rd, uint64_t offset, void *ram,
                     uint64_t len)
{
    g_assert_not_reached();
}

bool ram_device_write(const RamDevice *rd, uint64_t offset, const void *ram,
                      uint64_t len)
{
    g_assert_not_reached();
}

struct RamDeviceBudget *ram_device_budget_new(QEMUBH *bh)
{
    return NULL;
}

void ram_device_budget_close(struct RamDeviceBudget *budget)
{
}

bool ram_device_budget_is_short(struct RamDeviceBudget *budget)
{
    return false;
}

void *ram_device_map(MemoryRegion *mr, hwaddr offset, hwaddr *len,
                     bool is_write, RamDeviceRequest *request)
{
    g_assert_not_reached();
}

bool ram_device_fill(void *buffer, hwaddr len)
{
    return true;
}

void ram_device_update(const RamDevice *rd, hwaddr offset, const void *data,
                       hwaddr len)
{
    g_assert_not_reached();
}

bool ram_device_unmap(void *buffer, bool is_write, hwaddr access_len)
{
    return false;
}

bool ram_device_is_buffer(const void *pointer)
{
    return false;
}

void *ram_device_discard(hwaddr *len)
{
    g_assert_not_reached();
}

bool ram_device_wait(const RamDeviceRequest *request)
{
    g_assert_not_reached();
}

RamDeviceWaiter *ram_device_next_turn(struct RamDeviceBudget *budget)
{
    return NULL;
}

void ram_device_end_turn(struct RamDeviceBudget *budget)
{
}

void ram_device_wait_over(RamDeviceWaiter *waiter)
{
}

RamDeviceStatus *ram_device_status_new(void)
{
    return NULL;
}

bool ram_device_access_failed(MemoryRegion *mr, hwaddr offset, hwaddr len,
                              bool is_write)
{
    g_assert_not_reached();
}

void dma_report_refusal(AddressSpace *as, hwaddr addr, bool is_write)
{
}

bool ram_move_word(void *to, const void *from, uint64_t len)
{
    g_assert_not_reached();
}
