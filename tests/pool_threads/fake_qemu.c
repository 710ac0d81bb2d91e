/*
 * What system/ram-device-pool.c wants of QEMU, as far as its tests need it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/madvise.h"
#include "qemu/main-loop.h"
#include "system/ram-device-status.h"
#include "trace/control.h"
#include "fake_qemu.h"

__typeof__(qemu_loglevel) qemu_loglevel; /* the bases differ */
bool message_with_timestamp;
int trace_events_enabled_count;
uint16_t _TRACE_MEMORY_REGION_RAM_DEVICE_COPY_DSTATE;

void qemu_log(const char *format, ...)
{
}

int qemu_get_thread_id(void)
{
    return 0;
}

int qemu_madvise(void *memory, size_t size, int advice)
{
    return 0;
}

AioContext *qemu_get_aio_context(void)
{
    return NULL;
}

void aio_bh_schedule_oneshot_full(AioContext *context, QEMUBHFunc *cb,
                                  void *opaque, const char *name)
{
    fake_main_loop_run(cb, opaque);
}

void fake_device_init(FakeDevice *device, uint64_t size)
{
    device->owner.ref = 1;
    device->mr.owner = &device->owner;
    device->size = size;
    device->memory = g_malloc0(size);
}

static FakeDevice *device_of(const MemoryRegion *mr)
{
    return container_of(mr, FakeDevice, mr);
}

bool memory_region_get_ram_device(MemoryRegion *mr, RamDevice *rd)
{
    FakeDevice *device = device_of(mr);

    *rd = (RamDevice) {
        .host = device->memory,
        .size = qatomic_read(&device->is_gone) ? 0 : device->size,
    };
    return true;
}

void memory_region_ref(MemoryRegion *mr)
{
    if (!qatomic_fetch_inc(&mr->owner->ref)) {
        broken("a reference to a device that is finalized");
    }
}

void memory_region_unref(MemoryRegion *mr)
{
    if (qatomic_fetch_dec(&mr->owner->ref) == 1) {
        fake_device_finalize(device_of(mr));
    }
}

const char *memory_region_name(const MemoryRegion *mr)
{
    return "device";
}

void memory_region_ram_device_written(MemoryRegion *mr, hwaddr offset,
                                      hwaddr len)
{
}

void ram_device_count(MemoryRegion *mr, RamDeviceEvent event, uint64_t by)
{
}

bool ram_device_access_failed(MemoryRegion *mr, hwaddr offset, hwaddr len,
                              bool is_write)
{
    return true;
}

void ram_device_has_waited(MemoryRegion *mr, int64_t begun)
{
}

bool ram_device_is_given_up(MemoryRegion *mr)
{
    return false;
}

void broken(const char *what, ...)
{
    va_list arguments;

    va_start(arguments, what);
    printf("broken: ");
    vprintf(what, arguments);
    printf("\n");
    va_end(arguments);
    tell_state();
    fflush(stdout);
    _exit(1);
}
