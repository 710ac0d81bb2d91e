# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenario in each of its settings: directly on this machine, and in the outer VM with the kernel's vfio-pci."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from string import ascii_lowercase

from guest import saved_state
from guest.contents import Contents, Size
from guest.in_outer_vm import PLAN_FILE, RESULTS_FILE
from guest.machine import Guest, Run, run
from machines import debian_arm64, initramfs, outer_vm
from machines.outer_vm import OuterVm

BAR_MIB = 512
WORKLOAD, MODULE_SOURCE = (Path(__file__).with_name(name) for name in ("workload.sh", "module"))
DIRECT = Size(processes=8, chunk_mib=8, rounds=2)
DIRECT_MEMORY_MIB = 512
DIRECT_TIMEOUT = 600.0
# An emulator in an emulator does little in a minute.
NESTED = Size(processes=4, chunk_mib=1, rounds=1)
NESTED_MEMORY_MIB = 384
NESTED_TIMEOUT = 1800.0
FIRST_SLOT = 0x10

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a guest, and what the host finds when it has ended."""

    run: Run
    size: Size
    differences: list[str]
    blocks_in_bar: int


@dataclass(frozen=True)
class Nested:
    """A guest in the outer VM: its emulator, and how its disk is attached."""

    name: str
    emulator: Path
    cache: str
    aio: str
    traced: bool


@dataclass(frozen=True)
class Assigned:
    """What such a guest is given: a PCI function of the outer VM, its memory's file, and the kernel's driver for it.

    `devices` are the outer VM's arguments, if it has no such function yet.
    """

    address: str
    memory: Path
    devices: tuple[str, ...] = ()
    driver: str = "vfio-pci"


class Scenario:
    """Makes guests of one size, in a folder of their own."""

    def __init__(self, folder: Path, size: Size, memory_mib: int) -> None:
        self.folder, self.contents, self._memory_mib = folder, Contents(size), memory_mib
        self._kernel = debian_arm64.debian_arm64()
        checksums, self._initramfs = folder / "checksums", folder / "guest.cpio"
        self.contents.write_checksums(checksums)
        module = self._kernel.module_builder.built(MODULE_SOURCE, folder / "module")
        files = {module.name: module, "checksums": checksums}
        init, busybox = WORKLOAD.read_text(), self._kernel.busybox
        initramfs.write(self._initramfs, init, busybox, self._kernel.modules, files)

    def guest(self, emulator: Path, disk: Path) -> Guest:
        """A guest with this disk, and with no BAR."""
        return Guest(
            str(emulator), str(self._kernel.image), str(self._initramfs), str(disk), self._memory_mib,
            self.contents.size.settings(),
        )  # fmt: skip

    def outcome(self, done: Run, disk: Path, bar: Path | None) -> Outcome:
        """What a guest has left behind."""
        differences = self.contents.differences(disk, self.folder) if done.is_done else []
        return Outcome(done, self.contents.size, differences, self.contents.blocks_in(bar) if bar else 0)


def run_directly(folder: Path, emulator: Path, *, bar: bool, progress: Progress) -> Outcome:
    """Run the guest with ram-device-testdev's BAR as a part of its RAM, or with as much ordinary RAM."""
    memory_mib = DIRECT_MEMORY_MIB if bar else DIRECT_MEMORY_MIB + BAR_MIB
    made = Scenario(folder, DIRECT, memory_mib)
    disk, memory = folder / "disk", folder / "bar"
    made.contents.write_disk(disk)
    device = f"ram-device-testdev,mem-size={BAR_MIB}M,mem-path={memory}" if bar else ""
    done = run(replace(made.guest(emulator, disk), bar_device=device, traced=bar), DIRECT_TIMEOUT, progress)
    return made.outcome(done, disk, memory if bar else None)


def run_nested(folder: Path, saved_by: Path, wanted: Sequence[Nested], progress: Progress) -> dict[str, Outcome]:
    """Run one guest after the other in one outer VM, each with an ivshmem device of its own on vfio-pci."""
    given = [_ivshmem(folder, number) for number in range(len(wanted))]
    return run_in(outer_vm.usual(), folder, saved_by, wanted, given, progress)


def run_in(
    vm: OuterVm,
    folder: Path,
    saved_by: Path,
    wanted: Sequence[Nested],
    given: Sequence[Assigned],
    progress: Progress,
) -> dict[str, Outcome]:
    """Run one guest after the other in that outer VM, each with what it is given there.

    All are continued from the same saved guest, which `saved_by` boots here, where that takes seconds.
    """
    made = Scenario(folder, NESTED, NESTED_MEMORY_MIB)
    first_disk, state = folder / "disk", folder / "saved-state"
    made.contents.write_disk(first_disk)
    saved_state.save(made.guest(saved_by, first_disk), state, folder)
    devices: list[str] = []
    plan = []
    for number, (nested, assigned) in enumerate(zip(wanted, given, strict=True)):
        disk = folder / f"disk-{number}"
        shutil.copy(first_disk, disk)
        devices += ["-drive", f"if=virtio,format=raw,file={disk}", *assigned.devices]
        guest = replace(
            made.guest(nested.emulator, Path("/dev") / f"vd{ascii_lowercase[number]}"),
            bar_device=f"vfio-pci,host={assigned.address}", cache=nested.cache, aio=nested.aio, traced=nested.traced,
            saved_state=str(state),
        )  # fmt: skip
        plan.append({"guest": asdict(guest), "address": assigned.address, "driver": assigned.driver,
                     "timeout": NESTED_TIMEOUT})  # fmt: skip
    (folder / PLAN_FILE).write_text(json.dumps(plan))
    runs: list[Run] = []

    def take(line: str) -> None:
        result = json.loads(line)
        if "run" in result:
            runs.append(Run(**result["run"]))
        else:
            progress(result["progress"])

    vm.run(
        folder,
        command=vm.python(Path(__file__).with_name("in_outer_vm.py"), str(folder)),
        devices=devices,
        timeout=NESTED_TIMEOUT * (len(wanted) + 1),
        follow=folder / RESULTS_FILE,
        on_line=take,
    )
    return {
        nested.name: made.outcome(done, folder / f"disk-{number}", assigned.memory)
        for number, (nested, assigned, done) in enumerate(zip(wanted, given, runs, strict=True))
    }


def _ivshmem(folder: Path, number: int) -> Assigned:
    memory, slot = folder / f"bar-{number}", FIRST_SLOT + number
    devices = (
        "-object", f"memory-backend-file,id=bar{number},size={BAR_MIB}M,mem-path={memory},share=on",
        "-device", f"ivshmem-plain,memdev=bar{number},addr={slot:#x}",
    )  # fmt: skip
    return Assigned(f"0000:00:{slot:02x}.0", memory, devices)
