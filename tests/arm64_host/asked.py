# SPDX-License-Identifier: GPL-2.0-or-later
"""Which emulator is asked for which requests, into which memory, with which cache mode of its disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from arm64_host.places import CACHEABLE, DEVICE, WRITE_COMBINING, Host
from machines import arm64_host
from vfio.transfers import KIB, QTEST, Compared

OURS, STOCK, DIRECT = "ours", "Debian's", "x-ram-device-direct=on"
BUFFERED, NATIVE, IO_URING = "cache=writeback,aio=threads", "cache=none,aio=native", "cache=none,aio=io_uring"
MEMORIES = (CACHEABLE, WRITE_COMBINING, DEVICE)
SIZES = (512, 4 * KIB, 8 * KIB, 64 * KIB, 1024 * KIB)
FEW_SIZES = (512, 8 * KIB, 1024 * KIB)
# Debian's build has qtest as a module, in no package: its CPU is stopped instead.
STOPPED = ("-accel", "tcg", "-S")


@dataclass(frozen=True)
class Asked:
    """One emulator, one memory, one cache mode."""

    who: str
    memory: str
    drive: str = BUFFERED

    @property
    def name(self) -> str:
        return f"{self.who}; {self.memory}; {self.drive}"

    def compared(self, ours: Path, host: Host, accelerator: tuple[str, ...] = QTEST) -> Compared:
        """The same as tests/vfio has it; the accelerator is that of an emulator with the series."""
        memory = host.memories[self.memory]
        if self.who == STOCK:
            return Compared(
                self.name, Path(arm64_host.DEBIANS_EMULATOR), sizes=(4 * KIB, 8 * KIB), memory=memory,
                drive=self.drive, accelerator=STOPPED, descriptor_counts=(1,),
            )  # fmt: skip
        if self.who == DIRECT:
            return Compared(
                self.name, ours, DIRECT, sizes=(4 * KIB, 64 * KIB), memory=memory, drive=self.drive,
                accelerator=accelerator, descriptor_counts=(1,),
            )  # fmt: skip
        made = Compared(self.name, ours, sizes=SIZES, memory=memory, drive=self.drive, accelerator=accelerator)
        return made if self.drive == BUFFERED else replace(made, sizes=FEW_SIZES, descriptor_counts=(1,))


FOR_CHECK = (
    *(Asked(OURS, memory) for memory in MEMORIES),
    Asked(OURS, CACHEABLE, NATIVE), Asked(OURS, DEVICE, IO_URING),
    *(Asked(STOCK, memory) for memory in MEMORIES),
)  # fmt: skip
ALL = (
    *(Asked(OURS, memory, drive) for memory in MEMORIES for drive in (BUFFERED, NATIVE, IO_URING)),
    *(Asked(STOCK, memory) for memory in MEMORIES),
    *(Asked(DIRECT, memory, drive) for memory in MEMORIES for drive in (BUFFERED, NATIVE)),
)
