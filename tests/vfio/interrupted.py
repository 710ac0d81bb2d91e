# SPDX-License-Identifier: GPL-2.0-or-later
"""An assigned device that has raised INTx: the emulator doesn't map its BARs until the guest has served it.

Runs inside the outer VM, on its device `edu`, which raises INTx when a register is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivers import pci
from drivers.request import ANSWER_SECONDS, DeviceNeedsReset, Segment, wait_until
from drivers.virtio_blk import VirtioBlk
from machines.qtest_client import Emulator

EDU = (0x1234, 0x11E8)
REGISTER_BAR, RAISE_INTERRUPT = 0, 0x60
# Above these registers edu takes accesses of 8 bytes.
FIRST_WIDE, LENGTH = 0x80, 8192
BARS: dict[str, object] = {"path": "/machine/peripheral/assigned", "property": "bars"}


def refused(emulator: str, host_address: str, messages: Path) -> dict[str, str]:
    """Why the BAR isn't mapped after an interrupt, and what is said of a request whose data is there."""
    command = [
        emulator, "-M", "virt", "-accel", "qtest", "-m", "16M", "-display", "none", "-nodefaults",
        "-global", "virtio-mmio.force-legacy=false",
        "-blockdev", "driver=null-co,node-name=disk,size=1048576,read-zeroes=on",
        "-device", "virtio-blk-device,drive=disk", "-device", f"vfio-pci,id=assigned,host={host_address}",
    ]  # fmt: skip
    with Emulator(command, messages) as running:
        bar = pci.find(running.qtest, *EDU).place_any_bar(REGISTER_BAR, pci.LOW_MMIO)
        disk = VirtioBlk(running.qtest)

        def why_not_mapped() -> str | None:
            (listed,) = _bars(running)
            return listed.get("not-mapped")

        before = why_not_mapped()
        running.qtest.write32(bar.address + RAISE_INTERRUPT, 1)
        wait_until(lambda: why_not_mapped() is not None, "the emulator's handler of INTx", ANSWER_SECONDS)
        try:
            disk.transfer(True, 0, [Segment(bar.address + FIRST_WIDE, LENGTH)])
            outcome = "done"
        except DeviceNeedsReset:
            outcome = running.messages().strip()
        return {"before": str(before), "why": str(why_not_mapped()), "outcome": outcome}


def _bars(running: Emulator) -> list[dict[str, Any]]:
    listed = running.execute("qom-get", BARS)
    assert isinstance(listed, list)
    return listed
