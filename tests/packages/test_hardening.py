# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program's file says of how it was built is read rightly: programs are compiled with and without it."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from packages import hardening

SOURCE = """
#include <stdio.h>
#include <string.h>
int main(int count, char **words)
{
    char copy[64];
    strcpy(copy, words[count - 1]);
    return puts(copy);
}
"""
HARDENED = ("-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-fPIE", "-pie",
            "-Wl,-z,relro,-z,now,-z,noexecstack")  # fmt: skip
PLAIN = ("-O2", "-U_FORTIFY_SOURCE", "-fno-stack-protector", "-fno-pie", "-no-pie",
         "-Wl,-z,norelro,-z,lazy,-z,execstack")  # fmt: skip
ALL = {"position-independent", "read-only relocations", "bound at start", "no executable stack", "stack protector",
       "fortified"}  # fmt: skip


def built(folder: Path, *options: str) -> set[str]:
    """What is said of the program that these options make."""
    source, program = folder / "program.c", folder / "program"
    source.write_text(SOURCE)
    command = [*shlex.split(os.environ.get("CC", "cc")), *options, "-w", "-o", str(program), str(source)]
    subprocess.run(command, check=True)
    return {word for word in hardening.of(program) if not word.startswith("property ")}


def test_a_hardened_program_has_all_of_it(tmp_path: Path) -> None:
    assert built(tmp_path, *HARDENED) == ALL | {"needs libc.so.6"}


def test_a_plain_program_has_none_of_it(tmp_path: Path) -> None:
    assert built(tmp_path, *PLAIN) == {"needs libc.so.6"}


def test_a_script_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert hardening.of(tmp_path / "script") == set()
