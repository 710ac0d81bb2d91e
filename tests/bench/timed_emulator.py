# SPDX-License-Identifier: GPL-2.0-or-later
"""An unmodified emulator whose own functions are timed from inside (dispatch.c)."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from machines import preloaded
from machines.error import MachineError

MACHINE = ("-M", "virt", "-accel", "qtest", "-display", "none", "-nodefaults", "-m", "128", "-S")
INCLUDE = Path(__file__).resolve().parents[2] / "qemu/include"
SOURCE = Path(__file__).with_name("dispatch.c")
SYMBOLS = (
    "address_space_map", "address_space_memory", "address_space_rw", "address_space_unmap",
    "bql_lock_impl", "bql_locked", "bql_unlock", "get_system_memory",
    "memory_region_add_subregion", "memory_region_dispatch_read", "memory_region_dispatch_write",
    "memory_region_get_ram_device", "memory_region_init_ram_device_ptr", "memory_region_set_ram_device_direct",
    "memory_region_set_ram_device_lasting",
    "object_get_root",
    "ram_device_load", "ram_device_read", "ram_device_store", "ram_device_write",
)  # fmt: skip
ANSWER_TIMEOUT = 120.0


@dataclass(frozen=True)
class Call:
    """One function of QEMU's, called on a RAM device.

    Of these: address_space_rw; address_space_map (map, memcpy, unmap); memory_region_dispatch; and in a patched
    emulator ram_device_load_store and ram_device_read_write, the crate's routines. "memmove" is what QEMU doesn't do.
    """

    function: str
    size: int
    is_write: bool
    has_bql: bool = True
    is_direct: bool = False

    def __str__(self) -> str:
        region = "direct" if self.is_direct else "default"
        lock = "bql" if self.has_bql else "no-bql"
        return f"{self.function} {region} {lock} {'write' if self.is_write else 'read'} {self.size}"


def build(folder: Path, source: Path = SOURCE) -> Path:
    """A shared object that goes into the emulators."""
    return preloaded.build(folder, source, f"-I{INCLUDE}")


def symbols(emulator: Path) -> str:
    """Where the functions are in an emulator, as dispatch.c wants to be told."""
    listed = subprocess.run(["nm", str(emulator)], text=True, capture_output=True, check=False)
    found = re.findall(rf"^([0-9a-f]+) [A-Za-z] ({'|'.join(SYMBOLS)})$", listed.stdout, re.MULTILINE)
    if not found:
        raise MachineError(f"{emulator} has no symbol table (or is none of QEMU's emulators); don't strip it")
    return ",".join(f"{name}={address}" for address, name in found)


class TimedEmulator:
    """A running emulator, to be used with "with"."""

    def __init__(self, emulator: Path, dispatch: Path) -> None:
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - __exit__ closes it
        ours, theirs = socket.socketpair()
        environment = os.environ | {
            "LD_PRELOAD": str(dispatch),
            "RAM_DEVICE_BENCH_SYMBOLS": symbols(emulator),
            "RAM_DEVICE_BENCH_FD": str(theirs.fileno()),
        }
        self._process = subprocess.Popen(
            [str(emulator), *MACHINE], env=environment, stdin=subprocess.DEVNULL, stdout=self._stderr,
            stderr=self._stderr, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        ours.settimeout(ANSWER_TIMEOUT)
        self._socket = ours
        self._answers = ours.makefile("r")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._socket.close()
        self._stderr.close()

    def time(self, call: Call) -> float:
        """How many nanoseconds one call takes, just now. Its bytes have been compared."""
        try:
            self._socket.sendall(f"{call}\n".encode())
            answer = self._answers.readline()
        except (BrokenPipeError, ConnectionResetError):
            answer = ""
        except TimeoutError:
            raise MachineError(f"no answer to '{call}' in {ANSWER_TIMEOUT:.0f} s") from None
        if not answer:
            status = self._process.wait(timeout=10)
            self._stderr.seek(0)
            raise MachineError(f"the emulator ended with {status} at '{call}': {self._stderr.read().strip()}")
        return float(answer)
