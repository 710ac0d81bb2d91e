/*
 * What has happened to a RAM device region
 *
 * See system/ram-device-status.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/stats64.h"
#include "system/cpus.h"
#include "system/dma.h"
#include "system/ram-device-status.h"
#include "trace.h"

/* No access to a device that is ready takes so long, in microseconds */
#define LONG_WAIT (5 * G_USEC_PER_SEC)
/* No driver makes one wait for longer, but QEMU itself may be stopped */
#define LONGEST_WAIT (60 * G_USEC_PER_SEC)

struct RamDeviceStatus {
    QEMUBH *loss_bh;
    /* By g_get_monotonic_time(); what has begun before the last one is void */
    Stat64 given_up_since, given_up_until, tried_again;
    Stat64 events[RAM_DEVICE_EVENTS];
};

static const char *const event_names[RAM_DEVICE_EVENTS] = {
    [RAM_DEVICE_BYTES_READ] = "bytes-read",
    [RAM_DEVICE_BYTES_WRITTEN] = "bytes-written",
    [RAM_DEVICE_WAITS] = "waits",
    [RAM_DEVICE_REFUSALS] = "refusals",
    [RAM_DEVICE_FAULTS] = "faults",
    [RAM_DEVICE_MEMORY_ERRORS] = "memory-errors",
    [RAM_DEVICE_READ_ONLY_WRITES] = "read-only-writes",
};

RamDeviceStatus *ram_device_status_new(void)
{
    RamDeviceStatus *status = g_new0(RamDeviceStatus, 1);

    for (int i = 0; i < RAM_DEVICE_EVENTS; i++) {
        stat64_init(&status->events[i], 0);
    }
    stat64_init(&status->given_up_since, 0);
    stat64_init(&status->given_up_until, 0);
    stat64_init(&status->tried_again, 0);
    return status;
}

void ram_device_count(MemoryRegion *mr, RamDeviceEvent event, uint64_t by)
{
    stat64_add(&mr->ram_device_status->events[event], by);
}

bool ram_device_access_failed(MemoryRegion *mr, hwaddr offset, hwaddr len,
                              bool is_write)
{
    RamDeviceEvent event = RAM_DEVICE_FAULTS;

    if (is_write && mr->readonly) {
        event = RAM_DEVICE_READ_ONLY_WRITES;
    } else if (ram_device_met_memory_error()) {
        event = RAM_DEVICE_MEMORY_ERRORS;
        /* The first one: the guest may come again as often as it likes */
        if (!stat64_get(&mr->ram_device_status->events[event])) {
            error_report("%s: the host has found a memory error at 0x%"
                         HWADDR_PRIx" to 0x%"HWADDR_PRIx"; the access failed",
                         memory_region_name(mr), offset, offset + len - 1);
        }
    }
    trace_memory_region_ram_device_failed(memory_region_name(mr), offset, len,
                                          is_write, event_names[event]);
    ram_device_count(mr, event, 1);
    if (event == RAM_DEVICE_FAULTS && mr->ram_device_status->loss_bh) {
        qemu_bh_schedule(mr->ram_device_status->loss_bh);
    }
    return event == RAM_DEVICE_FAULTS;
}

void ram_device_has_waited(MemoryRegion *mr, int64_t begun)
{
    const int64_t now = g_get_monotonic_time();

    if (now - begun >= LONG_WAIT) {
        stat64_max(&mr->ram_device_status->given_up_since, begun);
        stat64_set(&mr->ram_device_status->given_up_until,
                   now + MIN(now - begun, LONGEST_WAIT));
    }
}

bool ram_device_is_given_up(MemoryRegion *mr)
{
    const RamDeviceStatus *status = mr->ram_device_status;
    const int64_t until = stat64_get(&status->given_up_until);

    return until && g_get_monotonic_time() < until &&
           stat64_get(&status->given_up_since) >
           stat64_get(&status->tried_again);
}

void ram_device_try_again(MemoryRegion *mr)
{
    stat64_set(&mr->ram_device_status->tried_again, g_get_monotonic_time());
}

void ram_device_on_loss(MemoryRegion *mr, QEMUBH *bh)
{
    mr->ram_device_status->loss_bh = bh;
}

bool ram_device_visit_status(Visitor *v, MemoryRegion *mr, Error **errp)
{
    const char *name = memory_region_name(mr);
    uint64_t offset = mr->addr;
    uint64_t size = memory_region_size(mr);
    bool read_only = mr->readonly;
    bool bounced = !memory_region_ram_device_gives_pointer(mr, false);
    bool ok;

    if (!visit_start_struct(v, NULL, NULL, 0, errp)) {
        return false;
    }
    ok = visit_type_str(v, "name", (char **)&name, errp) &&
         visit_type_uint64(v, "offset", &offset, errp) &&
         visit_type_uint64(v, "size", &size, errp) &&
         visit_type_bool(v, "read-only", &read_only, errp) &&
         visit_type_bool(v, "bounced", &bounced, errp);
    for (int i = 0; ok && i < RAM_DEVICE_EVENTS; i++) {
        uint64_t count = stat64_get(&mr->ram_device_status->events[i]);

        ok = visit_type_uint64(v, event_names[i], &count, errp);
    }
    ok = ok && visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return ok;
}
