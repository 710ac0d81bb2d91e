# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator that is checked: which QEMU it is, and whether it can be checked at all."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from checker.boards import Q35, VIRT, Board
from machines import process_group

OLDEST = (10, 1)
PEER_DEVICE = "vfio-user-pci"
NEEDED = f"The checker needs qemu-system-aarch64 or qemu-system-x86_64 of QEMU {OLDEST[0]}.{OLDEST[1]} or newer"
ANSWER_SECONDS = 120.0
# What works is answered within milliseconds; some devices never answer.
PATIENCE = 4.0
EMPTY_MACHINE = ("-machine", "none", "-display", "none", "-nodefaults", "-monitor", "stdio")


class CannotCheck(Exception):
    """There is nothing to be said about this emulator, for the reason given."""


@dataclass(frozen=True)
class Subject:
    """An emulator that can be checked. `patience`: for how many seconds a request of its devices is waited for."""

    program: Path
    version: str
    board: Board
    patience: float = PATIENCE

    def has_device(self, device: str) -> bool:
        return f"{device} options:" in self._properties(device)

    def has_property(self, device: str, name: str) -> bool:
        return re.search(rf"^\s*{name}=", self._properties(device), re.MULTILINE) is not None

    def _properties(self, device: str) -> str:
        return _ask(self.program, "-device", f"{device},help")


def probe(program: Path) -> Subject:
    """Look at the program; CannotCheck says why it won't do."""
    program = program.absolute()  # by its name alone another one, in PATH, would be started
    if not program.is_file():
        raise CannotCheck(f"there is no file {program}. {NEEDED}.")
    printed = _ask(program, "--version")
    # The dynamic linker may have something to say before.
    found = re.search(r"^QEMU emulator version ((\d+)\.(\d+)\S*)", printed, re.MULTILINE)
    if not found:
        first = printed.strip().partition("\n")[0][:100]
        raise CannotCheck(f"{program} is no QEMU system emulator: --version prints {first!r}. {NEEDED}.")
    version = found[1]
    if (int(found[2]), int(found[3])) < OLDEST:
        raise CannotCheck(f"{program} is QEMU {version}, which is too old: it has no {PEER_DEVICE}. {NEEDED}.")
    board = _board(program)
    # `-accel help` doesn't name what is in a module that hasn't been loaded.
    if "invalid accelerator" in _ask(program, *EMPTY_MACHINE, "-accel", "qtest", typed=b"quit\n"):
        hint = "Debian and Ubuntu have it in qemu-system-common"
        raise CannotCheck(f"{program} has no qtest accelerator, by which the checker drives it; {hint}.")
    subject = Subject(program, version, board)
    if not subject.has_device(PEER_DEVICE):
        why = "this QEMU was built without it (CONFIG_VFIO_USER_CLIENT, for which the host must be Linux)"
        raise CannotCheck(f"{program} is QEMU {version} without {PEER_DEVICE}: {why}. {NEEDED}, built with it.")
    return subject


def _board(program: Path) -> Board:
    machines = _ask(program, "-machine", "help")
    if re.search(r"^q35\b", machines, re.MULTILINE):
        return Q35
    # The emulator of 32-bit Arm has a machine of that name as well.
    is_arm = re.search(r"^virt\b.*\bARM\b", machines, re.MULTILINE | re.IGNORECASE)
    if is_arm and "cortex-a57" in _ask(program, "-cpu", "help"):
        return VIRT
    raise CannotCheck(f"{program} has neither aarch64's machine virt nor x86_64's q35. {NEEDED}.")


def _ask(program: Path, *arguments: str, typed: bytes = b"") -> str:
    """What the program prints; some versions print help as an error."""
    try:
        process = subprocess.Popen(
            [str(program), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
        )  # fmt: skip
    except OSError as error:
        raise CannotCheck(f"{program} doesn't start: {error.strerror}. {NEEDED}.") from None
    with process:
        try:
            printed, _ = process.communicate(typed, timeout=ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            asked = " ".join(arguments)
            raise CannotCheck(f"{program} hasn't answered {asked} in {ANSWER_SECONDS:.0f} s. {NEEDED}.") from None
        finally:
            process_group.end(process)
    return printed.decode(errors="replace")
