/*
 * I/O vectors that point into RAM device regions
 *
 * A device model's request may hold pointers into a memory-like RAM device
 * (see docs/devel/ram-device.rst), and the host's kernel doesn't accept such a
 * pointer everywhere: VFIO's mappings are VM_PFNMAP, so that
 * get_user_pages(), hence O_DIRECT, fails with EFAULT.  Who passes vectors to
 * the kernel can tell by these functions why it refused one, and copy to and
 * from a buffer that it takes.
 *
 * Programs without guest memory (qemu-img and the like) have stubs of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SYSTEM_RAM_DEVICE_IOV_H
#define SYSTEM_RAM_DEVICE_IOV_H

/**
 * ram_device_in_iov() - does a vector point into a RAM device region?
 *
 * The caller must be registered with RCU, and must hold a reference to the
 * regions that the vector points into, as address_space_map() gives.
 *
 * @iov: the vector; each element lies in one memory region, or in none
 * @niov: its number of elements
 *
 * Returns: true if at least one element lies in a RAM device.  Always false
 * in a build without Rust.
 */
bool ram_device_in_iov(const struct iovec *iov, unsigned niov);

/**
 * ram_device_iov_to_buf() - copy from a vector that may point into RAM devices
 *
 * All elements, also those in ordinary RAM, are read as ram_device_read()
 * does.  May be called from any thread.
 *
 * @iov: the vector
 * @niov: its number of elements
 * @offset: bytes from the vector's start
 * @buf: destination, in ordinary RAM
 * @len: bytes to copy; the vector must have that many from @offset on
 *
 * Returns: false if a device has vanished; @buf has all ones in its place.
 */
bool ram_device_iov_to_buf(const struct iovec *iov, unsigned niov,
                           size_t offset, void *buf, size_t len);

/**
 * ram_device_iov_from_buf() - copy to a vector that may point into RAM devices
 *
 * The counterpart of ram_device_iov_to_buf(): all elements are written as
 * ram_device_write() does.
 *
 * @iov: the vector
 * @niov: its number of elements
 * @offset: bytes from the vector's start
 * @buf: source, in ordinary RAM
 * @len: bytes to copy; the vector must have that many from @offset on
 *
 * Returns: false if a device has vanished; what it was to get is dropped.
 */
bool ram_device_iov_from_buf(const struct iovec *iov, unsigned niov,
                             size_t offset, const void *buf, size_t len);

#endif /* SYSTEM_RAM_DEVICE_IOV_H */
