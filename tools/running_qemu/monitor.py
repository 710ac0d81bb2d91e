# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor of a running QEMU: through its QMP socket, or through libvirt."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

LARGEST_ANSWER = 16 << 20
VIRSH = "virsh"
HUMAN_MONITOR = b"monitor - type 'help'"
USE_VIRSH = "if libvirt runs the VM, use --virsh DOMAIN"
SERVE_ANOTHER = "if not, start QEMU with a socket of its own for this: -qmp unix:SOCKET,server=on,wait=off"


class CannotAsk(Exception):
    """QEMU can't be asked; the sentence says why, and what to do."""


class Refused(Exception):
    """QEMU has answered that it won't: there is no such object, property or command."""


class Monitor:
    """What answers commands. Nothing but these is ever asked: other ones have side effects, or end some versions."""

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is left behind."""

    def version(self) -> dict[str, Any]:
        told: dict[str, Any] = expected(dict, self.ask("query-version"), "query-version")
        return told

    def children_and_properties(self, path: str) -> dict[str, str]:
        """The names of what an object has, with their types."""
        listed = expected(list, self.ask("qom-list", path=path), "qom-list")
        named = [expected(dict, each, "qom-list") for each in listed]
        return {expected(str, each.get("name"), "qom-list"): expected(str, each.get("type"), "qom-list")
                for each in named}  # fmt: skip

    def value(self, path: str, name: str) -> object:
        """That of a property."""
        return self.ask("qom-get", path=path, property=name)

    def ask(self, command: str, **arguments: str) -> object:
        """What the command returns; Refused if that is an error."""
        asked: dict[str, object] = {"execute": command}
        if arguments:
            asked["arguments"] = arguments
        answer = self.exchanged(json.dumps(asked), command)
        if "error" in answer:
            error = answer["error"]
            raise Refused(str(error.get("desc") if isinstance(error, dict) else error))
        return answer["return"]

    def exchanged(self, asked: str, command: str) -> dict[str, Any]:
        """An object with "return" or "error"."""
        raise NotImplementedError


def expected(kind: type, value: object, command: str) -> Any:
    """The value, if it is of that kind."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CannotAsk(f"the answer to {command} has {str(value)[:60]!r} where QEMU has something else: is it QEMU?")
    return value


