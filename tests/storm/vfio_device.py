# SPDX-License-Identifier: GPL-2.0-or-later
"""A device of the outer VM's kernel, used through VFIO without any emulator. For scripts that run there."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

SYSFS = Path("/sys/bus/pci/devices")
# ioctl() requests of linux/vfio.h.
SET_IOMMU, SET_CONTAINER, GET_DEVICE, RESET = 0x3B66, 0x3B68, 0x3B6A, 0x3B6F
TYPE_1 = 1


class VfioDevice:
    """An open device, which is alone in its group."""

    def __init__(self, address: str) -> None:
        group_number = (SYSFS / address / "iommu_group").resolve().name
        self._container = os.open("/dev/vfio/vfio", os.O_RDWR)
        self._group = os.open(f"/dev/vfio/{group_number}", os.O_RDWR)
        fcntl.ioctl(self._group, SET_CONTAINER, struct.pack("i", self._container))
        fcntl.ioctl(self._container, SET_IOMMU, TYPE_1)
        # The answer is only given for a buffer that could be written to.
        self.file = fcntl.ioctl(self._group, GET_DEVICE, bytearray(address.encode() + b"\0"))

    def reset(self) -> None:
        fcntl.ioctl(self.file, RESET)

    def close(self) -> None:
        for file in (self.file, self._group, self._container):
            os.close(file)
