# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets whose data is in RAM, and the same into and out of a BAR: from one virtio-net to another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import net_machine
from bench.net_machine import NetMachine
from bench.places_machine import NewLayout
from bench.ratio import KIB
from bench.turns import Effort, Row, in_turns
from drivers.request import RequestFailed
from machines.error import MachineError
from machines.qtest_client import EmulatorError

DEVICE = "two cards on a hub"
# Ethernet's usual one, and what a guest sends that leaves it to the device to divide packets.
SIZES = (1500, 64 * KIB)
PLOTTED_SIZES = (256, 1500, 4 * KIB, 16 * KIB, 64 * KIB)


def measure(machine: NetMachine, effort: Effort, sizes: Sequence[int]) -> Iterator[Row]:
    """All sizes, both ways, in all places of one machine."""
    for length in sizes:
        for is_sent in (True, False):
            for place in machine.places:
                machine.check_contents(is_sent, length, place, f"{is_sent} {length} {place.name}")
            packets = {place.name: machine.packets(is_sent, length, place) for place in machine.places}
            for place_name, ram, other in in_turns(machine.emulator, machine.driver, packets, effort):
                yield Row(DEVICE, place_name, "transmit" if is_sent else "receive", length, ram, other)


def compare(new_layout: NewLayout, folder: Path, effort: Effort, sizes: Sequence[int] = SIZES) -> list[Row]:
    """All of that on an emulator."""
    messages = folder / "messages"
    messages.write_bytes(b"")
    try:
        with net_machine.start(new_layout, folder) as machine:
            return list(measure(machine, effort, sizes))
    except (EmulatorError, RequestFailed) as error:
        raise MachineError(f"virtio-net: {error}\n{messages.read_text(errors='replace')}") from None
