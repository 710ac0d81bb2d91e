/*
 * Why DMA could not be mapped, for whoever has to mend it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/rcu.h"
#include "hw/qdev-core.h"
#include "system/dma.h"
#include "system/dma-refusal.h"

static char *owner_of(MemoryRegion *mr)
{
    Object *owner = memory_region_owner(mr);
    DeviceState *dev =
        (DeviceState *)object_dynamic_cast(owner, TYPE_DEVICE);

    if (dev && dev->id) {
        return g_strdup_printf("%s '%s'", object_get_typename(owner), dev->id);
    }
    return g_strdup(owner ? object_get_typename(owner) : "the machine");
}

static char *remedy(AddressSpace *as, MemoryRegion *mr)
{
    const char *known = mr->ops && mr->ops->why_not_ram
                        ? mr->ops->why_not_ram(mr->opaque) : NULL;

    if (known) {
        return g_strdup(known);
    }
    if (as == &address_space_memory) {
        return g_strdup("iommu_platform=on,x-max-bounce-buffer-size=SIZE on the"
                        " device that does the DMA raises it, if it is a PCI"
                        " device");
    }
    return g_strdup_printf("x-max-bounce-buffer-size=SIZE on the device '%s'"
                           " raises it", as->name);
}

void dma_report_refusal(AddressSpace *as, hwaddr addr, bool is_write)
{
    hwaddr offset, len = 1;
    MemoryRegion *mr;
    g_autofree char *owner = NULL, *what = NULL;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(as, addr, &offset, &len, is_write,
                                 MEMTXATTRS_UNSPECIFIED);
    if (!memory_region_name(mr)) {
        error_report("DMA to 0x%"HWADDR_PRIx": nothing is there", addr);
        return;
    }
    owner = owner_of(mr);
    what = remedy(as, mr);
    error_report("DMA to 0x%"HWADDR_PRIx": '%s' of %s is not %s, and the bounce"
                 " buffers of %"PRIu64" bytes are in use; %s", addr,
                 memory_region_name(mr), owner,
                 is_write && mr->readonly ? "writable memory" : "memory",
                 (uint64_t)as->max_bounce_buffer_size, what);
}
