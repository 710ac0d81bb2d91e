# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for devices that are neither disks nor network cards."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from drivers.request import ANSWER_SECONDS, Segment, wait_until
from drivers.virtio import VirtioPci
from drivers.virtio_rng import VirtioRng
from machines import emulators
from machines.bar_of_file import FIRST_FREE_SLOT, Machine, machine
from revoked.scene import AT, BAR_SIZE, MIB, PAGE, digest

SLOT = f"addr={FIRST_FREE_SLOT:x}.0"
TRANSMIT, QUEUES = 1, 2


def transport(running: Machine) -> VirtioPci:
    return VirtioPci(running.function(FIRST_FREE_SLOT), running.window)


@pytest.mark.parametrize("size", [64, 4 * PAGE])
def test_c7_entropy_that_goes_into_a_bar_that_is_gone_is_lost_and_changes_no_byte(tmp_path: Path, size: int) -> None:
    source = tmp_path / "entropy"
    entropy = random.Random("entropy").randbytes(MIB)
    source.write_bytes(entropy)
    options = [
        "-object", f"rng-random,id=entropy,filename={source}", "-device", f"virtio-rng-pci,rng=entropy,{SLOT}",
    ]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options) as running:
        qtest = running.emulator.qtest
        guard = running.pages.take(16 * PAGE)
        before = digest(qtest.read(guard, 16 * PAGE))
        rng = VirtioRng(transport(running), running.pages)
        into = [Segment(running.address + AT, size)]
        running.cut_bar()
        rng.fill(into)
        assert digest(qtest.read(guard, 16 * PAGE)) == before
        running.bring_bar_back()
        back = random.Random("bar").randbytes(BAR_SIZE)
        running.fill_bar(0, back)
        written = rng.fill(into)
        assert written > 0
        assert (new := running.bar(AT, written)) in entropy
        assert digest(running.bar(0, BAR_SIZE)) == digest(back[:AT] + new + back[AT + written :])


@pytest.mark.parametrize("size", [64, 4 * PAGE])
def test_c7_what_a_console_shall_print_and_is_gone_is_not_printed(tmp_path: Path, size: int) -> None:
    output = tmp_path / "output"
    options = [
        "-device", f"virtio-serial-pci,id=serial,{SLOT}", "-chardev", f"file,id=output,path={output}",
        "-device", "virtconsole,chardev=output",
    ]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, options) as running:
        queue = transport(running).set_up(0, QUEUES, running.pages)[TRANSMIT]
        text = random.Random(size).randbytes(size)
        data = [Segment(running.address + AT, size)]
        running.cut_bar()
        queue.submit(data, [])
        queue.wait()
        running.bring_bar_back()
        running.fill_bar(AT, text)
        queue.submit(data, [])
        queue.wait()
        wait_until(lambda: output.stat().st_size >= size, "the console", ANSWER_SECONDS)
        assert output.read_bytes() == text
