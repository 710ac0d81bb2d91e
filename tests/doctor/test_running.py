# SPDX-License-Identifier: GPL-2.0-or-later
"""Real emulators, asked by their QMP sockets, with a passed-through device, of rust/vfio-user-gpu, and without.

The emulators with the series and without it are named by RAM_DEVICE_PATCHED and RAM_DEVICE_STOCK.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from socket import AF_UNIX
from socket import socket as unix_socket
from typing import Any

import pytest

import debian_qemu
from checker import peer
from checker.conftest import given, newest_emulator
from checker.denied import write_without_bar
from checker.findings import BLK, FAILS, KIB, OK, SCSI, TO_BAR
from checker.storage import Disk, Storage
from checker.subject import probe
from checker.toolchain import NoCompiler
from doctor.asking import CONCERNED, FINE, Run, doctor
from machines import emulators
from machines.qtest_client import Emulator

MEMORY_BAR = 4
EMPTY_MACHINE = ("-M", "virt", "-accel", "qtest", "-m", "16M", "-display", "none", "-nodefaults")
OLDER_PYTHON = "python3.9"


@pytest.fixture(scope="session")
def peer_program() -> Path:
    """The peer; without a compiler that can build it the test is skipped."""
    try:
        return peer.build(print)
    except NoCompiler as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's newest QEMU."""
    return newest_emulator("aarch64", tmp_path_factory.mktemp("newest"))


@contextmanager
def passed_through(
    emulator: Path, peer_program: Path, folder: Path, disk: Disk, options: Sequence[str] = ()
) -> Iterator[tuple[Storage, Path]]:
    """The emulator with the peer's device and that disk, and its QMP socket."""
    wrapper, socket = folder / "wrapper", folder / "qmp"
    arguments = ["-qmp", f"unix:{socket},server=on,wait=off", *options]
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(str(emulator))} {shlex.join(arguments)} "$@"\n')
    wrapper.chmod(0o755)
    subject = replace(probe(emulator), program=wrapper, patience=120.0)
    with peer.running(peer_program, folder) as served, Storage(subject, served, disk, folder) as storage:
        assert storage.machine
        yield storage, socket


def parts_of_memory(run: Run) -> list[tuple[int, int]]:
    """The offset and size of each mapped part of BAR 4."""
    (device,) = run.json()["passed_through"]
    (memory,) = (bar for bar in device["bars"] if bar["number"] == MEMORY_BAR)
    return [(part["offset"], part["size"]) for part in memory["parts"]]


def is_mapped_as_the_peer_says(run: Run, storage: Storage) -> None:
    assert parts_of_memory(run) == [(begin, end - begin) for begin, end in storage.machine.peer.mappable]


@pytest.mark.parametrize("variant", ["stock", "patched"])
def test_an_emulator_without_a_passed_through_device(variant: str, tmp_path: Path) -> None:
    socket = tmp_path / "qmp"
    served = ("-qmp", f"unix:{socket},server=on,wait=off")
    command = [str(emulators.wanted(variant)), *EMPTY_MACHINE, "-device", "virtio-rng-pci,id=rng", *served]
    with Emulator(command, tmp_path / "messages", own_group=True) as emulator:
        assert emulator.execute("query-status", {})
        run = doctor("--qmp", socket, "--json")
        assert run == doctor("--qmp", socket, "--json"), "asking has changed something"
        assert emulator.execute("query-status", {})
    told = run.json()
    assert (run.status, told["passed_through"]) == (FINE, [])
    (rng,) = told["emulated"]
    assert (rng["path"], rng["kind"]) == ("/machine/peripheral/rng", "virtio-rng")
    assert "RAM device series" in told["package"] or variant == "stock"


def test_an_emulator_that_has_ended(tmp_path: Path) -> None:
    socket = tmp_path / "qmp"
    command = [str(emulators.wanted("patched")), *EMPTY_MACHINE, "-qmp", f"unix:{socket},server=on,wait=off"]
    with Emulator(command, tmp_path / "messages", own_group=True) as emulator:
        assert emulator.execute("query-status", {})
    doctor("--qmp", socket).is_refused("nobody listens on", "has ended")


