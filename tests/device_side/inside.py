# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the outer VM: accesses its NVMe controller's memory BAR through inner emulators, and without one.

    inside.py WORK

WORK/plan.json lists the emulators. Writes one JSON object a line to WORK/results.jsonl, which the host follows:
{"mtree": ...} for each emulator, {"wrong": ...} for each read whose result isn't what the BAR holds, {"done": ...}.
"""

from __future__ import annotations

import base64
import ctypes
import json
import mmap
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from device_side import rings
from device_side.accesses import (
    BAR_SIZE,
    MARKER,
    NO_ACTION,
    READ_AREA,
    REQUEST,
    SINGLE,
    Action,
    actions,
    read_area,
    requests,
    ring_requests,
    scsi_request,
)
from device_side.one_instruction import OneInstruction
from device_side.planned import (
    INSTRUCTIONS,
    MEMORY_BAR,
    NVME,
    PLAN_FILE,
    RESULTS_FILE,
    STARTED,
    STOCK,
    Machine,
    first_sector,
    instructions,
    marker,
)
from drivers import pci
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, Segment, wait_until
from drivers.virtio import VirtioMmio
from drivers.virtio_blk import VirtioBlk
from drivers.virtio_scsi import VirtioScsi
from machines import assigned
from machines.qtest_client import Emulator, EmulatorError, QTest

OUTER_DISK = Path("/dev/vda")
# A load or store of each width, as the qtest protocol names it.
SUFFIXES = {1: "b", 2: "w", 4: "l", 8: "q"}
# Commands that are sent at once: more of them could fill both directions of the socket.
BATCH = 16
PORT_SLOT, BEHIND_PORT = 2, 1
# virtio's number for a SCSI controller, and what its disk says that it has.
SCSI_CONTROLLER, SCSI_DISK_SIZE = 8, 1 << 20


def make_instructions(function: Path) -> None:
    """Access the BAR with one instruction each: nothing lies between it and the device but the outer CPU."""
    (function / "enable").write_text("1")
    with (function / f"resource{MEMORY_BAR}").open("r+b") as file:
        bar = mmap.mmap(file.fileno(), BAR_SIZE)
    begin, cpu = ctypes.addressof(ctypes.c_char.from_buffer(bar)), OneInstruction()
    for number, access in enumerate(instructions(), start=1):
        cpu.store[8](begin + MARKER, marker(INSTRUCTIONS, number))
        if access.store:
            cpu.store[access.width](begin + access.offset, 0)
        else:
            cpu.load[access.width](begin + access.offset)
    cpu.store[8](begin + MARKER, marker(0, STARTED))
    (function / "enable").write_text("0")


class Run:
    """All actions of one inner emulator."""

    def __init__(self, place: int, machine: Machine, emulator: Emulator) -> None:
        self._place = place
        self._is_stock = machine.name == STOCK
        self._qtest: QTest = emulator.qtest
        self._bar = pci.find(emulator.qtest, *NVME).place_bar(MEMORY_BAR, pci.HIGH_MMIO).address
        pages = Pages(emulator.qtest)
        self._disk = VirtioBlk(emulator.qtest, pages=pages)
        self._scsi_disk = VirtioScsi(VirtioMmio(emulator.qtest, SCSI_CONTROLLER), pages)

    def carry_out(self) -> Iterator[int]:
        """Make all actions; the numbers of the guest's reads that gave something else than the BAR holds."""
        self._qtest.command(self._mark(NO_ACTION))
        area = read_area()
        for offset in range(0, len(area), 4096):
            self._qtest.write(self._bar + READ_AREA + offset, area[offset : offset + 4096])
        guests = [action for action in actions() if action.means != REQUEST]
        for first in range(0, len(guests), BATCH):
            batch = guests[first : first + BATCH]
            lines = [
                line for action in batch for line in (self._mark(self._number(action)), self._guest_access(action))
            ]
            for action, reply in zip(batch, self._qtest.commands(lines)[1::2], strict=True):
                if not action.store and self._loaded(action, reply) != action.data():
                    yield action.number
        for request in requests():
            self._qtest.command(self._mark(self._number(request)))
            segments = [Segment(self._bar + piece.offset, piece.length) for piece in request.pieces]
            self._disk.transfer(request.store, first_sector(self._place, request), segments)
        if not self._is_stock:
            self._qtest.command(self._mark(self._number(scsi_request())))
            piece, _ = scsi_request().pieces
            self._scsi_disk.transfer(False, 0, [Segment(self._bar + piece.offset, piece.length)])
        self._qtest.command(self._mark(NO_ACTION))
        rings.make_requests(
            self._qtest,
            self._bar,
            [partial(self._qtest.command, self._mark(marker(self._place, number))) for number in ring_requests()],
            partial(self._qtest.command, self._mark(NO_ACTION)),
        )
        self._qtest.command(self._mark(marker(self._place + 1, STARTED)))

    def _number(self, action: Action) -> int:
        return marker(self._place, action.number)

    def _mark(self, number: int) -> str:
        return f"writeq {self._bar + MARKER:#x} {number:#x}"

    def _guest_access(self, action: Action) -> str:
        """The command that makes it."""
        (piece,) = action.pieces
        address = self._bar + piece.offset
        if action.means == SINGLE:
            suffix = SUFFIXES[piece.length]
            if action.store:
                return f"write{suffix} {address:#x} {int.from_bytes(action.data(), 'little'):#x}"
            return f"read{suffix} {address:#x}"
        if action.store:
            return f"b64write {address:#x} {piece.length:#x} {base64.b64encode(action.data()).decode()}"
        return f"b64read {address:#x} {piece.length:#x}"

    def _loaded(self, action: Action, reply: str) -> bytes:
        if action.means == SINGLE:
            return int(reply, 0).to_bytes(8, "little")[: action.length]
        return base64.b64decode(reply)


