# SPDX-License-Identifier: GPL-2.0-or-later
"""An arm64 guest in which a PCI BAR is mapped as Device and as Normal memory, and a program of ours that uses both.

The BAR is ivshmem-plain's. sysfs maps it for a program as it is asked to: resource2 as Device memory, which is what
vfio-pci's mappings are, and resource2_wc as Normal memory, which is what nvgrace-gpu's are.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit import compilers, programs
from crate_builds.library import compile_crate
from machines import debian_arm64, initramfs
from machines.error import MachineError

SOURCE = Path(__file__).with_suffix(".c")
# It has no FEAT_MOPS, as Grace's has none: with that the copies of glibc 2.41 met no bus error here.
CPU = "neoverse-n2"
MACHINE = ("-M", "virt", "-cpu", CPU, "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot",
           "-serial", "stdio", "-append", "console=ttyAMA0 quiet panic=-1",
           "-object", "memory-backend-ram,id=bar,size=1M,share=on", "-device", "ivshmem-plain,memdev=bar")  # fmt: skip
IVSHMEM = "0x1110"
ORDINARY, NORMAL, DEVICE = "ram", "resource2_wc", "resource2"
INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox truncate -s 65536 /{ORDINARY}
for function in /sys/bus/pci/devices/*; do
    if [ "$(/bin/busybox cat $function/device)" = {IVSHMEM} ]; then
        echo 1 >$function/enable
        /device_memory /{ORDINARY} $function/{NORMAL} $function/{DEVICE}
    fi
done
/bin/busybox poweroff -f
"""
LINE = re.compile(r"^mapping (?:\S*/)?(\w+): libc (\d+) transfers (\d+) wrong (\d+) faults (\d+)", re.MULTILINE)
TIMEOUT = 300.0


@dataclass(frozen=True)
class Mapping:
    """What was seen of one mapping.

    `libc_code` is the si_code of the bus error that libc's copies from an odd address are, or 0. `transfers` were made
    by our routines; `wrong` of them have moved other bytes, and `faults` are the bus errors that they met.
    """

    libc_code: int
    transfers: int
    wrong: int
    faults: int


def built_program(folder: Path) -> Path:
    """The program, with the crate as the distribution's compiler makes it."""
    library, program = compile_crate(compilers.distributions("aarch64").compile, folder), folder / SOURCE.stem
    command = [programs.C_COMPILERS["aarch64"], "-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-static",
               "-Wl,--gc-sections", "-I", str(programs.ROOT / "qemu/include"), str(SOURCE), str(library),
               "-o", str(program)]  # fmt: skip
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise MachineError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
    return program


def seen(emulator: Sequence[str], program: Path, folder: Path) -> dict[str, Mapping]:
    """What the program sees of each mapping in a guest on that emulator."""
    kernel = debian_arm64.debian_arm64()
    archive = folder / "initramfs"
    initramfs.write(archive, INIT, kernel.busybox, [], {SOURCE.stem: program})
    done = subprocess.run([*emulator, *MACHINE, "-kernel", str(kernel.image), "-initrd", str(archive)], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=TIMEOUT)  # fmt: skip
    found = {name: Mapping(*map(int, numbers)) for name, *numbers in LINE.findall(done.stdout)}
    if set(found) != {ORDINARY, NORMAL, DEVICE}:
        raise MachineError(
            f"the guest tells of {sorted(found)} only; status {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return found
