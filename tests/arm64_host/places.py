# SPDX-License-Identifier: GPL-2.0-or-later
"""The arm64 hosts, and the memory there that requests are into. The cases are those of tests/vfio and tests/storm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from machines import arm64_host, assigned, nvgrace
from machines.outer_vm import OuterVm
from vfio.transfers import BAR_FILE, FILE_SIZE, Memory

# It has what a GPU has and others haven't: a function-level reset and power states.
NVME = (0x1B36, 0x0010)


@dataclass(frozen=True)
class Host:
    """An arm64 host: Debian's kernel of a suite, with pages of 4 or 16 KiB, and which device has a GPU's memory."""

    name: str
    suite: str
    flavour: str = arm64_host.PAGES_4K
    device: str = "nvme,serial=gpu"
    device_ids: tuple[int, int] = NVME

    @property
    def has_power(self) -> bool:
        """Whether its device has power states and a reset of its own."""
        return self.device_ids == NVME

    def outer_vm(self, work: Path) -> OuterVm:
        """The host with the devices that have the memory; NotAvailable says why it can't be had."""
        vm = nvgrace.host(arm64_host.release(self.suite, self.flavour), work, self.device)
        memory = f"memory-backend-file,id=bar,size={FILE_SIZE},mem-path={work / BAR_FILE},share=on"
        return replace(vm, devices=(*vm.devices, "-object", memory, "-device", "ivshmem-plain,memdev=bar"))

    @property
    def cacheable(self) -> Memory:
        """nvgrace-gpu's BAR 4."""
        return Memory(self.device_ids, nvgrace.DRIVER, nvgrace.CACHEABLE_BAR, nvgrace.MEMORY_FILE, 0)

    @property
    def write_combining(self) -> Memory:
        """nvgrace-gpu's BAR 2."""
        offset = nvgrace.CACHEABLE_SIZE
        return Memory(self.device_ids, nvgrace.DRIVER, nvgrace.UNCACHED_BAR, nvgrace.MEMORY_FILE, offset)

    @property
    def memories(self) -> dict[str, Memory]:
        """All memory that requests are into; what vfio-pci maps is Device memory."""
        return {CACHEABLE: self.cacheable, WRITE_COMBINING: self.write_combining, DEVICE: Memory()}


CACHEABLE, WRITE_COMBINING, DEVICE = "nvgrace-gpu, BAR 4", "nvgrace-gpu, BAR 2", "vfio-pci"
LINUX_6_12 = Host("linux-6.12", arm64_host.STABLE)
LINUX_6_12_16K = Host("linux-6.12-16k", arm64_host.STABLE, arm64_host.PAGES_16K)
LINUX_7 = Host("linux-7", arm64_host.UNSTABLE, device="bochs-display", device_ids=assigned.BOCHS_DISPLAY)
HOSTS = (LINUX_6_12, LINUX_7, LINUX_6_12_16K)
