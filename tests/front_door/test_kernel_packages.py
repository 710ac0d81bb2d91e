# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel packages of each Debian release that `make` is to work on give an outer VM that has vfio-pci."""

from __future__ import annotations

import lzma
import platform
from pathlib import Path

import pytest

import debian_source
from machines import debian, emulators, initramfs, outer_vm
from machines.error import MachineError, NotAvailable
from machines.outer_vm import Kernel

RELEASES = ("bookworm", "trixie")
VM_SECONDS = 1800.0


def kernel_of(release: str) -> Kernel:
    """That release's kernel, from the cache or downloaded; skipped by name where it can't be had."""
    mirrors = debian_source.debian_mirrors()
    if not mirrors or platform.machine() != "x86_64":
        pytest.skip(f"no kernel of Debian {release} for this machine: it has no apt source of Debian, or is no x86-64")
    stanzas = debian_source.stanzas("deb", release, mirrors)

    def download(folder: Path) -> None:
        with debian.apt_of("amd64", stanzas) as apt:
            apt.unpack(apt.dependency(outer_vm.KERNEL_PACKAGE, r"linux-image-\S+"), folder)

    try:
        return outer_vm.unpacked_kernel(debian.filled(debian.cache_folder() / f"{release}-kernel", download))
    except NotAvailable as reason:
        pytest.skip(f"no kernel of Debian {release}: {reason}")


@pytest.mark.parametrize("release", RELEASES)
def test_an_outer_vm_boots_the_kernel_and_has_vfio_pci(release: str, tmp_path: Path) -> None:
    emulators.want_outer_vm()
    kernel, seen = kernel_of(release), tmp_path / "seen"
    lines: list[str] = []
    outer_vm.run(
        kernel,
        tmp_path,
        command=["/bin/sh", "-c", f"uname -r >>{seen}; ls /sys/bus/pci/drivers >>{seen}"],
        devices=[],
        timeout=VM_SECONDS,
        follow=seen,
        on_line=lines.append,
    )
    assert lines[0] == kernel.version
    assert "vfio-pci" in lines


@pytest.mark.parametrize("place", ["lib/modules", "usr/lib/modules"])
def test_modules_are_found_where_a_release_has_them(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    assert initramfs.modules_folder(tmp_path) == tmp_path / place


def test_a_package_without_modules_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="neither lib/modules nor usr/lib/modules"):
        initramfs.modules_folder(tmp_path)


def test_a_compressed_module_is_read_with_what_it_depends_on(tmp_path: Path) -> None:
    folder = tmp_path / "6.12" / "kernel"
    folder.mkdir(parents=True)
    (tmp_path / "6.12" / "modules.builtin").write_text("kernel/built-in.ko\n")
    (folder / "wanted-one.ko.xz").write_bytes(lzma.compress(b"\0depends=needed,built_in\0"))
    (folder / "needed.ko").write_bytes(b"\0depends=\0")
    found = initramfs.in_load_order(tmp_path, ["wanted_one"])
    assert [file.name for file in found] == ["needed.ko", "wanted-one.ko.xz"]
    assert initramfs.contents(found[1]) == b"\0depends=needed,built_in\0"


def test_a_module_compressed_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    module = tmp_path / "module.ko.zst"
    module.touch()
    with pytest.raises(MachineError, match=r"module\.ko\.zst is compressed, but not by xz"):
        initramfs.contents(module)
