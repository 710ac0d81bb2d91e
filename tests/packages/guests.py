# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests: Debian's kernels, an init of ours, and disks whose contents are known."""

from __future__ import annotations

import hashlib
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from machines import debian_arm64, initramfs, outer_vm
from machines.error import NotAvailable

INIT = Path(__file__).with_name("guest.sh")
MIB = 1024 * 1024
HALF_MIB = 8
BLOCK = 4096
BEATS = 4096
MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_net")
CONSOLES = {"x86_64": "ttyS0", "aarch64": "ttyAMA0"}


@dataclass(frozen=True)
class Guest:
    """The files that boot one, with paths as the emulator sees them."""

    architecture: str
    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / f"{self.architecture}.kernel"

    @property
    def initramfs(self) -> Path:
        return self.folder / f"{self.architecture}.initramfs"

    @property
    def command_line(self) -> str:
        return f"console={CONSOLES[self.architecture]} quiet panic=-1 no_timer_check HALF={HALF_MIB}"


def make(folder: Path) -> None:
    """Write the files of both architectures' guests to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    own = outer_vm.debian_kernel()
    busybox = shutil.which("busybox")
    if busybox is None:
        raise NotAvailable("a guest is made with busybox, which isn't here: install busybox-static")
    arm64 = debian_arm64.debian_arm64()
    arm64_modules = initramfs.modules_folder(arm64.root)
    for architecture, kernel, modules, shell in (
        ("x86_64", own.image, own.modules, Path(busybox)), ("aarch64", arm64.image, arm64_modules, arm64.busybox),
    ):  # fmt: skip
        guest = Guest(architecture, folder)
        shutil.copy(kernel, guest.kernel)
        initramfs.write(guest.initramfs, INIT.read_text(), shell, initramfs.in_load_order(modules, MODULES), {})


def data(number: int) -> bytes:
    """What a disk of that number begins with."""
    return random.Random(number).randbytes(HALF_MIB * MIB)


def checksum(number: int) -> str:
    """What the guest says of a copy of it."""
    return hashlib.sha256(data(number)).hexdigest()


def memory_checksum() -> str:
    """What the guest says of its memory at each beat, when its first disk is disk 0 and has been copied."""
    return hashlib.sha256(data(0) * 2).hexdigest()


def write_disk(target: Path, number: int) -> None:
    """A new disk."""
    with target.open("wb") as disk:
        disk.write(data(number))
        disk.truncate(2 * HALF_MIB * MIB + BEATS * BLOCK)


def wrong_on_disk(disk: Path, number: int, beats: int = 0) -> list[str]:
    """Where a disk isn't as a guest must leave it that has copied its data, and said so many beats."""
    content = disk.read_bytes()
    expected, half = data(number), HALF_MIB * MIB
    wrong = [f"disk {number}: its data have changed"] if content[:half] != expected else []
    if content[half : 2 * half] != expected:
        wrong.append(f"disk {number}: the copy differs")
    for beat in range(1, beats + 1):
        at = 2 * half + beat * BLOCK
        if content[at : at + BLOCK].rstrip(b" ") != f"beat {beat}".encode():
            wrong.append(f"disk {number}: beat {beat} isn't there")
    return wrong
