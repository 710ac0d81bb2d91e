# SPDX-License-Identifier: GPL-2.0-or-later
"""The crate compiles for hosts that nobody here has: 32 bits, big-endian, without assembly, without Linux."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crate import foreign_core
from crate_builds.library import CRATE, compile_crate
from machines.error import MachineError, NotAvailable

TARGETS = ("s390x-unknown-linux-gnu", "riscv64gc-unknown-linux-gnu", "i686-unknown-linux-gnu",
           "powerpc64le-unknown-linux-gnu", "mipsel-unknown-linux-gnu", "aarch64-unknown-linux-gnu",
           "x86_64-pc-windows-gnu")  # fmt: skip
WITH_ASSEMBLY = ("aarch64-", "x86_64-")
WITHOUT_64_BIT_ATOMICS = "mipsel-unknown-linux-gnu"

# What is added to a file of the crate, and what the compiler must say.
BREAKS = {
    "an atomic that 32-bit hosts lack": (
        "budget.rs", "use core::sync::atomic::AtomicU64;\n", "no `AtomicU64` in `sync::atomic`"),
    "assembly of another architecture": (
        "arch/volatile.rs", 'pub fn pause() {\n    // SAFETY: none.\n    unsafe { core::arch::asm!("pause") }\n}\n',
        "inline assembly is not stable yet on this architecture"),
}  # fmt: skip


def target_or_skip(name: str) -> foreign_core.Target:
    """The target; the test is skipped if its core can't be had."""
    try:
        return foreign_core.target(name)
    except NotAvailable as reason:
        pytest.skip(f"no core for {name}: {reason}")


def linted_or_skip(name: str) -> foreign_core.Target:
    """The same, if there is a clippy for it: the lints that the crate denies by itself are those of every target."""
    target = target_or_skip(name)
    try:
        foreign_core.clippy()
    except NotAvailable as reason:
        pytest.skip(f"no clippy for {name}: {reason}")
    return target


@pytest.mark.parametrize("name", TARGETS)
def test_the_crate_compiles_for(name: str, tmp_path: Path) -> None:
    compile_crate(target_or_skip(name).compile, tmp_path, "metadata", ("--deny", "warnings"))


@pytest.mark.parametrize("name", TARGETS)
def test_clippy_finds_nothing_for(name: str, tmp_path: Path) -> None:
    compile_crate(linted_or_skip(name).lint, tmp_path, "metadata")


@pytest.mark.parametrize("name", TARGETS)
def test_clippy_finds_what_is_not_argued_for(name: str, tmp_path: Path) -> None:
    target = linted_or_skip(name)
    shutil.copytree(CRATE, tmp_path / "crate")
    file = name.split("-", maxsplit=1)[0] if name.startswith(WITH_ASSEMBLY) else "volatile"
    with (tmp_path / f"crate/src/arch/{file}.rs").open("a") as source:
        source.write("pub fn nothing(at: *const u8) -> u8 {\n    unsafe { *at }\n}\n")
    with pytest.raises(MachineError, match="unsafe block missing a safety comment"):
        compile_crate(target.lint, tmp_path, "metadata", crate=tmp_path / "crate")


@pytest.mark.parametrize("added", BREAKS)
def test_what_does_not_compile_there_is_found(added: str, tmp_path: Path) -> None:
    target = target_or_skip(WITHOUT_64_BIT_ATOMICS)
    file, text, message = BREAKS[added]
    shutil.copytree(CRATE, tmp_path / "crate")
    with (tmp_path / "crate/src" / file).open("a") as source:
        source.write(text)
    with pytest.raises(MachineError, match=message):
        compile_crate(target.compile, tmp_path, "metadata", crate=tmp_path / "crate")
