# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for virtio-net's control queue: a command that can't be had is refused, and changes nothing."""

from __future__ import annotations

from pathlib import Path

from drivers.request import Segment
from drivers.virtio import VirtioPci
from machines import emulators
from machines.bar_of_file import FIRST_FREE_SLOT, Machine, machine
from revoked.scene import AT, BAR_SIZE

# Features, queues and commands of the virtio 1.2 specification.
CONTROL_QUEUE, CONTROL_RECEIVE = 1 << 17, 1 << 18
CONTROL, QUEUES = 2, 3
PROMISCUOUS = bytes([0, 0])
NO_ANSWER_YET, OK, ERROR = 0xFF, 0, 1


def is_promiscuous(running: Machine) -> bool:
    filters = running.emulator.execute("query-rx-filter", {})
    assert isinstance(filters, list)
    return bool(filters[0]["promiscuous"])


def test_c7_a_control_command_whose_data_is_gone_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    card = ["-netdev", "hubport,id=hub,hubid=0", "-device"]
    card += [f"virtio-net-pci,netdev=hub,romfile=,addr={FIRST_FREE_SLOT:x}.0"]
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, card) as running:
        qtest = running.emulator.qtest
        transport = VirtioPci(running.function(FIRST_FREE_SLOT), running.window)
        queue = transport.set_up(CONTROL_QUEUE | CONTROL_RECEIVE, QUEUES, running.pages)[CONTROL]
        page = running.pages.take()
        qtest.write(page, PROMISCUOUS)
        command, answer = Segment(page, len(PROMISCUOUS)), Segment(page + 16, 1)
        switch = Segment(running.address + AT, 1)

        def ask() -> int:
            qtest.write8(answer.address, NO_ANSWER_YET)
            queue.submit([command, switch], [answer])
            queue.wait()
            return qtest.read8(answer.address)

        running.fill_bar(AT, bytes([0]))
        assert (ask(), is_promiscuous(running)) == (OK, False)
        running.cut_bar()
        assert (ask(), is_promiscuous(running)) == (ERROR, False)
        running.bring_bar_back()
        running.fill_bar(AT, bytes([1]))
        assert (ask(), is_promiscuous(running)) == (OK, True)
