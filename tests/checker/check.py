# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole check of one emulator, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from checker import denied, engine, exactness, in_flight, network, speed, storage, unpinnable
from checker.findings import (
    BLK,
    BLK_O_DIRECT,
    BLK_SCANNED,
    KIB,
    NET,
    NVME,
    RAISED,
    SCSI,
    Check,
    Findings,
    Request,
    of_device,
)
from checker.machine import region_lines, started
from checker.network import Network
from checker.peer import Peer, running
from checker.storage import Disk, Storage
from checker.subject import CannotCheck, Subject
from machines.error import NotAvailable
from machines.qtest_client import EmulatorError

MIB = KIB * KIB
FEWER_SIZES = (512, 4 * KIB, 8 * KIB, 1 * MIB)
FAILS_ANYWAY = "fails with its data in ordinary RAM, too, so nothing is said of BARs"

DRIVERS = {**storage.DRIVERS, NET: network.DRIVER}

Progress = Callable[[str], None]


def check(subject: Subject, peer_program: Path, folder: Path, progress: Progress) -> Findings:
    """Everything that the checker looks at."""
    board = subject.board
    findings = Findings(str(subject.program), subject.version, board.architecture, board.machine)
    with running(peer_program, folder) as peer:
        _check(subject, peer, folder, findings, progress)
    progress(BLK_O_DIRECT)
    try:
        findings.o_direct = unpinnable.requests(subject, peer_program, folder, findings.limit)
    except NotAvailable as why:
        findings.o_direct_not_checked = str(why)
    return findings


def _check(subject: Subject, peer: Peer, folder: Path, findings: Findings, progress: Progress) -> None:
    """All that is looked at with one peer."""
    progress("the device's own DMA, interrupt and registers")
    with started(subject, peer, [], folder) as machine:
        findings.region = region_lines(machine)
        findings.checks += exactness.by_processor(machine)
        findings.checks += [engine.check_engine(machine), engine.check_interrupt(machine)]
        machine.emulator.quit()
    if not subject.has_device(storage.DRIVERS[BLK]):
        raise CannotCheck(
            f"{subject.program} has no {storage.DRIVERS[BLK]}, the device that is looked at most closely."
        )
    _virtio_blk(subject, peer, folder, findings, progress)
    for device in (SCSI, NVME, NET):
        driver = DRIVERS[device]
        if not subject.has_device(driver):
            findings.checks.append(Check(device, None, f"the emulator has no {driver}"))
            continue
        progress(device)
        if device == NET:
            _network(Network(subject, peer, folder), findings)
            continue
        with Storage(subject, peer, Disk(device), folder) as disk:
            _storage(disk, findings)
    for device in (BLK, SCSI):
        if of_device(findings.requests, device):
            progress(f"{device}, {in_flight.COUNT} requests in flight")
            with Storage(subject, peer, Disk(device), folder) as disk:
                _in_flight(disk, findings)
    if findings.limit and subject.has_property(storage.DRIVERS[BLK], RAISED.partition("=")[0]):
        progress("raised bounce buffers")
        failed = {request.device for request in findings.failed()}
        findings.raised_bounce_buffer = _raised_bounce_buffer(subject, peer, folder, failed)
    findings.checks.append(_another_client(subject, peer, folder))


def _virtio_blk(subject: Subject, peer: Peer, folder: Path, findings: Findings, progress: Progress) -> None:
    progress(BLK)
    with Storage(subject, peer, Disk(BLK), folder) as disk:
        if not storage.works_in_ram(disk):
            raise CannotCheck(f"{subject.program}: {BLK} {FAILS_ANYWAY}")
        made = storage.all_sizes(disk)
        findings.requests += made
        findings.limit = storage.find_limit(disk, made)
        findings.checks.append(exactness.by_dma(disk))
        progress(f"{BLK}, throughput")
        findings.speed = speed.measure(disk, made)
        progress(f"{BLK}, a BAR that goes away, one that can't be written")
        findings.bar_gone += [denied.write_without_bar(disk, size) for size in denied.SIZES]
        findings.read_only += [denied.read_into_read_only(disk, size) for size in denied.SIZES]
    with Storage(subject, peer, Disk(BLK, detect_zeroes="on"), folder) as disk:
        made_without_bar = [denied.write_without_bar(disk, size) for size in denied.SIZES]
        findings.bar_gone += [replace(found, device=BLK_SCANNED) for found in made_without_bar]


def _storage(disk: Storage, findings: Findings) -> None:
    if not storage.works_in_ram(disk):
        findings.checks.append(Check(disk.device, None, FAILS_ANYWAY))
        return
    findings.requests += storage.all_sizes(disk, FEWER_SIZES)
    findings.bar_gone += [denied.write_without_bar(disk, size) for size in denied.SIZES]


def _network(packets: Network, findings: Findings) -> None:
    if not network.works_in_ram(packets):
        findings.checks.append(Check(NET, None, FAILS_ANYWAY))
        return
    findings.requests += network.all_sizes(packets)
    findings.bar_gone += [denied.send_without_bar(packets, size) for size in denied.PACKET_SIZES]


def _in_flight(disk: Storage, findings: Findings) -> None:
    if in_flight.works_in_ram(disk):
        findings.in_flight += in_flight.all_sizes(disk)
    else:
        name = f"{disk.device}, {in_flight.COUNT} requests in flight"
        findings.checks.append(Check(name, None, FAILS_ANYWAY))


def _raised_bounce_buffer(subject: Subject, peer: Peer, folder: Path, failed: set[str]) -> list[Request]:
    """Each virtio device that failed once more, with larger bounce buffers: the one remedy of an unpatched QEMU."""
    made = []
    for device in (BLK, SCSI):
        if device in failed:
            with Storage(subject, peer, Disk(device, f",{RAISED}"), folder) as disk:
                made += storage.all_sizes(disk, (8 * KIB, 1 * MIB))
    if NET in failed:
        made += network.all_sizes(Network(subject, peer, folder, f",{RAISED}"), (8 * KIB,))
    return made


def _another_client(subject: Subject, peer: Peer, folder: Path) -> Check:
    """The first part of BAR 4 is found as the emulators before have left it."""
    left = b"left by an emulator before"
    peer.memory[: len(left)] = left
    with started(subject, peer, [], folder) as machine:
        try:
            found = machine.qtest.read(machine.memory, len(left))
        except EmulatorError as error:
            return Check("another emulator at the same peer", False, str(error))
    return Check("another emulator at the same peer", found == left, "finds the BAR as it was left")
