# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the images of inner machines' disks are, and the outer VM's devices that this takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from machines.error import MachineError
from matrix import images, places
from matrix.dimensions import MIB, STORAGE_DEVICES

# On the host.
FILE = "file"
# In the outer VM: a whole disk of its, a file on a file system of its, a file that the host shares with it.
BLOCK_DEVICE, EXT4, SHARE = "block device", "ext4 file", "9p file"

LOWER_ADDRESS, UPPER_ADDRESS = "0000:00:10.0", "0000:00:11.0"
DISK_NAMES = [f"/dev/vd{letter}" for letter in "abcdefgh"]
EXT4_DISK = DISK_NAMES[len(STORAGE_DEVICES)]
EXT4_SIZE = 256 * MIB
# The outer kernel's modules for all this, beside those that it always has.
MODULES = ("ext4", "crc32c_generic")


def disk_of(device: str) -> str:
    """The outer VM's disk that an inner storage device has to itself."""
    return DISK_NAMES[STORAGE_DEVICES.index(device)]


def outer_devices(work: Path) -> list[str]:
    """Make the outer VM's disks in the work folder; the outer emulator's arguments for them and for the two BARs."""
    arguments = []
    for name, address in (("lower", LOWER_ADDRESS), ("upper", UPPER_ADDRESS)):
        arguments += [
            "-object", f"memory-backend-ram,id={name},size={places.SIZE}",
            "-device", f"ivshmem-plain,memdev={name},addr={address[-4:]}",
        ]  # fmt: skip
    files = [(work / f"vd{i}.raw", images.SIZE) for i in range(len(STORAGE_DEVICES))] + [(work / "ext4.raw", EXT4_SIZE)]
    for file, size in files:
        with file.open("wb") as disk:
            disk.truncate(size)
        arguments += ["-drive", f"if=virtio,format=raw,cache=unsafe,file={file}"]
    mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if mke2fs is None:
        raise MachineError("mke2fs not found: install e2fsprogs")
    subprocess.run([mke2fs, "-q", "-F", "-t", "ext4", str(files[-1][0])], check=True)
    return arguments
