/*
 * I/O vectors that point into RAM device regions
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "system/dma.h"
#include "system/ram-device.h"
#include "system/ram-device-iov.h"

bool ram_device_in_iov(const struct iovec *iov, unsigned niov)
{
    RCU_READ_LOCK_GUARD();

    for (unsigned i = 0; i < niov; i++) {
        ram_addr_t offset;
        MemoryRegion *mr = memory_region_from_host(iov[i].iov_base, &offset);

        if (mr && memory_region_get_ram_device(mr, NULL)) {
            return true;
        }
    }
    return false;
}

static bool ram_device_iov_copy(const struct iovec *iov, unsigned niov,
                                size_t offset, void *buf, size_t len,
                                bool to_buf)
{
    bool complete = true;

    for (unsigned i = 0; len; i++) {
        assert(i < niov);
        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }

        RamDevice element = {
            .host = iov[i].iov_base,
            .size = iov[i].iov_len,
            .kind = RAM_DEVICE_MEMORY_LIKE,
        };
        size_t n = MIN(len, element.size - offset);

        if (to_buf) {
            complete &= ram_device_read(&element, offset, buf, n);
        } else {
            complete &= ram_device_write(&element, offset, buf, n);
        }
        buf += n;
        len -= n;
        offset = 0;
    }
    return complete;
}

bool ram_device_iov_to_buf(const struct iovec *iov, unsigned niov,
                           size_t offset, void *buf, size_t len)
{
    return ram_device_iov_copy(iov, niov, offset, buf, len, true);
}

bool ram_device_iov_from_buf(const struct iovec *iov, unsigned niov,
                             size_t offset, const void *buf, size_t len)
{
    return ram_device_iov_copy(iov, niov, offset, (void *)buf, len, false);
}
