# SPDX-License-Identifier: GPL-2.0-or-later
"""The negative control on the crate itself: one change to its source breaks one rule, and the traces show which."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.programs import WANTED, Program, Wanted, built
from audit.trace_run import INSTRUMENTS, crate, moved_words
from audit.traces import Instrument
from crate_builds.library import CRATE
from machines.error import NotAvailable

# What is changed (file, from, to), and the violation that must be found.
LOAD = "unsafe { W::device_load(addr, &mut self.vanished) }"
STORE = "unsafe { W::device_store(addr, value, &mut self.vanished) }"
CHANGES = {
    "C1, a misaligned access is split": ("port.rs", "arch::MISALIGNED", "Misaligned::Split", "cut"),
    "C2, an access of 8 bytes needs an alignment of 4 only": (
        "plan.rs", "addr.is_aligned_to(8)", "addr.is_aligned_to(4)", "unaligned"),
    "C2, there are no accesses of 2 bytes": ("plan.rs", "addr.is_aligned_to(2)", "false", "cut"),
    "C3, each load is made twice": (
        "port.rs", LOAD, LOAD.replace("{ ", "{ W::device_load(addr, &mut self.vanished); "), "duplicated"),
    "C3, what is to be written is read": (
        "port.rs", STORE, STORE.replace("{ ", "{ W::device_load(addr, &mut self.vanished); "), "direction"),
    "C7, a load isn't in the table": (
        "port.rs", LOAD, "unsafe { W::ram_load(addr.get() as *const u8) }", "instruction"),
}  # fmt: skip
MOVE = "W::ram_store(to, W::ram_load(from));"
EIGHT = "Width::Eight => one::<u64>(to, from)"
MOVES = {
    "a word is stored twice": ("ram.rs", MOVE, 2 * MOVE, "duplicated"),
    "a word of 8 bytes is stored in two halves": (
        "ram.rs", EIGHT, EIGHT.replace("one::<u64>(to, from)",
                                       "{ one::<u32>(to, from); one::<u32>(to.add(4), from.add(4)) }"), "cut"),
}  # fmt: skip


@pytest.fixture
def instrument(build: Callable[[Wanted], Program]) -> Instrument:
    """What looks at the accesses."""
    architecture = build(WANTED[0]).architecture  # skipped if the crate can't be built here as it is
    try:
        return INSTRUMENTS["plugin"](architecture)
    except NotAvailable as failure:
        pytest.skip(str(failure))


def broken(file: str, before: str, after: str, folder: Path) -> Program:
    """The program with the crate changed in one place."""
    changed = folder / "crate"
    shutil.copytree(CRATE, changed)
    source = changed / "src" / file
    text = source.read_text()
    assert text.count(before) == 1, f"{source.name} has changed: find another way to break it than {after}"
    source.write_text(text.replace(before, after))
    return built(WANTED[0], folder / "program", changed)


@pytest.mark.parametrize("name", CHANGES)
def test_a_crate_that_breaks_a_rule_is_found_out(name: str, instrument: Instrument, tmp_path: Path) -> None:
    file, before, after, violation = CHANGES[name]
    found = crate(broken(file, before, after, tmp_path), instrument, thorough=False)
    assert sum(findings.by_class[violation] for findings in found.values()) > 0, name


@pytest.mark.parametrize("name", MOVES)
def test_a_crate_that_stores_a_word_to_ram_otherwise_than_at_once_is_found_out(
        name: str, instrument: Instrument, tmp_path: Path) -> None:
    file, before, after, violation = MOVES[name]
    found = moved_words(broken(file, before, after, tmp_path), instrument)
    assert sum(findings.by_class[violation] for findings in found.values()) > 0, name
