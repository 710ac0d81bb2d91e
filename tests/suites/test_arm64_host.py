# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator that was cross-built for arm64 hosts: what it was made of, and the series' qtests with it.

qemu-aarch64 runs it here, a program of Linux on arm64 that is translated; the qtests themselves are this machine's.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from suites.emulators import SERIES_QTESTS, built_programs, emulator

USER_EMULATOR = "qemu-aarch64"
# Half a minute each, as 2 MiB go through qtest's text, which is translated as well; test_ram_device.py runs them.
SLOW = "maps-2M-in-one-go"
# What the users of the series need of QEMU's features, as configure has found them.
FEATURES = {f"CONFIG_{name}" for name in (
    "ATTR", "FDT", "GNUTLS", "HAVE_RUST", "LINUX_AIO", "LINUX_IO_URING", "PIXMAN", "PLUGIN", "SLIRP", "TCG", "VHOST",
    "VHOST_NET", "VHOST_USER", "VHOST_VDPA", "VIRTFS")}  # fmt: skip


@pytest.fixture(scope="module")
def build() -> Path:
    """The folder of the build."""
    named = os.environ.get("RAM_DEVICE_BUILD_ARM64")
    if not named:
        pytest.skip("RAM_DEVICE_BUILD_ARM64 must name the build for arm64 hosts")
    if not Path(named).is_dir():
        pytest.skip("no emulator for arm64 hosts here: make ARCH=arm64 builds it")
    reason = Path(named) / "not-available"
    if reason.is_file():
        pytest.skip(f"there is no emulator for arm64 hosts: {reason.read_text()}")
    return Path(named)


@pytest.fixture(scope="module")
def sysroot(build: Path) -> Path:
    """The libraries that it was built with."""
    words = re.search(r"^c = \[.*'--sysroot=([^']+)'\]$", (build / "config-meson.cross").read_text(), re.MULTILINE)
    assert words, f"{build}/config-meson.cross names no sysroot"
    return Path(words[1])


@pytest.fixture(scope="module")
def runnable(build: Path, sysroot: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A program that runs it here."""
    if not shutil.which(USER_EMULATOR):
        pytest.skip(f"no {USER_EMULATOR} here: scripts/needs says which packages the tests want")
    path = tmp_path_factory.mktemp("arm64") / "qemu-system-aarch64"
    command = shlex.join([USER_EMULATOR, "-L", str(sysroot), str(build / "qemu-system-aarch64")])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)
    yield path


def defined(header: Path) -> set[str]:
    """What a header that configure has made defines."""
    return set(re.findall(r"^#define (\w+)", header.read_text(), re.MULTILINE))


def test_it_is_a_program_for_arm64(build: Path) -> None:
    header = subprocess.run(["readelf", "-h", str(build / "qemu-system-aarch64")], text=True, capture_output=True,
                            check=True).stdout
    assert re.search(r"Machine: +AArch64$", header, re.MULTILINE)


def test_it_has_the_features_that_the_native_one_has(build: Path) -> None:
    native = Path(emulator("patched")).parent
    for header in ("config-host.h", "aarch64-softmmu-config-devices.h"):
        here, there = defined(native / header), defined(build / header)
        wanted = {name for name in here if name in FEATURES or re.match(r"CONFIG_(VFIO|VIRTIO|VHOST|IOMMUFD)", name)}
        assert wanted <= there
    assert defined(build / "config-host.h") >= FEATURES


def test_it_has_kvm(build: Path) -> None:
    assert "CONFIG_KVM" in defined(build / "aarch64-softmmu-config-target.h")


def test_bindgen_has_read_the_headers_of_arm64(build: Path) -> None:
    # glibc's mutex has 48 bytes there, and 40 on x86-64.
    sizes = {int(size) for bindings in build.rglob("bindings.inc.rs")
             for size in re.findall(r"pub union pthread_mutex_t \{[^}]*__size: \[[\w:]+; (\d+)usize\]",
                                    bindings.read_text())}
    assert sizes == {48}


@pytest.mark.parametrize("name", SERIES_QTESTS)
def test_the_series_qtests_pass_with_it(name: str, runnable: Path) -> None:
    emulator("patched")
    program = built_programs().get(name)
    assert program, f"the patched build has no {name}"
    slow = [case for case in program.cases(emulator("patched")) if SLOW in case]
    results = program.results(runnable, slow)
    print(results)
    assert results.pop("exit") == "0"
    wanted = {case for case in program.cases(emulator("patched")) if case not in slow}
    ran = {case: result for case, result in results.items() if case not in slow}
    assert wanted == set(ran) and set(ran.values()) == {"ok"}
