# SPDX-License-Identifier: GPL-2.0-or-later
"""C's headers and the crate's functions: the same ones, of the same types, and a C program can call them."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from crate_builds import library
from crate_builds.library import CRATE, RUST, compile_crate, run_rustc
from machines.error import MachineError

INCLUDE = RUST.parent / "qemu/include"
RUSTC = functools.partial(run_rustc, "rustc")
CALLER = Path(__file__).with_name("caller.c")


def functions(pattern: str, text: str) -> list[str]:
    """The names that a pattern finds, sorted."""
    return sorted(re.findall(pattern, text, re.MULTILINE))


def test_every_function_that_a_header_declares_is_exported_and_compared_with_it() -> None:
    wrapper = (RUST / "qemu/wrapper.h").read_text()
    headers = "".join((INCLUDE / name).read_text() for name in functions(r'^#include "(.*)"', wrapper))
    ffi = (CRATE / "src/ffi.rs").read_text()
    declared = functions(r"^[a-z]\w+ \**(ram_\w+)\(", headers)
    assert len(declared) == 10
    assert declared == functions(r'#\[no_mangle\]\npub (?:unsafe )?extern "C" fn (\w+)', ffi)
    assert declared == functions(r"^    (ram_\w+)\([_, ]+\);", ffi)


@pytest.mark.parametrize(("header", "is_now", "would_be"), [
    ("ram-device.h", "uint64_t offset, unsigned size,\n                     uint64_t *value",
     "uint64_t offset, unsigned size,\n                     uint32_t *value"),
    ("ram-device.h", "bool readonly;", "uint8_t readonly;"),
    ("ram-device-fault.h", "uintptr_t ram_device_fixup(uintptr_t pc);", "bool ram_device_fixup(uintptr_t pc);"),
    ("ram-device-pages.h", "*pages, size_t count);", "*pages, uint32_t count);"),
], ids=["argument", "field", "result", "size"])  # fmt: skip
def test_a_header_that_says_something_else_does_not_compile(
        header: str, is_now: str, would_be: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(INCLUDE, tmp_path / "qemu/include")
    shutil.copytree(RUST / "qemu", tmp_path / "rust/qemu")
    changed = tmp_path / "qemu/include/system" / header
    text = changed.read_text()
    assert text.count(is_now) == 1
    changed.write_text(text.replace(is_now, would_be))
    monkeypatch.setattr(library, "RUST", tmp_path / "rust")
    library.bindings.cache_clear()
    try:
        with pytest.raises(MachineError, match="mismatched types"):
            compile_crate(RUSTC, tmp_path, "metadata")
    finally:
        library.bindings.cache_clear()


def test_a_c_program_can_call_them_all(tmp_path: Path) -> None:
    program = tmp_path / "caller"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-Wl,--gc-sections", "-I", str(INCLUDE),
                    str(CALLER), str(compile_crate(RUSTC, tmp_path)), "-o", str(program)], check=True)  # fmt: skip
    called = subprocess.run([str(program)], text=True, capture_output=True, check=False)
    assert called.returncode == 0, called.stdout
