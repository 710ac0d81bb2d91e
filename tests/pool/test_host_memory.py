# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: when the host has no memory for a buffer, the request that wants it fails, and later ones are carried out."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.nvme import BLOCK, Nvme
from drivers.request import RequestFailed, Segment, wait_until
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, FIRST_DISK_SLOT, MIB, Batch, Machine, disk_options, machine

SIZE, CHUNK = 64 * 1024, 2 * MIB
# For what else the emulator may map meanwhile: a coroutine's stack is 1 MiB, and the pool asks for 4.
LEEWAY = 3 * MIB


@contextmanager
def no_more_memory(running: Machine) -> Iterator[None]:
    """The host gives the emulator no more address space than it has, and some leeway."""
    pid = running.emulator.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + LEEWAY
    before = resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    yield
    resource.prlimit(pid, resource.RLIMIT_AS, before)


@pytest.mark.parametrize("from_disk", [True, False])
def test_c9_a_request_without_memory_fails_and_the_next_one_does_not(tmp_path: Path, from_disk: bool) -> None:
    image = tmp_path / "disk"
    image.write_bytes(random.Random(1).randbytes(MIB))
    options = ["-blockdev", f"driver=file,node-name=file,filename={image}",
               "-device", f"nvme,drive=file,serial=1,addr={FIRST_DISK_SLOT:x}.0"]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, MIB, options) as running:
        running.fill_bar(0, random.Random(2).randbytes(SIZE))
        disk = Nvme(running.function(FIRST_DISK_SLOT), running.window, running.pages)
        # What a request needs besides is there from the first one on.
        disk.transfer(True, SIZE // BLOCK, [Segment(running.pages.take(SIZE), SIZE)])
        with no_more_memory(running), pytest.raises(RequestFailed):
            disk.transfer(from_disk, 0, [Segment(running.address, SIZE)])
        disk.transfer(from_disk, 0, [Segment(running.address, SIZE)])
        assert running.bar(0, SIZE) == image.read_bytes()[:SIZE]


def not_inherited(pid: int) -> int:
    """KiB of the emulator's mappings that a child of its doesn't get, when it forks."""
    flagged = total = 0
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "Size":
            total = int(value.split()[0])
        elif name == "VmFlags" and "dc" in value.split():
            flagged += total
    return flagged


def test_c9_no_child_of_the_emulator_shares_a_buffer(tmp_path: Path) -> None:
    """A page that both have is copied when one writes to it, and DMA that is under way goes on in the old one."""
    image = tmp_path / "disk"
    image.write_bytes(bytes(MIB))
    with machine(emulators.wanted("patched"), tmp_path, MIB, disk_options(0, image)) as running:
        batch = Batch(running, running.disk(0)[0])
        before = not_inherited(running.emulator.pid)
        batch.submit(True, 0, running.address, SIZE)
        wait_until(batch.is_answered, "a batch of requests", EVERY_ANSWER_SECONDS)
        assert not_inherited(running.emulator.pid) == before + CHUNK // 1024