def lost(machine: Machine, emulator: Emulator, error: EmulatorError) -> SystemExit:
    return SystemExit(f"{machine.name}: {error}; {emulator.state()}\n{emulator.messages()}")


def plug_in_and_reset(emulator: Emulator, device: str) -> None:
    """Let the device come while the machine runs, place its BAR, reset the machine, and place it again."""
    port, plugged = pci.Function(emulator.qtest, PORT_SLOT), pci.Function(emulator.qtest, 0, BEHIND_PORT)
    pci.open_port(port, BEHIND_PORT)
    if refused := emulator.monitor(f"device_add {device},bus=behind"):
        raise EmulatorError(f"device_add was answered: {refused}")
    pci.set_slot_power(port, on=True)
    plugged.place_bar(MEMORY_BAR, pci.HIGH_MMIO)
    emulator.monitor("system_reset")
    wait_until(lambda: not port.config16(pci.COMMAND), "the reset", ANSWER_SECONDS)
    pci.open_port(port, BEHIND_PORT)
    if plugged.config16(pci.COMMAND) & pci.COMMAND_MEMORY:
        raise EmulatorError("the reset didn't reach the device")
    plugged.place_bar(MEMORY_BAR, pci.HIGH_MMIO)


def run_machine(place: int, machine: Machine, host_address: str, work: Path) -> Iterator[dict[str, object]]:
    """All that is to be reported of one emulator. Before a guest makes any access, the device comes in two ways."""
    device = ",".join(filter(None, ["vfio-pci", f"host={host_address}", machine.properties]))
    command = [machine.emulator, "-M", "virt", "-accel", "qtest", "-m", "16M", "-display", "none", "-nodefaults"]
    port = ["-device", f"pcie-root-port,id=behind,chassis=1,slot=1,addr={PORT_SLOT:x}.0"]
    with Emulator([*command, *port], work / f"{place}.messages") as emulator:
        try:
            plug_in_and_reset(emulator, device)
        except EmulatorError as error:
            raise lost(machine, emulator, error) from None
    command += [
        "-global", "virtio-mmio.force-legacy=false", "-drive", f"if=none,id=disk,format=raw,file={OUTER_DISK}",
        "-device", "virtio-blk-device,drive=disk", "-device", "virtio-scsi-device",
        "-blockdev", f"driver=null-co,node-name=nothing,size={SCSI_DISK_SIZE}", "-device", "scsi-hd,drive=nothing",
        "-device", device,
    ]  # fmt: skip
    with Emulator(command, work / f"{place}.messages") as emulator:
        try:
            run = Run(place, machine, emulator)
            yield {"mtree": {"machine": machine.name, "text": emulator.monitor("info mtree")}}
            for number in run.carry_out():
                yield {"wrong": {"machine": machine.name, "action": number}}
        except EmulatorError as error:
            raise lost(machine, emulator, error) from None
        yield {"done": {"machine": machine.name}}


def main() -> None:
    work = Path(sys.argv[1])
    machines = [Machine(**planned) for planned in json.loads((work / PLAN_FILE).read_text())]
    host_address = assigned.find(*NVME)
    make_instructions(assigned.FUNCTIONS / host_address)
    assigned.give_to_vfio(host_address)
    with (work / RESULTS_FILE).open("a", buffering=1) as results:
        for place, machine in enumerate(machines):
            for result in run_machine(place, machine, host_address, work):
                results.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
