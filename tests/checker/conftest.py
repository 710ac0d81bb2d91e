# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulators that the checker is run on, each once, and the peer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import debian_qemu
from checker import peer
from checker.subject import OLDEST, CannotCheck, probe
from checker.toolchain import NoCompiler
from checker.unpinnable import MOST_MAPPED
from machines import emulators
from machines.error import NotAvailable
from machines.o_direct import want_refusal

CHECKER = Path(__file__).with_name("run_checker.py")
# Of a busy machine; what is never answered takes as long.
PATIENCE = ("--patience", "30")


@dataclass(frozen=True)
class Run:
    """What the checker has answered."""

    status: int
    printed: str
    errors: str

    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.printed)
        return parsed


def command_of_checker(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-B", "-P", str(CHECKER), *map(str, arguments), *PATIENCE]


def run(command: Sequence[str]) -> Run:
    """The checker, however it is started."""
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


def run_checker(*arguments: str | Path) -> Run:
    return run(command_of_checker(*arguments))


@pytest.fixture(scope="session")
def peer_program() -> Path:
    """The peer; without a compiler that can build it the test is skipped."""
    try:
        return peer.build(print)
    except NoCompiler as why:
        pytest.skip(str(why))


def newest_emulator(architecture: str, folder: Path) -> Path:
    """Debian's newest QEMU; without it the test is skipped."""
    try:
        return debian_qemu.newest(architecture).script(folder)
    except NotAvailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session", params=["newest-aarch64", "newest-x86_64", "stock"])
def unpatched(request: pytest.FixtureRequest, peer_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The checker on a QEMU without the series: Debian's newest, and the one that the series is for."""
    kind, _, architecture = request.param.partition("-")
    newest = kind == "newest"
    emulator = newest_emulator(architecture, tmp_path_factory.mktemp(kind)) if newest else given(kind)
    return run_checker(emulator, "--peer", peer_program, "--json")


@pytest.fixture
def affected(unpatched: Run) -> Run:
    """The same; from the version on that has upstream's fix, the tests of what it mends are skipped."""
    return unfixed(unpatched)


def unfixed(run: Run) -> Run:
    """That run, if it is of a QEMU without upstream's fix; else the test is skipped."""
    if run.printed and debian_qemu.has_upstreams_fix(version := run.json()["version"]):
        pytest.skip(f"it is QEMU {version}, which has upstream's fix")
    return run


# It is no `exec`, so the emulator isn't the process that the checker has started.
WRAPPER = """#!/bin/sh
echo "ld.so: object 'libfast.so' from LD_PRELOAD cannot be preloaded: ignored." >&2
case "$*" in
*virtio-scsi-pci*|*virtio-net-pci*) echo "no such device"; exit 1 ;;
esac
echo "started by a wrapper"
{emulator} "$@"
"""


@pytest.fixture(scope="session")
def wrapped(peer_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The checker on the same with few devices, and in a wrapper that has much to say."""
    folder = tmp_path_factory.mktemp("wrapped")
    emulator, wrapper = newest_emulator("x86_64", folder), folder / "wrapper"
    wrapper.write_text(WRAPPER.format(emulator=emulator))
    wrapper.chmod(0o755)
    return unfixed(run_checker(wrapper, "--peer", peer_program, "--json"))


def given(variant: str) -> Path:
    """The variant's emulator, if it is one that has vfio-user."""
    emulator = emulators.wanted(variant)
    try:
        probe(emulator)
    except CannotCheck as why:
        if "too old" in str(why):
            pytest.skip(f"{why} Its series is checked by tests/vfio.")
        raise
    return emulator


@pytest.fixture(scope="session")
def patched(peer_program: Path) -> Run:
    """The checker on the emulator with the series."""
    return run_checker(given("patched"), "--peer", peer_program, "--json")


@pytest.fixture(scope="session")
def direct(peer_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The checker on that emulator, told to give pointers into BARs."""
    wrapper = tmp_path_factory.mktemp("direct") / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nexec {given("patched")} -global vfio-user-pci.x-ram-device-direct=on "$@"\n')
    wrapper.chmod(0o755)
    return run_checker(wrapper, "--peer", peer_program, "--json")


@pytest.fixture
def unpinnable(tmp_path: Path) -> None:
    """A BAR that the kernel refuses to pin; without one the test is skipped."""
    try:
        want_refusal(tmp_path, MOST_MAPPED)
    except NotAvailable as why:
        pytest.skip(str(why))


@pytest.fixture
def too_old() -> Path:
    """An emulator that is older than vfio-user."""
    for emulator in (emulators.given("patched"), Path("/usr/bin/qemu-system-x86_64")):
        if emulator and emulator.exists():
            printed = subprocess.run([emulator, "--version"], text=True, capture_output=True, check=True).stdout
            version = tuple(map(int, printed.split()[3].split(".")[:2]))
            if version < OLDEST:
                return emulator
    pytest.skip(f"no QEMU older than {OLDEST[0]}.{OLDEST[1]} here")
