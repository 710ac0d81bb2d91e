# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory of memfd_secret(2): whoever has it mapped can copy it, but the kernel pins none of its pages.

A BAR of the kernel's vfio-pci is like that: O_DIRECT into it ends with EFAULT. There is no such memory where the kernel
hasn't got the system call, and no more of it in any process than RLIMIT_MEMLOCK allows, unless that may lock memory.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

from machines.error import NotAvailable

# Of all architectures but Alpha and MIPS.
PIDFD_GETFD, MEMFD_SECRET = 438, 447
_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int) -> int:
    """A system call that has no wrapper in Python; it gives a descriptor that executed programs don't inherit."""
    descriptor: int = _libc.syscall(number, *arguments)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def new(size: int) -> int:
    """The descriptor of such memory, zeroed; NotAvailable says why there is none."""
    try:
        descriptor = _call(MEMFD_SECRET, os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        why = "Linux has it from 5.14 on, and before 6.5 only if it was booted with secretmem.enable=1"
        raise NotAvailable(f"this kernel has no memfd_secret(2), memory that it refuses to pin: {why}") from None
    try:
        os.ftruncate(descriptor, size)
        mapped(descriptor, size).close()
    except (OSError, NotAvailable):
        os.close(descriptor)
        raise
    return descriptor


def mapped(descriptor: int, size: int) -> mmap.mmap:
    """The memory, for this process; NotAvailable says that it is too much."""
    try:
        return mmap.mmap(descriptor, size)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        why = f"{size >> 10} KiB that are locked are more than RLIMIT_MEMLOCK allows (ulimit -l)"
        raise NotAvailable(f"no memory that the kernel refuses to pin: {why}") from None


def of_process(pid: int, descriptor: int) -> int:
    """A process's descriptor for this process too: such memory can't be opened by its name in /proc."""
    process = os.pidfd_open(pid)
    try:
        return _call(PIDFD_GETFD, process, descriptor, 0)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        why = f"the descriptor of another process, by pidfd_getfd(2): {error.strerror}"
        raise NotAvailable(f"this process may not have {why}") from None
    finally:
        os.close(process)
