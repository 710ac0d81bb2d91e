# SPDX-License-Identifier: GPL-2.0-or-later
"""The arm64 hosts, and the memory there that requests are into. The cases are those of tests/vfio and tests/storm."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("vfio", "storm"))

from machines import arm64_host, nvgrace
from machines.outer_vm import OuterVm
from transfers import BAR_FILE, FILE_SIZE, Memory

# It has what a GPU has and ivshmem hasn't: a function-level reset and power states.
NVME = (0x1B36, 0x0010)
CACHEABLE = Memory(NVME, nvgrace.DRIVER, nvgrace.CACHEABLE_BAR, nvgrace.MEMORY_FILE, 0)
UNCACHED = Memory(NVME, nvgrace.DRIVER, nvgrace.UNCACHED_BAR, nvgrace.MEMORY_FILE, nvgrace.CACHEABLE_SIZE)
# What vfio-pci maps is Device memory.
DEVICE = Memory()
NAMES = {CACHEABLE: "nvgrace-gpu, BAR 4", UNCACHED: "nvgrace-gpu, BAR 2", DEVICE: "vfio-pci"}


@dataclass(frozen=True)
class Host:
    """An arm64 host, by what its kernel is."""

    suite: str
    flavour: str

    def outer_vm(self, work: Path) -> OuterVm:
        """The host with the devices that have the memory; NotAvailable says why it can't be had."""
        vm = nvgrace.host(arm64_host.release(self.suite, self.flavour), work, "nvme,serial=gpu")
        memory = f"memory-backend-file,id=bar,size={FILE_SIZE},mem-path={work / BAR_FILE},share=on"
        return replace(vm, devices=(*vm.devices, "-object", memory, "-device", "ivshmem-plain,memdev=bar"))


LINUX_6_12 = Host(arm64_host.STABLE, arm64_host.PAGES_4K)
LINUX_6_12_16K = Host(arm64_host.STABLE, arm64_host.PAGES_16K)
