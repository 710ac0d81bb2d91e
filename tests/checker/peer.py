# SPDX-License-Identifier: GPL-2.0-or-later
"""The other side of vfio-user: rust/vfio-user-gpu, built and run."""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checker import toolchain
from checker.subject import CannotCheck
from machines import process_group, secret_memory

RUST = Path(__file__).resolve().parents[2] / "rust"
PACKAGE, PROGRAM = "vfio_user_gpu", "vfio-user-gpu"
READY_SECONDS, ENDING_SECONDS = 120.0, 120.0
IDENTITY = 0x6770_1234
REGISTER_BAR, READ_ONLY_BAR, MEMORY_BAR = 0, 2, 4


@dataclass(frozen=True)
class Access:
    """An access that came to the peer as a message."""

    bar: int
    kind: str
    offset: int
    size: int
    bytes: str


def build(progress: Callable[[str], None]) -> Path:
    """The peer's program; cargo builds it if it must."""
    other_way = "or name a built vfio-user-gpu by --peer"
    wanted = tomllib.loads((RUST / "vfio-user-gpu/Cargo.toml").read_text())["package"]["rust-version"]
    tools = toolchain.find(wanted, other_way, progress)
    done = subprocess.run(
        [tools.cargo, "build", "--quiet", "--package", PACKAGE, "--bins", "--message-format", "json"],
        cwd=RUST, env=os.environ | tools.environment, text=True, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CannotCheck(f"cargo can't build the peer in {RUST} ({other_way}):\n{done.stderr.strip()}")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (program,) = {message["executable"] for message in messages
                  if message.get("target", {}).get("name") == PROGRAM and message.get("executable")}  # fmt: skip
    return Path(program)


class Peer:
    """A running peer. `memory`, which is mapped from `file`, is the one that its BAR 4 has."""

    def __init__(self, socket: Path, log: Path, file: int, memory: mmap.mmap, mappable: list[list[int]]) -> None:
        self.socket = socket
        self.memory = memory
        self._file = file
        self.mappable = mappable
        self._log = log
        self._seen = 0

    @property
    def hole(self) -> int:
        """The offset of the part of BAR 4 in its middle that can't be mapped."""
        return self.mappable[0][1]

    @contextmanager
    def memory_gone(self) -> Iterator[None]:
        """Meanwhile BAR 4 has no memory: accesses to its mappings are SIGBUSes, here too. It comes back as zeroes."""
        os.ftruncate(self._file, 0)
        try:
            yield
        finally:
            os.ftruncate(self._file, len(self.memory))

    def new_accesses(self) -> list[Access]:
        """Those that came since the last call."""
        lines = self._log.read_text().splitlines()
        new = lines[self._seen :]
        self._seen = len(lines)
        return [Access(**json.loads(line)) for line in new]


@dataclass(frozen=True)
class Memory:
    """What the peer is to serve as BAR 4."""

    size: int
    has_holes: bool
    is_pinnable: bool

    def options(self) -> list[str]:
        sparse, pinnable = "holes" if self.has_holes else "whole", "yes" if self.is_pinnable else "no"
        return ["--memory-size", str(self.size), "--sparse", sparse, "--pinnable", pinnable]

    @contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """The file that it consists of, by its place in /proc; NotAvailable says why this process can't have it."""
        if self.is_pinnable:
            file = os.open(path, os.O_RDWR)
        else:
            *_, process, _, descriptor = path.split("/")
            file = secret_memory.of_process(int(process), int(descriptor))
        try:
            yield file
        finally:
            os.close(file)


LARGE = Memory(256 << 20, has_holes=True, is_pinnable=True)


@contextmanager
def running(program: Path, folder: Path, memory: Memory = LARGE) -> Iterator[Peer]:
    """Start it; at the end it must end as it is asked to, and take its socket with it.

    NotAvailable says why this process can't have the memory. Whether there is such memory must be known before.
    """
    program = program.absolute()  # by its name alone another one, in PATH, would be started
    socket, log, messages = folder / "vfio-user", folder / "accesses", folder / "peer.messages"
    command = [str(program), "--socket", str(socket), *memory.options(), "--accesses", str(log)]
    with messages.open("wb") as its_messages:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its_messages, process_group=0)
        except OSError as error:
            raise CannotCheck(f"the peer {program} doesn't start: {error.strerror}") from None
    with process:
        try:
            ready = _ready(process)
            if not ready:
                raise CannotCheck(f"the peer {program} isn't ready: {messages.read_text(errors='replace').strip()}")
            with memory.opened(ready["memory"]) as file, mmap.mmap(file, ready["memory_size"]) as mapped:
                yield Peer(socket, log, file, mapped, ready["mappable"])
        finally:
            status = _ended(process)
    if status != 0 or socket.exists():
        how = f"ended with status {status}" if status is not None else "didn't end when it was asked to"
        raise CannotCheck(f"the peer {program} {how}: {messages.read_text(errors='replace').strip()}")


def _ready(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the peer says of itself when it is ready; nothing if it doesn't get ready."""
    try:
        said = json.loads(_line(process))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _line(process: subprocess.Popen[bytes]) -> bytes:
    """What the peer says first; not all of it if it takes too long."""
    assert process.stdout
    deadline, line, more = time.monotonic() + READY_SECONDS, b"", b"more"
    while more and not line.endswith(b"\n"):
        is_there, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
        more = os.read(process.stdout.fileno(), 4096) if is_there else b""
        line += more
    return line


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Ask the peer to end; its status, or None if it had to be killed."""
    process_group.end(process, signal.SIGTERM)
    try:
        return process.wait(timeout=ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process_group.end(process)
