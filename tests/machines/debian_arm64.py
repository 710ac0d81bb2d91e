# SPDX-License-Identifier: GPL-2.0-or-later
"""What an arm64 guest is made of: Debian's kernel and busybox, and what modules for that kernel are built with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from machines import debian, initramfs
from machines.kernel_module import Builder

ARCHITECTURE = "arm64"
COMPILER_PREFIX = "aarch64-linux-gnu-"
MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")


@dataclass(frozen=True)
class Debian:
    """The packages' contents, all in one folder as if they were installed there."""

    root: Path

    @property
    def image(self) -> Path:
        """The kernel."""
        (image,) = (self.root / "boot").glob("vmlinuz-*")
        return image

    @property
    def busybox(self) -> Path:
        """A shell and the commands that it needs, in one static program."""
        (busybox,) = (path for path in (self.root / "bin/busybox", self.root / "usr/bin/busybox") if path.exists())
        return busybox

    @property
    def modules(self) -> list[Path]:
        """The kernel's modules for the guest's disk, in the order in which they load."""
        return initramfs.in_load_order(initramfs.modules_folder(self.root), MODULES)

    @property
    def module_builder(self) -> Builder:
        """What modules for this kernel are built with."""
        version = self.image.name.removeprefix("vmlinuz-")
        return Builder(self.root / "usr" / "src" / f"linux-headers-{version}", ARCHITECTURE, COMPILER_PREFIX)


def debian_arm64() -> Debian:
    """The packages from the cache; they are downloaded, all of one version, when the cache hasn't got them."""
    return Debian(debian.filled(debian.cache_folder() / "guest-arm64", _download))


def _download(folder: Path) -> None:
    with debian.apt_of(ARCHITECTURE) as arm64:
        image = arm64.dependency("linux-image-arm64", r"linux-image-\S+")
        headers = image.replace("image", "headers")
        for package in (image, headers, arm64.dependency(headers, r"linux-headers-\S+-common"), "busybox-static"):
            arm64.unpack(package, folder)
        kbuild = arm64.dependency(headers, r"linux-kbuild-\S+")
    with debian.apt_of_this_machine() as own:  # its programs take part in a build
        own.unpack(kbuild, folder)
