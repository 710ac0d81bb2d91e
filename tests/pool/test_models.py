# SPDX-License-Identifier: GPL-2.0-or-later
"""C7, C9: a virtio device whose request can't be read answers that one as failed, and goes on with the next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import DeviceNeedsReset, Segment
from drivers.virtio import VirtioPci
from drivers.virtio_rng import VirtioRng
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, MIB, Machine, machine

BUDGET = 2 * MIB
SIZE = 8 * MIB
ROOM = 1024
UNTOUCHED = 0xAA
UNPLUGGED_INACCESSIBLE = 1 << 1
PAGE_REPORTING = 1 << 5


@dataclass(frozen=True)
class Model:
    """A virtio device, and a request that it carries out."""

    device: str
    queues: int
    queue: int
    request: bytes
    answer: bytes
    """What it writes when it has carried the request out."""
    refusal: bytes
    """What it writes when it could not read it."""
    options: tuple[str, ...] = ()
    features: int = 0
    room: int = ROOM
    """For its answer."""

    def arguments(self) -> list[str]:
        return [*self.options, "-device", f"{self.device},addr={FIRST_DISK_SLOT:x}.0"]


def le(*values: tuple[int, int]) -> bytes:
    """Values and their lengths, little-endian."""
    return b"".join(value.to_bytes(length, "little") for value, length in values)


MODELS = {
    # Tversion, and Rversion with the same version
    "9p": Model(
        "virtio-9p-pci,fsdev=shared,mount_tag=shared", 1, 0,
        le((21, 4), (100, 1), (0xFFFF, 2), (8192, 4), (8, 2)) + b"9P2000.L",
        le((21, 4), (101, 1), (0xFFFF, 2), (8192, 4), (8, 2)) + b"9P2000.L", b"",
        ("-fsdev", "local,id=shared,path=/,security_model=none,readonly=on")),
    # ATTACH of an endpoint that isn't there: NOENT (6); unreadable: DEVERR (3)
    "iommu": Model(
        "virtio-iommu-pci", 2, 0, le((1, 4), (1, 4), (0x5555, 4), (0, 8)), le((6, 4)), le((3, 4))),
    # STATE of a range beyond the device: ERROR; UNPLUG_ALL: ACK
    "mem": Model(
        "virtio-mem-pci,memdev=backend", 1, 0, le((2, 8), (0, 16)), le((0, 10)), le((3, 10)),
        ("-object", "memory-backend-ram,id=backend,size=1G", "-m", "16M,maxmem=2G"), features=UNPLUGGED_INACCESSIBLE),
    # LOGICAL UNIT RESET of a target that isn't there: BAD_TARGET; unreadable: FAILURE
    "scsi": Model("virtio-scsi-pci", 3, 0, le((0, 4), (5, 4), (0x40000501, 8), (0, 8)), le((3, 1)), le((9, 1)), room=1),
    # A console's control message, and a page for the balloon: there is no answer
    "console": Model("virtio-serial-pci", 4, 3, le((0, 4), (0, 2), (1, 2)), b"", b""),
    "balloon": Model("virtio-balloon-pci", 2, 0, le((0x40F00, 4)), b"", b""),
}  # fmt: skip
# GET_DISPLAY_INFO
GPU = Model("virtio-gpu-pci", 2, 0, le((0x100, 4), (0, 20)), le((0x1101, 4)), b"")


class Asked:
    """The device, set up, and what it answers to the model's request."""

    def __init__(self, running: Machine, model: Model) -> None:
        self._qtest = running.emulator.qtest
        self._model = model
        function = pci.Function(self._qtest, FIRST_DISK_SLOT)
        self.transport = VirtioPci(function, running.window)
        self._queue = self.transport.set_up(model.features, model.queues, running.pages)[model.queue]
        self._request, self._answer = running.pages.take(), running.pages.take()
        self._qtest.write(self._request, model.request)

    def answer(self, address: int, size: int = 0) -> bytes:
        """To the request at that address."""
        room = Segment(self._answer, self._model.room)
        self._qtest.write(room.address, bytes([UNTOUCHED]) * room.size)
        self._queue.submit([Segment(address, size or len(self._model.request))], [room] if self._model.answer else [])
        written = self._queue.wait()
        found = self._qtest.read(room.address, room.size)
        assert found[written:] == bytes([UNTOUCHED]) * (room.size - written)
        return found[:written]

    def answer_in_ram(self) -> bytes:
        return self.answer(self._request)


@pytest.mark.parametrize("name", MODELS)
def test_c7_a_request_that_is_gone_fails_alone(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    with machine(emulators.wanted("patched"), tmp_path, SIZE, model.arguments(), BUDGET) as running:
        device = Asked(running, model)
        running.fill_bar(0, model.request)
        assert device.answer(running.address) == model.answer
        running.cut_bar()
        assert device.answer(running.address) == model.refusal
        assert device.answer_in_ram() == model.answer
        running.bring_bar_back()
        running.fill_bar(0, model.request)
        assert device.answer(running.address) == model.answer


@pytest.mark.parametrize("name", MODELS)
def test_c9_a_request_that_could_never_fit_fails_alone(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    with machine(emulators.wanted("patched"), tmp_path, SIZE, model.arguments(), BUDGET) as running:
        device = Asked(running, model)
        running.fill_bar(0, model.request)
        assert device.answer(running.address, 2 * BUDGET) == model.refusal
        assert device.answer_in_ram() == model.answer


def test_c9_entropy_that_could_never_fit_fails_alone(tmp_path: Path) -> None:
    options = ["-device", f"virtio-rng-pci,addr={FIRST_DISK_SLOT:x}.0"]
    with machine(emulators.wanted("patched"), tmp_path, SIZE, options, BUDGET) as running:
        function = pci.Function(running.emulator.qtest, FIRST_DISK_SLOT)
        rng = VirtioRng(VirtioPci(function, running.window), running.pages)
        assert rng.fill([Segment(running.address, 2 * BUDGET)]) == 0
        assert rng.fill([Segment(running.address, 64)]) == 64


def test_c9_free_pages_that_could_never_fit_are_left_alone(tmp_path: Path) -> None:
    options = ["-device", f"virtio-balloon-pci,free-page-reporting=on,addr={FIRST_DISK_SLOT:x}.0"]
    data = bytes(range(256)) * (2 * BUDGET // 256)
    with machine(emulators.wanted("patched"), tmp_path, SIZE, options, BUDGET) as running:
        running.fill_bar(0, data)
        function = pci.Function(running.emulator.qtest, FIRST_DISK_SLOT)
        transport = VirtioPci(function, running.window)
        *_, reports = transport.set_up(PAGE_REPORTING, 4, running.pages)
        for size in (2 * BUDGET, 4096):
            reports.submit([], [Segment(running.address, size)])
            assert reports.wait() == 0
        assert running.bar(0, len(data)) == data


def test_c7_a_device_that_cannot_say_so_wants_a_reset(tmp_path: Path) -> None:
    model = GPU
    with machine(emulators.wanted("patched"), tmp_path, SIZE, model.arguments(), BUDGET) as running:
        running.cut_bar()
        with pytest.raises(DeviceNeedsReset):
            Asked(running, model).answer(running.address)
        assert Asked(running, model).answer_in_ram()[:4] == model.answer
