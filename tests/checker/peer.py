# SPDX-License-Identifier: GPL-2.0-or-later
"""The other side of vfio-user: rust/vfio-user-gpu, built and run."""

from __future__ import annotations

import json
import mmap
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from subject import CannotCheck

RUST = Path(__file__).resolve().parents[2] / "rust"
PACKAGE, PROGRAM = "vfio_user_gpu", "vfio-user-gpu"
ENDING_SECONDS = 20.0
IDENTITY = 0x6770_1234
REGISTER_BAR, MEMORY_BAR = 0, 4


@dataclass(frozen=True)
class Access:
    """An access that came to the peer as a message."""

    bar: int
    kind: str
    offset: int
    size: int
    bytes: str


class NoCompiler(CannotCheck):
    """The peer can't be built here."""


def build() -> Path:
    """The peer's program; cargo builds it if it must."""
    cargo, rustc = shutil.which("cargo"), shutil.which("rustc")
    other_way = "or name a built vfio-user-gpu by --peer"
    wanted = tomllib.loads((RUST / "vfio-user-gpu/Cargo.toml").read_text())["package"]["rust-version"]
    if not cargo or not rustc:
        missing = "rustc" if cargo else "cargo"
        raise NoCompiler(f"no {missing}, to build the peer: install Rust {wanted} or newer, {other_way}.")
    version = subprocess.run([rustc, "--version"], text=True, capture_output=True, check=False).stdout.split()[1:2]
    if not version or _numbers(version[0]) < _numbers(wanted):
        here = " ".join(version) or "none that answers"
        raise NoCompiler(f"the peer needs rustc {wanted} or newer, here is {here}: install a newer one, {other_way}.")
    done = subprocess.run(
        [cargo, "build", "--quiet", "--package", PACKAGE, "--bins", "--message-format", "json"],
        cwd=RUST, text=True, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CannotCheck(f"cargo can't build the peer in {RUST} ({other_way}):\n{done.stderr.strip()}")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (program,) = {message["executable"] for message in messages
                  if message.get("target", {}).get("name") == PROGRAM and message.get("executable")}  # fmt: skip
    return Path(program)


def _numbers(version: str) -> tuple[int, ...]:
    """A version, to be compared."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


class Peer:
    """A running peer. `memory` is the one that its BAR 4 has."""

    def __init__(self, socket: Path, log: Path, memory: mmap.mmap, mappable: list[list[int]]) -> None:
        self.socket = socket
        self.memory = memory
        self.mappable = mappable
        self._log = log
        self._seen = 0

    @property
    def hole(self) -> int:
        """The offset of the part of BAR 4 in its middle that can't be mapped."""
        return self.mappable[0][1]

    def new_accesses(self) -> list[Access]:
        """Those that came since the last call."""
        lines = self._log.read_text().splitlines()
        new = lines[self._seen :]
        self._seen = len(lines)
        return [Access(**json.loads(line)) for line in new]


@contextmanager
def running(program: Path, folder: Path) -> Iterator[Peer]:
    """Start it; at the end it must end as it is asked to, and take its socket with it."""
    socket, log, messages = folder / "vfio-user", folder / "accesses", folder / "peer.messages"
    command = [str(program), "--socket", str(socket), "--sparse", "holes", "--accesses", str(log)]
    with messages.open("wb") as its_messages:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its_messages, text=True)
        except OSError as error:
            raise CannotCheck(f"the peer {program} doesn't start: {error.strerror}") from None
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("{"):
            raise CannotCheck(f"the peer {program} isn't ready: {messages.read_text().strip()}")
        ready = json.loads(line)
        with open(ready["memory"], "r+b") as file, mmap.mmap(file.fileno(), ready["memory_size"]) as memory:
            yield Peer(socket, log, memory, ready["mappable"])
    finally:
        process.terminate()
        status = process.wait(timeout=ENDING_SECONDS)
        if process.stdout:
            process.stdout.close()
    if status or socket.exists():
        raise CannotCheck(f"the peer ended with status {status}: {messages.read_text().strip()}")
