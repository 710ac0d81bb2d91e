#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes an assigned device's BAR away, and gives it back, while requests into it are in flight; counts who survives.

    run_storm.py --patched EMULATOR [--stock EMULATOR] --work FOLDER [--times N]

All of it is in one outer VM, on the kernel's vfio-pci and on a driver whose mappings never revive. N multiplies the
revocations of each storm.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from machines import outer_vm
from machines.error import MachineError
from machines.outer_vm import OuterVm
from storm import scenarios
from storm.blk_traffic import DISK_SIZE, MIB, SLOTS, ZeroesTraffic
from storm.scenarios import EAGER, Result, Storm

MEMORY_SIZE = 8 * MIB
CLUSTER = 4096
# What the driver in eager_driver/ was written for: vfio-pci-core is another one in each kernel.
EAGER_DRIVERS_KERNEL = "6.1"
QCOW2_ROOM = 8 * MIB
# What one storm may take on a busy host, with the VM's start, and with an emulator that hangs, of which the VM has to
# say so; and how many VMs may stall.
STORM_SECONDS, REVOCATION_SECONDS, MAY_STALL = 1500.0, 0.2, 1


def run(
    storms: Sequence[Storm],
    work: Path,
    progress: Callable[[Result], None],
    vm: OuterVm | None = None,
    storm_seconds: float = STORM_SECONDS,
) -> list[Result]:
    """Carry the storms out in one outer VM; if it stalls, those that it leaves undone in another one.

    It is the usual one with the devices and drivers that the storms need, or the given one, which has them.

    An emulator that dies, hangs or errs gives a result, or is an error of the script's. A VM that shows nothing any
    more need not say anything of the emulator: Debian's kernel under TCG was seen to stall on busy hosts (its timers
    don't ring any more), in another storm each time. But a fault of the emulator could be the reason, so it is told,
    and isn't taken for that twice.
    """
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []

    def take(line: str) -> None:
        results.append(scenarios.result(line))
        progress(results[-1])

    stalled: list[str] = []
    with tempfile.TemporaryDirectory(dir=work, prefix="module-") as scratch:
        if vm is None:
            drivers = (eager_driver(Path(scratch)),) if any(storm.driver == EAGER for storm in storms) else ()
            vm = replace(outer_vm.usual(), devices=tuple(assignable_devices()), own_modules=drivers)
        while len(results) < len(storms):
            try:
                _run_in_vm(vm, storms[len(results) :], work, storm_seconds, take)
            except outer_vm.Stalled as error:
                storm = next((storm.sentence() for storm in storms[len(results) :]), "nothing, all was done")
                stalled.append(f"an outer VM stalled in: {storm}\n{error}")
                if len(stalled) > MAY_STALL:
                    raise MachineError("\n".join(stalled)) from error
    print(f"{len(stalled)} outer VMs stalled, of {MAY_STALL} that may", *stalled, sep="\n")
    return results


def eager_driver(folder: Path) -> Path:
    """The module of the driver whose mappings never revive, built in that folder."""
    builder = outer_vm.module_builder(outer_vm.debian_kernel())
    return builder.built(Path(__file__).with_name("eager_driver"), folder / "eager_driver")


def why_no_eager_driver() -> str:
    """Why it can't be had here; nothing if it can."""
    kernel = outer_vm.debian_kernel()
    if not kernel.version.startswith(f"{EAGER_DRIVERS_KERNEL}."):
        return f"it is for Linux {EAGER_DRIVERS_KERNEL}, and the outer VM has {kernel.version}"
    missing = outer_vm.module_builder(kernel).missing_programs()
    return f"it is built with {' and '.join(missing)}, which isn't here" if missing else ""


def _run_in_vm(
    vm: OuterVm, storms: Sequence[Storm], work: Path, storm_seconds: float, take: Callable[[str], None]
) -> None:
    scenarios.write(work, storms)
    vm.run(
        work,
        command=vm.python(Path(__file__).with_name("inside.py"), str(work)),
        devices=_disks(work),
        timeout=storm_seconds + REVOCATION_SECONDS * max(storm.revocations for storm in storms),
        follow=work / scenarios.RESULTS_FILE,
        on_line=take,
    )


