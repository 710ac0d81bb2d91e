/*
 * I/O vectors in programs that have no guest memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/ram-device-iov.h"

bool ram_device_in_iov(const struct iovec *iov, unsigned niov)
{
    return false;
}

bool ram_device_iov_to_buf(const struct iovec *iov, unsigned niov,
                           size_t offset, void *buf, size_t len)
{
    g_assert_not_reached();
}

bool ram_device_iov_from_buf(const struct iovec *iov, unsigned niov,
                             size_t offset, const void *buf, size_t len)
{
    g_assert_not_reached();
}
