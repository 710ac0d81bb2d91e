# SPDX-License-Identifier: GPL-2.0-or-later
"""A running emulator with the peer's device and one other, both ready for drivers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checker.boards import RAM_SIZE
from checker.peer import IDENTITY, MEMORY_BAR, READ_ONLY_BAR, REGISTER_BAR, Peer
from checker.subject import PEER_DEVICE, CannotCheck, Subject
from drivers import pci
from drivers.pages import Pages
from machines.qtest_client import Emulator, EmulatorError, QTest

PEER_SLOT, DEVICE_SLOT = 4, 5
FIRMWARE_SIZE = 64 << 10
# What every start of it says, of the checker's own doing or of no consequence.
OF_NO_CONSEQUENCE = ("'-mon' is deprecated", "Could not enable error recovery")


@dataclass
class Machine:
    """The emulator, the peer, and where the BARs of its device are."""

    emulator: Emulator
    subject: Subject
    peer: Peer
    pages: Pages
    window: pci.Window
    registers: int
    read_only: int
    memory: int

    @property
    def qtest(self) -> QTest:
        return self.emulator.qtest

    def function(self, slot: int = DEVICE_SLOT) -> pci.Function:
        return pci.Function(self.qtest, slot, ecam=self.subject.board.ecam)

    def messages(self) -> str:
        """What the emulator has said so far."""
        lines = self.emulator.messages().splitlines()
        return "\n".join(line for line in lines if not any(text in line for text in OF_NO_CONSEQUENCE))


def region_lines(machine: Machine) -> list[str]:
    """What `info mtree` says of BAR 4's mapped parts: `ramd`, or `ramd, direct` if our series gives pointers."""
    lines = re.findall(r"\(prio \d+, (ramd[^)]*)\): .*BAR 4 (mmaps\[\d+\])", machine.emulator.monitor("info mtree"))
    return list(dict.fromkeys(f"{part}: {kind}" for kind, part in lines))


@contextmanager
def started(
    subject: Subject, peer: Peer, options: Sequence[str], folder: Path, pass_fds: Sequence[int] = ()
) -> Iterator[Machine]:
    """Start the emulator with these further arguments."""
    board = subject.board
    device = {"driver": PEER_DEVICE, "socket": {"type": "unix", "path": str(peer.socket)}, "addr": f"{PEER_SLOT:x}.0"}
    command = [
        str(subject.program), "-M", f"{board.machine},memory-backend=ram", "-accel", "qtest",
        "-m", f"{RAM_SIZE >> 20}M", "-object", f"memory-backend-memfd,id=ram,size={RAM_SIZE >> 20}M,share=on",
        "-display", "none", "-nodefaults",
        "-device", json.dumps(device), *options,
    ]  # fmt: skip
    if board.firmware_option:
        firmware = folder / "no-firmware"
        firmware.write_bytes(bytes(FIRMWARE_SIZE))
        command += [board.firmware_option, str(firmware)]
    with Emulator(command, folder / "emulator.messages", pass_fds, own_group=True) as emulator:
        try:
            board.wake(emulator.qtest)
            function = pci.Function(emulator.qtest, PEER_SLOT, ecam=board.ecam)
            if function.identity() != IDENTITY:
                raise EmulatorError(f"{PEER_DEVICE} is {function.identity():#x} instead of {IDENTITY:#x}")
            window = pci.Window(board.low_mmio, board.low_mmio_end)
            registers = window.place(function, REGISTER_BAR).address
            read_only = window.place(function, READ_ONLY_BAR).address
            memory = function.place_bar(MEMORY_BAR, pci.HIGH_MMIO).address
        except EmulatorError as error:
            said = emulator.messages().strip()
            raise CannotCheck(f"{subject.program} doesn't take the peer's device: {error}\n{said}") from None
        pages = Pages(emulator.qtest, board.ram, board.ram_end)
        yield Machine(emulator, subject, peer, pages, window, registers, read_only, memory)
