# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator that was started here, and its QMP monitor."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from machines.error import MachineError

TIMEOUT = 1200.0
POLL_SECONDS = 0.1


class Qmp:
    """A running emulator."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, messages: Path) -> None:
        self.process, self._messages = process, messages
        self._lines = connection.makefile("rwb")
        self._connection = connection
        self._answer()
        self.ask("qmp_capabilities")

    @classmethod
    @contextmanager
    def start(cls, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Self]:
        """Start the emulator, stopped and without a display; it is killed at the end."""
        with tempfile.TemporaryDirectory(prefix="qmp-") as name:
            here, there = socket.socketpair()
            messages = Path(name) / "messages"
            arguments = ["-display", "none", "-S", "-chardev", f"socket,id=qmp,fd={there.fileno()}",
                         "-mon", "chardev=qmp,mode=control"]  # fmt: skip
            with messages.open("wb") as log:
                process = subprocess.Popen(
                    [*command, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    pass_fds=(there.fileno(),), env={**os.environ, **(environment or {})},
                )  # fmt: skip
            there.close()
            here.settimeout(TIMEOUT)
            try:
                yield cls(process, here, messages)
            finally:
                process.kill()
                process.wait()
                here.close()

    def ask(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """What the command returns."""
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._lines.write(json.dumps(request).encode() + b"\n")
        self._lines.flush()
        while True:
            answer = self._answer()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise MachineError(f"{command} {json.dumps(arguments)}: {answer['error']['desc']}")

    def monitor(self, line: str) -> str:
        """What the human monitor prints."""
        return str(self.ask("human-monitor-command", {"command-line": line}))

    def until(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait for it."""
        deadline = time.monotonic() + TIMEOUT
        while not is_so():
            if self.process.poll() is not None:
                raise MachineError(f"the emulator ended with {self.process.returncode} before {what}: {self.said()}")
            if time.monotonic() > deadline:
                raise MachineError(f"no {what} after {TIMEOUT:.0f} s: {self.said()}")
            time.sleep(POLL_SECONDS)

    def said(self) -> str:
        """Its messages."""
        return self._messages.read_text(errors="replace").strip()

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            line = b""
        if not line:
            self.process.wait(TIMEOUT)
            raise MachineError(f"the emulator ended with {self.process.returncode}: {self.said()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

