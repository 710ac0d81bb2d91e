# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that DMA is refused to says what is at the address, whose it is, and what can be done about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers import pci
from drivers.request import DeviceNeedsReset, Segment
from drivers.virtio import VirtioPci
from drivers.virtio_blk import VirtioBlk
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, MIB, machine

KNOWN_MESSAGE = "virtio: bogus descriptor or out of resources"
BOUNCE_BUFFER = 4096
# Of `-M virt`: flash, and a hole. The registers of edu are where the test puts them.
FLASH, HOLE, EDU_REGISTERS = 0x0, 0x0F00_0000, 0x2800_0000
EDU_SLOT = FIRST_DISK_SLOT + 1
OWN_ADDRESS_SPACE = ",iommu_platform=on,disable-legacy=on"
RAISE_DEVICES = "x-max-bounce-buffer-size=SIZE on the device 'virtio-blk-pci' raises it"
RAISE_MACHINES = (
    "iommu_platform=on,x-max-bounce-buffer-size=SIZE on the device that does the DMA raises it, if it is a PCI device"
)


def said_of(tmp_path: Path, address: int, options: str = "") -> list[str]:
    """What is said of a request of two bounce buffers' size at that address."""
    disk = [
        "-blockdev", f"driver=null-co,node-name=disk,size={MIB},read-zeroes=on",
        "-device", f"virtio-blk-pci,drive=disk,addr={FIRST_DISK_SLOT:x}.0{options}",
        "-device", f"edu,id=teacher,addr={EDU_SLOT:x}.0",
    ]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, MIB, disk) as running:
        qtest = running.emulator.qtest
        pci.Function(qtest, EDU_SLOT).place_any_bar(0, EDU_REGISTERS)
        blk = VirtioBlk(qtest, VirtioPci(pci.Function(qtest, FIRST_DISK_SLOT), running.window), running.pages)
        with pytest.raises(DeviceNeedsReset):
            blk.transfer(True, 0, [Segment(address, 2 * BOUNCE_BUFFER)])
        return running.emulator.messages().splitlines()[-2:]


@pytest.mark.parametrize(("options", "remedy"), [("", RAISE_MACHINES), (OWN_ADDRESS_SPACE, RAISE_DEVICES)],
                         ids=["machine's", "device's own"])  # fmt: skip
def test_registers_of_another_device_are_named_with_the_bound_that_can_be_raised(
    tmp_path: Path, options: str, remedy: str
) -> None:
    refused, known = said_of(tmp_path, EDU_REGISTERS, options)
    assert known.endswith(KNOWN_MESSAGE)
    assert refused.endswith(
        f"DMA to {EDU_REGISTERS + BOUNCE_BUFFER:#x}: 'edu-mmio' of edu 'teacher' is not memory, and the bounce buffers"
        f" of {BOUNCE_BUFFER} bytes are in use; {remedy}"
    )


def test_flash_is_named(tmp_path: Path) -> None:
    refused, known = said_of(tmp_path, FLASH)
    assert known.endswith(KNOWN_MESSAGE)
    assert "'virt.flash0' of cfi.pflash01 is not memory" in refused


def test_a_hole_is_called_one(tmp_path: Path) -> None:
    refused, known = said_of(tmp_path, HOLE)
    assert known.endswith(KNOWN_MESSAGE)
    assert refused.endswith(": nothing is there")
