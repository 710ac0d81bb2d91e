# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the outer VM: gives a device of its to inner emulators, and carries out the plan with each.

    inside.py WORK

Writes one JSON object a line to WORK/results.jsonl, which the host follows: {"mtree": ...}
and {"savevm": ...} for each emulator once its BAR is placed, {"outcome": ...} for each transfer, {"bars": ...}
at the end of each one that has that property, and {"doctor": ...} at the end of the plan; {"interrupted": ...} for
what interrupted.py is asked for.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from doctor.asking import doctor
from drivers import pci
from drivers.request import DeviceNeedsReset, RequestFailed, Segment
from drivers.virtio_blk import SECTOR, VirtioBlk
from machines import assigned
from machines.qtest_client import Emulator, EmulatorError
from vfio import interrupted
from vfio.transfers import IO_ERROR, LOST_DEVICE, LOST_EMULATOR, OK, TO_BAR, WRONG, Outcome, Transfer, Variant, planned

RESULTS_FILE = "results.jsonl"
ASSIGNED = "/machine/peripheral/assigned"
BARS: dict[str, object] = {"path": ASSIGNED, "property": "bars"}
# A block device and no file of the work folder: 9p pins the pages of a larger read or write, which the kernel refuses
# of a direct BAR (EFAULT); here the data goes through the page cache.
OUTER_DISK = Path("/dev/vda")
# The work folder's file system has no sockets.
QMP_SOCKET = Path("/dev/inner-qmp")


@dataclass(frozen=True)
class InnerMachine:
    """A running inner emulator with the assigned device's BAR placed and a driver on its disk."""

    emulator: Emulator
    bar: pci.Bar
    disk: VirtioBlk


def messages_file(variant: Variant, work: Path) -> Path:
    """Where all that the variant's emulators say is kept."""
    return work / f"{variant.name.replace(' ', '-')}.messages"


@contextmanager
def inner_machine(variant: Variant, work: Path, host_address: str) -> Iterator[InnerMachine]:
    """A fresh emulator of the variant."""
    device = ",".join(filter(None, ["vfio-pci,id=assigned", f"host={host_address}", variant.properties]))
    command = [
        variant.emulator, "-M", "virt", *variant.accelerator, "-m", "16M", "-display", "none", "-nodefaults",
        "-global", "virtio-mmio.force-legacy=false",
        "-drive", ",".join(filter(None, ["if=none,id=disk,format=raw", f"file={OUTER_DISK}", variant.drive])),
        "-device", "virtio-blk-device,drive=disk", "-device", device,
        "-qmp", f"unix:{QMP_SOCKET},server=on,wait=off",
    ]  # fmt: skip
    with Emulator(command, messages_file(variant, work)) as emulator:
        try:
            bar = pci.find(emulator.qtest, *variant.memory.device).place_bar(variant.memory.bar, pci.HIGH_MMIO)
            disk = VirtioBlk(emulator.qtest)
        except EmulatorError as error:
            raise SystemExit(f"{variant.name}: {error}; {emulator.state()}\n{emulator.messages()}") from None
        yield InnerMachine(emulator, bar, disk)


def carry_out(transfer: Transfer, machine: InnerMachine) -> tuple[str, str]:
    """Make one transfer; OK if the BAR then holds what the disk holds, and the sha256 of what it holds."""
    begin = address = machine.bar.address + transfer.bar_offset
    segments = []
    for size in transfer.pieces():
        segments.append(Segment(address, size))
        address += size
    machine.disk.transfer(transfer.direction == TO_BAR, transfer.disk_offset // SECTOR, segments)
    in_bar = machine.emulator.qtest.read(begin, transfer.size)
    with OUTER_DISK.open("rb") as file:
        file.seek(transfer.disk_offset)
        on_disk = file.read(transfer.size)
    return OK if in_bar == on_disk else WRONG, hashlib.sha256(in_bar).hexdigest()


def attempt(transfer: Transfer, machine: InnerMachine, variant: Variant) -> Outcome:
    """Make one transfer, come what may; a failure's message has all that the emulator said meanwhile."""
    said, sha256, reason = len(machine.emulator.messages()), "", ""
    try:
        verdict, sha256 = carry_out(transfer, machine)
    except DeviceNeedsReset:
        verdict = LOST_DEVICE
    except RequestFailed as failed:
        verdict, reason = IO_ERROR, str(failed)
    except EmulatorError as gone:
        verdict, reason = LOST_EMULATOR, f"{gone}; {machine.emulator.state()}"
    message = "\n".join(filter(None, [reason, machine.emulator.messages()[said:].strip()]))
    return Outcome(variant.name, transfer, verdict, message, sha256)


def run_variant(variant: Variant, work: Path, host_address: str) -> Iterator[dict[str, object]]:
    """Every transfer of the plan; the emulator is started afresh after each one that fails."""
    messages_file(variant, work).unlink(missing_ok=True)
    left = list(variant.transfers)
    while left:
        with inner_machine(variant, work, host_address) as machine:
            if len(left) == len(variant.transfers):
                for question, command in (("mtree", "info mtree"), ("savevm", "savevm snapshot")):
                    yield {question: {"variant": variant.name, "text": machine.emulator.monitor(command)}}
            verdict = OK
            while left and verdict == OK:
                outcome = attempt(left.pop(0), machine, variant)
                verdict = outcome.verdict
                yield {"outcome": asdict(outcome)}
            if verdict != LOST_EMULATOR and "bars" in properties(machine):
                yield {"bars": {"variant": variant.name, "value": machine.emulator.execute("qom-get", BARS)}}
            if verdict != LOST_EMULATOR and not left:
                asked = doctor("--qmp", QMP_SOCKET, "--json", "--timeout", "300")
                yield {"doctor": {"variant": variant.name, "run": asdict(asked)}}


def properties(machine: InnerMachine) -> set[str]:
    """The names of what can be asked of the assigned device."""
    listed = machine.emulator.execute("qom-list", {"path": ASSIGNED})
    assert isinstance(listed, list)
    return {found["name"] for found in listed}


def main() -> None:
    work = Path(sys.argv[1])
    with (work / RESULTS_FILE).open("a", buffering=1) as results:
        for variant in planned(work):
            host_address = assigned.find(*variant.memory.device)
            assigned.give_to_vfio(host_address, variant.memory.driver)
            for result in run_variant(variant, work, host_address):
                results.write(json.dumps(result) + "\n")
            if variant.is_interrupted:
                edu = assigned.find(*interrupted.EDU)
                assigned.give_to_vfio(edu)
                told = interrupted.refused(variant.emulator, edu, work / "edu.messages")
                results.write(json.dumps({"interrupted": told}) + "\n")


if __name__ == "__main__":
    main()