def parsed(line: bytes, where: str) -> dict[str, Any]:
    """One JSON object."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        shown = line[:60].decode(errors="replace").strip()
        if HUMAN_MONITOR in line:
            raise CannotAsk(f"{where} is QEMU's human monitor; name the socket of -qmp, which speaks JSON")
        raise CannotAsk(f"{where} doesn't speak QMP, it says {shown!r}: name the socket of QEMU's -qmp")
    return value


class QmpSocket(Monitor):
    """QMP on a Unix socket, which serves one client at a time."""

    def __init__(self, path: str, seconds: float) -> None:
        self._path, self._seconds = path, seconds
        self._received = b""
        self._deadline = time.monotonic() + seconds
        self._socket = self._connected()
        try:
            greeting = parsed(self._line("to be greeted"), path)
            if "QMP" not in greeting:
                raise CannotAsk(f"{path} begins with {str(greeting)[:60]!r}, which isn't QMP: name QEMU's -qmp socket")
            self.ask("qmp_capabilities")
        except Refused as why:
            self._socket.close()
            raise CannotAsk(f"{path} refuses to negotiate QMP: {why}") from None
        except BaseException:
            self._socket.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def exchanged(self, asked: str, command: str) -> dict[str, Any]:
        self._deadline = time.monotonic() + self._seconds
        try:
            self._socket.settimeout(self._seconds)
            self._socket.sendall(asked.encode() + b"\n")
        except socket.timeout:
            raise self._no_answer(f"to take {command}") from None
        except OSError:
            raise self._gone(f"when it was asked {command}") from None
        while True:
            answer = parsed(self._line(f"to answer {command}"), self._path)
            if "return" in answer or "error" in answer:
                return answer
            if "event" not in answer:
                raise CannotAsk(f"{self._path} answers {command} with {str(answer)[:60]!r}, which isn't QMP")

    def _connected(self) -> socket.socket:
        try:
            if not stat.S_ISSOCK(Path(self._path).stat().st_mode):
                raise CannotAsk(f"{self._path} is no socket: name the one of QEMU's -qmp unix:SOCKET")
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise CannotAsk(self._why_not(error)) from None
        except ValueError:
            raise CannotAsk(f"{self._path!r} is no path") from None
        try:
            channel.settimeout(self._seconds)
            channel.connect(self._path)
        except OSError as error:
            channel.close()
            raise CannotAsk(self._why_not(error)) from None
        return channel

    def _why_not(self, error: OSError) -> str:
        path = self._path
        if isinstance(error, FileNotFoundError):
            return f"there is no {path}: has the VM been started, with -qmp unix:{path},server=on,wait=off?"
        if isinstance(error, ConnectionRefusedError):
            return f"nobody listens on {path}: the QEMU that made it has ended, or it isn't one of -qmp"
        if isinstance(error, PermissionError):
            return f"{path}: {error.strerror}: ask as root, or as the user who runs QEMU"
        if isinstance(error, (BlockingIOError, socket.timeout)):
            return f"{path} is held by another client, and others wait for it; {USE_VIRSH}, {SERVE_ANOTHER}"
        if error.errno is None and "too long" in str(error):
            return f"the path {path} is too long for a socket: go to its folder, and name it by a relative path"
        return f"{path}: {error.strerror or error}"

    def _line(self, wanted: str) -> bytes:
        """The next line that comes before the deadline."""
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._no_answer(wanted)
            if b"\n" in self._received:
                break
            if len(self._received) > LARGEST_ANSWER:
                raise CannotAsk(f"{self._path} has sent {len(self._received)} bytes without an end: it isn't QMP")
            try:
                self._socket.settimeout(left)
                more = self._socket.recv(1 << 20)
            except socket.timeout:
                raise self._no_answer(wanted) from None
            except OSError:
                more = b""
            if not more:
                raise self._gone(f"while it had {wanted}")
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _no_answer(self, wanted: str) -> CannotAsk:
        if wanted == "to be greeted":
            return CannotAsk(f"{self._path} sends no greeting in {self._seconds:g} s: another client holds it, or QEMU"
                             f" hangs; {USE_VIRSH}, {SERVE_ANOTHER}")  # fmt: skip
        return CannotAsk(f"QEMU takes longer than {self._seconds:g} s {wanted}: it hangs, or the host is busy"
                         " (--timeout SECONDS)")  # fmt: skip

    def _gone(self, when: str) -> CannotAsk:
        return CannotAsk(f"QEMU has closed {self._path} {when}: it has ended (its log may say why), or it isn't QEMU")


class Virsh(Monitor):
    """QMP by libvirt's command."""

    def __init__(self, domain: str, seconds: float) -> None:
        self._domain, self._seconds = domain, seconds

    def exchanged(self, asked: str, command: str) -> dict[str, Any]:
        line = [VIRSH, "qemu-monitor-command", f"--domain={self._domain}", asked]
        try:
            done = subprocess.run(
                line, stdin=subprocess.DEVNULL, capture_output=True, timeout=self._seconds, check=False
            )
        except FileNotFoundError:
            raise CannotAsk("there is no virsh: install libvirt-clients, or use --qmp SOCKET") from None
        except subprocess.TimeoutExpired:
            raise CannotAsk(f"virsh takes longer than {self._seconds:g} s to have {command} answered: libvirt or the VM"
                            " hangs, or the host is busy (--timeout SECONDS)") from None  # fmt: skip
        except (OSError, ValueError) as error:
            raise CannotAsk(f"virsh can't be run: {error}") from None
        if done.returncode:
            said = " ".join(done.stderr.decode(errors="replace").split()) or f"exit status {done.returncode}"
            raise CannotAsk(f"virsh refuses: {said} (`virsh list` names the VMs that run: root's, or those of"
                            " LIBVIRT_DEFAULT_URI)")  # fmt: skip
        answer = parsed(done.stdout, "virsh")
        if "return" not in answer and "error" not in answer:
            raise CannotAsk(f"virsh answers {command} with {str(answer)[:60]!r}, which isn't QMP")
        return answer
