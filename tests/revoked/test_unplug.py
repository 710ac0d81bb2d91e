# SPDX-License-Identifier: GPL-2.0-or-later
"""C10 where nobody but a request of an iothread refers any more to the device that was unplugged.

The old map of memory refers to it, too, for a while: what drops that reference must be done before the request is.
"""

from __future__ import annotations

import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import ANSWER_SECONDS, Segment, wait_until
from drivers.virtio import VirtioPci
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN
from machines import emulators
from machines.bar_of_file import FIRST_FREE_SLOT, ROOT_PORT_SLOT, Machine, machine
from machines.qtest_client import EmulatorError
from revoked.scene import BAR_SIZE, DISK_SIZE, MIB

OK = 0
# What the emulator tells: the disk has taken the read; a map of memory is given up; it is gone, with its references.
TAKEN, GIVEN_UP, GONE = "virtio_blk_handle_read ", "flatview_destroy_rcu ", "flatview_destroy "
TRACES = [word for event in (TAKEN, GIVEN_UP, GONE) for word in ("-trace", event.strip())]


@dataclass
class Held:
    """A machine whose disk has a read under way, into the BAR of a device that is unplugged."""

    machine: Machine
    status: int

    def resume(self) -> None:
        """Let the read go on, if it has got where it is held."""
        self.debug("resume held")

    def debug(self, command: str) -> None:
        self.machine.emulator.monitor(f'qemu-io -d /machine/peripheral/disk/virtio-backend "{command}"')

    def answer(self) -> int:
        return self.machine.emulator.qtest.read8(self.status)


@contextmanager
def held(folder: Path, direct: bool, size: int) -> Iterator[Held]:
    image = folder / "image"
    image.write_bytes(bytes(DISK_SIZE))
    options = [
        "-object", "iothread,id=thread", *TRACES,
        "-blockdev", f"driver=file,node-name=file,filename={image}",
        "-blockdev", "driver=blkdebug,node-name=debug,image=file",
        "-blockdev", "driver=raw,node-name=disk,file=debug",
        "-device", f"virtio-blk-pci,id=disk,drive=disk,iothread=thread,num-queues=1,addr={FIRST_FREE_SLOT:x}.0",
    ]  # fmt: skip
    emulator = emulators.wanted("patched")
    with machine(emulator, folder, BAR_SIZE, options, direct=direct, behind_port=True) as running:
        head = running.pages.take()
        set_up = Held(running, head + HEADER_SIZE)
        (queue,) = VirtioPci(running.function(FIRST_FREE_SLOT), running.window).set_up(0, 1, running.pages)
        header = struct.pack("<IIQ", REQUEST_IN, 0, 0) + bytes([NO_STATUS_YET])
        running.emulator.qtest.write(head, header)
        set_up.debug("break read_aio held")
        queue.submit([Segment(head, HEADER_SIZE)], [Segment(running.address, size), Segment(set_up.status, 1)])
        wait_until(lambda: TAKEN in running.emulator.messages(), "the disk", ANSWER_SECONDS)
        pci.set_slot_power(running.function(ROOT_PORT_SLOT), on=False)

        def only_the_request_refers_to_it() -> bool:
            said = running.emulator.messages()
            return 0 < said.count(GIVEN_UP) == said.count(GONE)

        wait_until(only_the_request_refers_to_it, "the old map of memory", ANSWER_SECONDS)
        yield set_up


@pytest.mark.parametrize("size", [4096, MIB])
def test_c10_the_request_is_answered_and_the_machine_lives(tmp_path: Path, size: int) -> None:
    with held(tmp_path, direct=False, size=size) as set_up:

        def answered() -> bool:
            set_up.resume()
            return set_up.answer() != NO_STATUS_YET

        wait_until(answered, "the disk", ANSWER_SECONDS)
        assert set_up.answer() == OK
        assert "ram-device-testdev" not in set_up.machine.emulator.monitor("info qtree")


@pytest.mark.parametrize("size", [4096, MIB])
def test_with_pointers_the_device_is_finalized_outside_the_main_loop_and_the_machine_ends(
    tmp_path: Path, size: int
) -> None:
    with held(tmp_path, direct=True, size=size) as set_up:

        def ended() -> bool:
            try:
                set_up.resume()
            except EmulatorError:
                return True
            return False

        wait_until(ended, "the emulator's end", ANSWER_SECONDS)
        assert set_up.machine.emulator.ended_by_signal() == signal.SIGABRT
