# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own emulation of a Linux program, with a plugin of ours (accesses.c): runs programs of any architecture."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from audit import windows
from audit.traces import Access, Instrument
from machines.error import MachineError, NotAvailable

SOURCE = Path(__file__).with_name("accesses.c")
# A plugin isn't told of what SVE loads and stores.  A CPU without SVE doesn't execute it either.
CPUS = {"x86_64": "max", "aarch64": "cortex-a57"}


def plugin(architecture: str) -> Instrument:
    """The instrument, where it is to be had."""
    emulator = f"qemu-{architecture}"
    if not shutil.which(emulator):
        raise NotAvailable(f"no {emulator} here: scripts/needs says which packages the tests want")
    if "-plugin" not in _output([emulator, "--help"]):
        raise NotAvailable(f"{emulator} has no plugins here, as Debian 13's, which is linked statically")
    folder = _built(emulator)
    span = f"from={windows.DEVICE:#x},to={windows.MARKERS + windows.MARKERS_LENGTH:#x}"

    def command(file: str) -> list[str]:
        return [emulator, "-cpu", CPUS[architecture], "-plugin", f"{folder.name}/accesses.so,{span},out={file}"]

    return Instrument(f"{emulator} with a plugin", command, accesses)


def accesses(trace: BinaryIO) -> Iterator[Access]:
    """What the plugin has written."""
    for line in trace:
        address, width, direction, pc = line.split()
        yield int(address, 16), int(width), direction.decode(), int(pc, 16)


@functools.cache
def _built(emulator: str) -> tempfile.TemporaryDirectory[str]:
    """A folder with the plugin, as this emulator wants it; it is there as long as this process."""
    tree = os.environ.get("RAM_DEVICE_TREE")
    if not tree:
        raise NotAvailable("RAM_DEVICE_TREE must name QEMU's source, for the header of its plugins")
    version = _output([emulator, "--version"])
    major = re.search(r"version (\d+)\.", version)
    if not major:
        raise MachineError(f"{emulator} --version doesn't say which version it is:\n{version}")
    # 9.0 refuses version 1 of the interface, and older ones what is above.  All that the plugin uses is in both.
    interface = 1 if int(major[1]) < 9 else 2
    folder = tempfile.TemporaryDirectory(prefix="plugin-")
    _output(["gcc", "-O2", "-g", "-Wall", "-Werror", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden",
             f"-DINTERFACE={interface}", "-I", f"{tree}/include/qemu",
             *_output(["pkg-config", "--cflags", "glib-2.0"]).split(), str(SOURCE), "-o", f"{folder.name}/accesses.so"])
    return folder


def _output(command: list[str]) -> str:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise MachineError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout
