# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirt in the chroot: its daemon, started by hand as there is no systemd, and virsh."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machines.error import MachineError

SOCKET = Path("/run/libvirt/libvirt-sock")
CONFIGURATION = Path("/etc/libvirt/qemu.conf")
LOG = Path("/var/log/libvirt/libvirtd.log")
# virtlogd writes emulators' messages otherwise, which would be one more daemon.
SETTINGS = """
stdio_handler = "file"
seccomp_sandbox = 1
"""
TIMEOUT, POLL_SECONDS = 1200.0, 0.2


def configure() -> None:
    """What an administrator may have in qemu.conf, too."""
    CONFIGURATION.write_text(CONFIGURATION.read_text() + SETTINGS)


@contextmanager
def daemon() -> Iterator[None]:
    """libvirtd, as long as the context lasts."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        process = subprocess.Popen(["/usr/sbin/libvirtd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait("libvirtd's socket", SOCKET.exists, lambda: process.poll() is None)
            yield
        finally:
            process.terminate()
            process.wait()


def wait(what: str, is_so: Callable[[], Any], lives: Callable[[], bool] = lambda: True) -> None:
    """Wait for it; MachineError if it doesn't come, or if what it is expected of has ended."""
    deadline = time.monotonic() + TIMEOUT
    while not is_so():
        if not lives():
            raise MachineError(f"no {what}: it has ended")
        if time.monotonic() > deadline:
            raise MachineError(f"no {what} after {TIMEOUT:.0f} s")
        time.sleep(POLL_SECONDS)


def virsh(*words: str) -> str:
    """What virsh prints."""
    done = subprocess.run(["virsh", "--quiet", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)  # fmt: skip
    if done.returncode:
        raise MachineError(f"virsh {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Domain:
    """A domain by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def state(self) -> str:
        """For instance "running"."""
        return virsh("domstate", self.name).strip()

    @property
    def pid(self) -> int:
        """The emulator's process."""
        return int(Path(f"/run/libvirt/qemu/{self.name}.pid").read_text())

    @property
    def arguments(self) -> list[str]:
        """The emulator's command line."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")

    @property
    def emulator(self) -> Path:
        """The program that runs."""
        return Path(f"/proc/{self.pid}/exe").readlink()

    @property
    def is_confined(self) -> bool:
        """Whether all its threads have a seccomp filter."""
        status = [task.read_text() for task in Path(f"/proc/{self.pid}/task").glob("*/status")]
        return all(re.search(r"^Seccomp:\t2$", text, re.MULTILINE) for text in status)

    @property
    def messages(self) -> str:
        """What the emulator has said."""
        return Path(f"/var/log/libvirt/qemu/{self.name}.log").read_text(errors="replace")

    def ask(self, command: str, **arguments: Any) -> Any:
        """What a QMP command returns."""
        request = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
        answer = json.loads(virsh("qemu-monitor-command", self.name, request))
        if "error" in answer:
            raise MachineError(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def monitor(self, line: str) -> str:
        """What the human monitor prints."""
        return virsh("qemu-monitor-command", "--hmp", self.name, line)


@contextmanager
def defined(xml: str, scratch: Path) -> Iterator[Domain]:
    """The domain, which is defined and not yet started; it is destroyed and undefined at the end."""
    (name,) = re.findall(r"<name>(.*)</name>", xml)
    file = scratch / f"{name}.xml"
    file.write_text(xml)
    virsh("define", "--validate", str(file))
    domain = Domain(name)
    try:
        yield domain
    finally:
        if domain.state != "shut off":
            virsh("destroy", name)
        virsh("undefine", "--managed-save", name)
