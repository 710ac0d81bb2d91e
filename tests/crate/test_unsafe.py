# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/audit.md names every unsafe block of the crate: none is added, moved or dropped without a look at the table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[2]
CRATE = ROOT / "rust/ram-device/src"
SOURCES = {str(source.relative_to(CRATE)): source for source in CRATE.rglob("*.rs") if source.name != "tests.rs"}
UNIT_TESTS = "#[cfg(test)]\nmod tests"
ROW = re.compile(r"^\| `([\w/]+\.rs)` ([^|]*) \| ([\d, ]+) \|", re.MULTILINE)

# A function of a file, and the unsafe blocks that it has.
Blocks = Counter[tuple[str, str]]


def without_test_functions(source: str) -> str:
    """The source, less what is compiled for the crate's own tests only."""
    own = source.partition(UNIT_TESTS)[0]
    return re.sub(r"^    #\[cfg\(test\)\]\n.*?^    }\n", "", own, flags=re.MULTILINE | re.DOTALL)


def blocks_in(file: str, source: str) -> Blocks:
    """The unsafe blocks in a file's text, by the function that they are in."""
    found: Blocks = Counter()
    function = ""
    for line in without_test_functions(source).splitlines():
        code = line.split("//")[0]
        if named := re.search(r"\bfn (\w+)", code):
            function = named[1]
        if blocks := len(re.findall(r"\bunsafe( {|$)", code)):
            found[file, function] += blocks
    return found


def blocks_of_the_table() -> Blocks:
    """What docs/audit.md has."""
    found: Blocks = Counter()
    for file, functions, numbers in ROW.findall((ROOT / "docs/audit.md").read_text()):
        for function, number in zip(functions.split(", "), numbers.split(", "), strict=True):
            found[file, function.strip("`")] += int(number)
    return found


def test_the_audit_names_every_unsafe_block() -> None:
    found: Blocks = Counter()
    for name, source in SOURCES.items():
        found += blocks_in(name, source.read_text())
    assert sum(found.values()) > 40
    assert found == blocks_of_the_table()


def test_all_assembly_is_in_one_file() -> None:
    with_assembly = {name: source.read_text().count("asm!(") for name, source in SOURCES.items()}
    assert {name: number for name, number in with_assembly.items() if number} == {"arch/assembly.rs": 7}


def test_only_arch_asks_for_the_architecture() -> None:
    asking = {name for name, source in SOURCES.items() if re.search("target_(arch|os)", source.read_text())}
    assert asking == {"arch.rs", "arch/assembly.rs"}


def test_a_block_that_the_table_lacks_is_seen() -> None:
    """The first test above would be blind if blocks looked otherwise."""
    added = "pub fn new() {\n    // SAFETY: none.\n    unsafe {\n    }\n    let value =\n        unsafe { 1 };\n}\n"
    assert blocks_in("copy.rs", added + UNIT_TESTS + "\nunsafe {") == Counter({("copy.rs", "new"): 2})
