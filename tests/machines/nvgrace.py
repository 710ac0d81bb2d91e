# SPDX-License-Identifier: GPL-2.0-or-later
"""NVIDIA's driver for the GPU of a GH200, nvgrace-gpu, on an arm64 host without a GPU.

Debian's kernels lack the driver, and Debian's source has it. It finds a GPU's memory by two properties of the PCI
function, which ACPI gives on such a host and the device tree here: it is the VM's upper memory, which its kernel leaves
alone.
"""

from __future__ import annotations

import subprocess
import tempfile
from functools import partial
from pathlib import Path

from machines import arm64_host, debian, device_tree, outer_vm
from machines.arm64_host import Release
from machines.error import MachineError, NotAvailable
from machines.outer_vm import OuterVm

DRIVER = "nvgrace_gpu_vfio_pci"
FOLDER, OBJECT = "drivers/vfio/pci/nvgrace-gpu", "nvgrace-gpu-vfio-pci"
KBUILD = f"# SPDX-License-Identifier: GPL-2.0-or-later\nobj-m := {OBJECT}.o\n{OBJECT}-y := main.o\n"
MIB, GIB = 1 << 20, 1 << 30
# The memory's last GiB is BAR 2, write-combining, and the rest is BAR 4, cacheable.
MEMORY_FILE, MEMORY_SIZE, UNCACHED_SIZE = "gpu.bin", GIB + 512 * MIB, GIB
CACHEABLE_SIZE = MEMORY_SIZE - UNCACHED_SIZE
UNCACHED_BAR, CACHEABLE_BAR = 2, 4
RAM, RAM_SIZE = 0x4000_0000, 2 * GIB
SLOT = 1
ADDRESS = "0000:01:00.0"  # it is behind the only port


def host(release: Release, work: Path, device: str) -> OuterVm:
    """An arm64 host that has the driver, and this device with a GPU's memory, which is a file in the work folder."""
    machine = arm64_host.machine(release, work)
    memory = work / MEMORY_FILE
    memory.touch()
    with memory.open("r+b") as file:
        file.truncate(MEMORY_SIZE)
    devices = (
        "-object", f"memory-backend-ram,id=low,size={RAM_SIZE}",
        "-object", f"memory-backend-file,id=gpu,size={MEMORY_SIZE},mem-path={memory},share=on",
        "-numa", "node,memdev=low,cpus=0-1", "-numa", "node,memdev=gpu",
    )  # fmt: skip
    total = (RAM_SIZE + MEMORY_SIZE) // MIB
    properties = f"nvidia,gpu-mem-base-pa = {device_tree.cells(RAM + RAM_SIZE)};"
    properties += f"nvidia,gpu-mem-size = {device_tree.cells(MEMORY_SIZE)};"
    command = [outer_vm.emulator(machine, work), *machine.arguments, *outer_vm.COMMON, "-m", str(total), *devices]
    tree = device_tree.with_function_behind_port(command, SLOT, properties, work)
    return OuterVm(
        machine, release.kernel,
        (*devices, "-dtb", str(tree), "-device", f"pcie-root-port,id=gpu-port,chassis=1,slot=1,addr={SLOT:x}.0",
         "-device", f"{device},bus=gpu-port"),
        (driver(release, work),), f"mem={RAM_SIZE // MIB}M", total,
    )  # fmt: skip


def driver(release: Release, folder: Path) -> Path:
    """The driver's module for that kernel."""
    if missing := release.module_builder.missing_programs():
        raise NotAvailable(f"nvgrace-gpu is built with {' and '.join(missing)}, which isn't here")
    source = folder / "nvgrace-gpu-source"
    source.mkdir()
    (source / "main.c").write_bytes((_source(release) / FOLDER / "main.c").read_bytes())
    (source / "Kbuild").write_text(KBUILD)
    return release.module_builder.built(source, folder / "nvgrace-gpu")


def _source(release: Release) -> Path:
    folder = debian.cache_folder() / f"nvgrace-gpu-{release.version}"
    return debian.filled(folder, partial(_extract, f"linux-source-{release.version}", release.suite))


def _extract(package: str, suite: str, folder: Path) -> None:
    """Add the driver's folder, out of the package with the kernel's whole source."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="source-") as scratch:
        with debian.apt_of(arm64_host.ARCHITECTURE, arm64_host.stanzas(suite)) as apt:
            apt.unpack(package, Path(scratch))
        (archive,) = (Path(scratch) / "usr/src").glob("linux-source-*.tar.*")
        top = archive.name.partition(".tar")[0]
        command = ["tar", "-xf", str(archive), "-C", str(folder), "--strip-components=1", f"{top}/{FOLDER}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{package} has no {FOLDER}:\n{done.stderr}")
