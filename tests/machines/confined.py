# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program that is denied something which this host has: for tests of what is done where it is missing.

    python3 confined.py no-call NUMBER PROGRAM...         the system call ends with ENOSYS
    python3 confined.py locked-memory BYTES PROGRAM...    no more can be locked, by root either
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 22, 24, 38
SECCOMP_MODE_FILTER, CAP_IPC_LOCK = 2, 14
# Of classic BPF: load a word of what seccomp says of the call, which begins with its number; skip if unequal; return.
LOAD, SKIP_UNLESS_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF_0000, 0x0005_0000


def without_call(number: int, command: Sequence[str | Path]) -> list[str]:
    """The command, without that system call."""
    return [sys.executable, "-B", "-P", __file__, "no-call", str(number), *map(str, command)]


def with_locked_memory(size: int, command: Sequence[str | Path]) -> list[str]:
    """The command, with no more memory that is locked."""
    return [sys.executable, "-B", "-P", __file__, "locked-memory", str(size), *map(str, command)]


def main() -> None:
    what, number, *command = sys.argv[1:]
    {"no-call": _forbid_call, "locked-memory": _limit_locked_memory}[what](int(number))
    os.execv(command[0], command)


def _forbid_call(number: int) -> None:
    instructions = (LOAD, 0, 0, 0), (SKIP_UNLESS_EQUAL, 0, 1, number), (RETURN, 0, 0, FAIL | errno.ENOSYS), \
                   (RETURN, 0, 0, ALLOW)  # fmt: skip
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in instructions))
    described = struct.pack("HP", len(instructions), ctypes.addressof(program))
    _prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0)


def _limit_locked_memory(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, size))
    if os.geteuid() == 0:
        _prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)


def _prctl(option: int, *arguments: int | bytes) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main()