def assignable_devices() -> list[str]:
    """The outer VM's arguments for two devices to assign, each behind a port of its own."""
    arguments = []
    for number, device in enumerate(("ivshmem-plain,memdev=memory0", "nvme,serial=storm,pmrdev=memory1")):
        port = f"id=port{number},chassis={number + 1},slot={number + 1},addr={0x10 + number:x}.0"
        arguments += [
            "-object", f"memory-backend-ram,id=memory{number},size={MEMORY_SIZE}",
            "-device", f"pcie-root-port,{port}",
            "-device", f"{device},bus=port{number}",
        ]  # fmt: skip
    return arguments


def _disks(work: Path) -> list[str]:
    (work / "disk.raw").write_bytes(random.Random("storm").randbytes(DISK_SIZE))
    _make_unallocated(work / "disk.qcow2")
    arguments = []
    for name in ("disk.raw", "disk.qcow2"):
        arguments += ["-drive", f"if=virtio,format=raw,cache=unsafe,file={work / name}"]
    return arguments


def _make_unallocated(image: Path) -> None:
    """A disk whose clusters are unallocated, each in a table of its own, which must be read before that is known."""
    image.unlink(missing_ok=True)
    size = SLOTS * ZeroesTraffic.STRIDE
    tables = [
        f"write -q {end - CLUSTER} {CLUSTER}" for end in range(ZeroesTraffic.STRIDE, size + 1, ZeroesTraffic.STRIDE)
    ]
    for command in (
        ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"cluster_size={CLUSTER}", str(image), str(size)],
        ["qemu-io", "-f", "qcow2", *(word for table in tables for word in ("-c", table)), str(image)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MachineError(f"{' '.join(command[:2])} failed: {done.stdout}{done.stderr}")
    with image.open("r+b") as file:
        file.truncate(QCOW2_ROOM)


def missing_programs() -> list[str]:
    """The Debian packages that are missing."""
    tools = [] if shutil.which("qemu-img") and shutil.which("qemu-io") else ["qemu-utils"]
    return [*outer_vm.missing_packages(), *tools]


def line(result: Result) -> str:
    """One result in one line."""
    ended = f"died of signal {result.signal}" if result.signal else "lives, and works" if result.works else "is broken"
    return (
        f"{result.storm.sentence()}: {result.revocations} revocations, {result.ok} ok, {result.error} errors, "
        f"{result.lost} lost, {result.given_up} batches given up; {ended}, with "
        f"{result.mappings[1]} of {result.mappings[0]} mappings ({result.seconds:.0f} s)"
    )


def summary(results: Sequence[Result]) -> str:
    """The sums of each emulator."""
    lines = []
    for variant in dict.fromkeys(result.storm.variant for result in results):
        made = [result for result in results if result.storm.variant == variant]
        lines.append(
            f"{variant}: {sum(r.revocations for r in made)} revocations, {sum(r.ok for r in made)} requests ok, "
            f"{sum(r.error for r in made)} with an error, {sum(r.lost for r in made)} lost, "
            f"{sum(r.signal is not None for r in made)} deaths in {len(made)} storms"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, required=True, help="qemu-system-aarch64 with the series")
    parser.add_argument("--stock", type=Path, help="the same without it")
    parser.add_argument("--work", type=Path, required=True, help="folder for the disks and the logs")
    times = os.environ.get("RAM_DEVICE_STORM_TIMES", "5")
    parser.add_argument("--times", type=int, default=times, help="by what to multiply the revocations (%(default)s)")
    chosen = parser.parse_args()
    for emulator in filter(None, (chosen.patched, chosen.stock)):
        if not os.access(emulator, os.X_OK):
            parser.error(f"{emulator} is no program")
    if chosen.times < 1:
        parser.error(f"--times is {chosen.times}; give 1 or more")
    if missing := missing_programs():
        parser.exit(1, f"install {' '.join(missing)} first\n")
    patched, stock = str(chosen.patched.resolve()), str(chosen.stock.resolve()) if chosen.stock else None
    storms = [*scenarios.deadly(patched, stock), *scenarios.survived(patched), *scenarios.also_survived(patched)]
    if reason := why_no_eager_driver():
        print(f"no storms on {EAGER}: {reason}")
    else:
        storms += [*scenarios.deadly_eager(stock), *scenarios.survived_eager(patched)]
    storms = [replace(storm, revocations=chosen.times * storm.revocations) for storm in storms]
    try:
        results = run(storms, chosen.work, lambda result: print(line(result), flush=True))
    except MachineError as error:
        parser.exit(1, f"{error}\n")
    wrong = [text for result in results for text in result.wrong]
    print("\n".join(["", summary(results), *wrong]))
    died = [result for result in results if result.storm.variant == scenarios.PATCHED and not result.works]
    return 1 if died or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