def test_a_monitor_that_another_client_holds(tmp_path: Path) -> None:
    socket = tmp_path / "qmp"
    command = [str(emulators.wanted("patched")), *EMPTY_MACHINE, "-qmp", f"unix:{socket},server=on,wait=off"]
    with Emulator(command, tmp_path / "messages", own_group=True) as emulator:
        assert emulator.execute("query-status", {})
        with holding(socket):
            doctor("--qmp", socket, "--timeout", "1").is_refused("another client holds it")
        assert doctor("--qmp", socket).status == FINE


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """A client that QEMU has greeted."""
    with unix_socket(AF_UNIX) as client:
        client.connect(str(path))
        assert client.recv(1) == b"{"
        yield


def is_fixed(told: dict[str, Any]) -> bool:
    """Whether the QEMU that the doctor has told of has upstream's fix."""
    return debian_qemu.has_upstreams_fix(".".join(map(str, told["version"])))


def test_debians_newest_is_concerned_and_what_it_has_mapped_is_told(
    newest: Path, peer_program: Path, tmp_path: Path
) -> None:
    with passed_through(newest, peer_program, tmp_path, Disk(BLK)) as (storage, socket):
        run = doctor("--qmp", socket, "--json")
        is_mapped_as_the_peer_says(run, storage)
        assert storage.attempt(TO_BAR, 512).verdict == OK, "it doesn't survive being asked"
    told = run.json()
    assert run.status == CONCERNED
    (finding,) = told["findings"]
    assert ("pointers" if is_fixed(told) else "bogus descriptor") in finding["verdict"]


@pytest.mark.parametrize(("device", "says"), [
    (BLK, "is raised for /machine/peripheral-anon/device[0] (1 MiB)"), (SCSI, "doesn't help virtio-scsi"),
])  # fmt: skip
def test_raised_bounce_buffers_are_told(
    newest: Path, peer_program: Path, tmp_path: Path, device: str, says: str
) -> None:
    raised = Disk(device, ",x-max-bounce-buffer-size=1M,disable-legacy=on,iommu_platform=on")
    with passed_through(newest, peer_program, tmp_path, raised) as (_, socket):
        run, told = doctor("--qmp", socket), doctor("--qmp", socket, "--json").json()
    if is_fixed(told):
        assert "pointers into the BARs" in run.printed
        pytest.skip("Debian's newest QEMU has upstream's fix, with which bounce buffers don't matter")
    assert run.status == CONCERNED
    assert says in run.printed


def test_with_the_series_all_is_well_until_a_request_fails(peer_program: Path, tmp_path: Path) -> None:
    with passed_through(given("patched"), peer_program, tmp_path, Disk(BLK)) as (storage, socket):
        assert storage.attempt(TO_BAR, 64 * KIB).verdict == OK
        well = doctor("--qmp", socket, "--json")
        is_mapped_as_the_peer_says(well, storage)
        assert write_without_bar(storage, 512).outcome == FAILS
        failed = doctor("--qmp", socket)
    assert well.status == FINE
    (verdict,) = (finding["verdict"] for finding in well.json()["findings"])
    assert verdict.startswith("All is well")
    assert bytes_written(well) == 64 * KIB
    assert failed.status == CONCERNED
    assert "Accesses to BAR 4 of /machine/peripheral-anon/device[1] failed once, as it was revoked" in failed.printed
    assert "All is well" not in failed.printed


def bytes_written(run: Run) -> int:
    (device,) = run.json()["passed_through"]
    counted: list[int] = [part["counters"]["bytes-written"] for bar in device["bars"] for part in bar["parts"]]
    return sum(counted)


def test_the_series_with_pointers_is_unprotected(peer_program: Path, tmp_path: Path) -> None:
    direct = ("-global", "vfio-user-pci.x-ram-device-direct=on")
    with passed_through(given("patched"), peer_program, tmp_path, Disk(BLK), direct) as (_, socket):
        run = doctor("--qmp", socket)
    assert run.status == CONCERNED
    assert "which nothing protects" in run.printed


def test_python_3_9_will_do(tmp_path: Path) -> None:
    python = shutil.which(OLDER_PYTHON)
    if not python or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no {OLDER_PYTHON} here")
    socket = tmp_path / "qmp"
    command = [str(emulators.wanted("patched")), *EMPTY_MACHINE, "-qmp", f"unix:{socket},server=on,wait=off"]
    with Emulator(command, tmp_path / "messages", own_group=True) as emulator:
        assert emulator.execute("query-status", {})
        run = doctor("--qmp", socket, python=python)
    assert (run.status, run.errors) == (FINE, "")
