# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration between an emulator of Debian's and one of ours, by their own monitors, without libvirt."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packages import guests
from packages.guests import Guest
from packages.qmp import Qmp
from packages.results import require

MIB = 1024 * 1024
MEMORY_MIB = 256
# Each machine by the name that doesn't change with the version, and where its memory begins, or what of it is plain.
MACHINES = {
    "x86_64": ("pc-q35-10.0", "qemu64", MIB, (MEMORY_MIB - 1) * MIB),
    "aarch64": ("virt-10.0,gic-version=3", "cortex-a57", 1 << 30, MEMORY_MIB * MIB),
}
# An emulator that isn't in its place looks for these beside itself.
FIRMWARE = ("/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu")
BEATS = 3


@dataclass(frozen=True)
class Emulator:
    """One that needn't be where its package has it: the prefix that leads to it, and where its modules are then."""

    prefix: str = ""

    def program(self, architecture: str) -> str:
        return f"{self.prefix}/usr/bin/qemu-system-{architecture}"

    @property
    def environment(self) -> dict[str, str]:
        (modules,) = Path(f"{self.prefix}/usr/lib").glob("*/qemu")
        return {"QEMU_MODULE_DIR": str(modules)}


def beats(console: Path) -> list[tuple[int, str]]:
    """The number of each beat that the guest has said, and its memory's checksum."""
    said = re.findall(r"guest: beat (\d+) ([0-9a-f]{64})\s", console.read_text(errors="replace"))
    return [(int(number), checksum) for number, checksum in said]


def wrong_beats(console: Path) -> list[str]:
    """Beats that are missing, or that say that the memory has changed."""
    expected, seen = guests.memory_checksum(), beats(console)
    wrong = [f"beat {number}: the memory has changed" for number, checksum in seen if checksum != expected]
    if [number for number, _ in seen] != [*range(1, len(seen) + 1)]:
        wrong.append(f"beats are {[number for number, _ in seen]}")
    return wrong


def move(guest: Guest, source: Emulator, target: Emulator, folder: Path) -> str:
    """Boot the guest on one, move it to the other while it works, and compare its memory and its disk."""
    folder.mkdir(parents=True)
    disk, console, channel = folder / "disk", folder / "console", folder / "channel"
    guests.write_disk(disk, 0)
    console.touch()
    machine, cpu, start, size = MACHINES[guest.architecture]
    arguments = [
        "-M", machine, "-cpu", cpu, "-accel", "tcg", "-m", str(MEMORY_MIB), "-nodefaults", "-no-reboot",
        *(word for folder in FIRMWARE for word in ("-L", folder)),
        "-kernel", str(guest.kernel), "-initrd", str(guest.initramfs), "-append", guest.command_line,
        "-drive", f"if=none,id=disk,format=raw,file={disk},cache=none,aio=io_uring",
        "-device", "virtio-blk-pci,drive=disk", "-nic", "user,model=virtio-net-pci", "-device", "virtio-rng-pci",
        "-chardev", f"file,id=console,path={console},append=on", "-serial", "chardev:console",
    ]  # fmt: skip
    incoming = [*arguments, "-incoming", "defer"]
    with (
        Qmp.start([source.program(guest.architecture), *arguments], source.environment) as here,
        Qmp.start([target.program(guest.architecture), *incoming], target.environment) as there,
    ):
        here.ask("cont")
        here.until("beats", lambda: len(beats(console)) >= BEATS)
        there.ask("migrate-incoming", {"uri": f"unix:{channel}"})
        here.ask("migrate", {"uri": f"unix:{channel}"})
        here.until("migration", lambda: _is_moved(here))
        there.until("migration", lambda: there.ask("query-status")["status"] == "paused")
        moved_at = len(beats(console))
        require(_memory(here, start, size) == _memory(there, start, size), "the guest's memory differs")
        here.ask("quit")
        there.ask("cont")
        there.until("beats", lambda: len(beats(console)) >= moved_at + BEATS)
        there.ask("stop")
        count = len(beats(console))
        os.sync()
    wrong = [*wrong_beats(console), *guests.wrong_on_disk(disk, 0, count)]
    require(not wrong, "; ".join(wrong[:3]))
    return f"{size // MIB} MiB of memory equal, beats {moved_at} + {count - moved_at} right, disk right"


def _memory(monitor: Qmp, start: int, size: int) -> bytes:
    """The guest's, as the monitor reads it."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        monitor.ask("pmemsave", {"val": start, "size": size, "filename": file.name})
        content = Path(file.name).read_bytes()
    require(len(content) == size and any(content), "the guest has no memory")
    return content


def _is_moved(monitor: Qmp) -> bool:
    told = monitor.ask("query-migrate")
    require(told.get("status") not in ("failed", "cancelled"), f"migration: {told}")
    return bool(told.get("status") == "completed")
