# SPDX-License-Identifier: GPL-2.0-or-later
"""C8: ordinary RAM pays nothing.  The instructions that an access to RAM executes, stock beside patched.

gdb steps through each access in both emulators (step.py), from the function's first instruction to its last, called
functions included.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from machines import gdb_script

pytestmark = pytest.mark.exhaustive

# Of a word, which memmove() doesn't make there.
WORDS = ("write 1", "write 2", "write 4", "write 8")
ACCESSES = (*WORDS, "read", "write", "load", "store", "write rom", "map", "unmap", "cache")
# Not in the table: jmp, which goes where it goes.
CONDITIONAL = re.compile(r"j(?!mp)\w+$")

Paths = dict[str, list[str]]


def paths(emulator: str) -> Paths:
    """For each access the instructions that the emulator executes."""
    step = Path(__file__).with_name("step.py")
    machine = ["-M", "virt", "-accel", "qtest", "-display", "none", "-nodefaults", "-m", "128", "-S"]
    done = gdb_script.run(step, emulator, machine)
    found = {name: path.split(";") for name, path in re.findall(r"^path ([\w ]+): (.*)$", done.stdout, re.MULTILINE)}
    assert set(found) == set(ACCESSES), done.stdout[-2000:] + done.stderr[-2000:]
    return found


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Paths, Paths]]:
    """The paths of the stock emulator and of the patched one; prints them side by side at the end."""
    if platform.machine() != "x86_64":
        pytest.skip(f"step.py reads x86-64 instructions, not those of {platform.machine()}")
    if not shutil.which("gdb"):
        pytest.skip("no gdb here")
    missing = [name for name in ("RAM_DEVICE_BUILT_STOCK", "RAM_DEVICE_PATCHED") if not os.environ.get(name)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} must name an emulator")
    stock, patched = paths(os.environ["RAM_DEVICE_BUILT_STOCK"]), paths(os.environ["RAM_DEVICE_PATCHED"])
    yield stock, patched
    print("\naccess to RAM    instructions   calls   conditional branches   (stock / patched)")
    for name in ACCESSES:
        one, other = stock[name], patched[name]
        print(f"{name:<12} {len(one):>9} / {len(other):<5} {len(calls(one)):>3} / {len(calls(other)):<3}"
              f" {len(branches(one)):>10} / {len(branches(other))}")


def calls(path: list[str]) -> list[str]:
    """The calls among the instructions."""
    return [instruction for instruction in path if instruction.startswith("call")]


def branches(path: list[str]) -> list[str]:
    """The conditional branches among the instructions."""
    return [instruction for instruction in path if CONDITIONAL.match(instruction)]


@pytest.mark.parametrize("access", ACCESSES)
def test_an_access_to_ram_makes_no_more_calls_than_stock(both: tuple[Paths, Paths], access: str) -> None:
    stock, patched = both
    assert len(calls(patched[access])) <= len(calls(stock[access]))
    assert calls(stock[access]) or access == "unmap"


@pytest.mark.parametrize("access", [access for access in ACCESSES if access not in WORDS])
def test_an_access_to_ram_makes_no_call_that_stock_does_not_make(both: tuple[Paths, Paths], access: str) -> None:
    stock, patched = both
    assert Counter(calls(patched[access])) <= Counter(calls(stock[access]))


@pytest.mark.parametrize("access", WORDS)
def test_a_write_of_a_word_to_ram_is_not_made_by_memmove(both: tuple[Paths, Paths], access: str) -> None:
    stock, patched = both
    assert "call memmove@plt" in calls(stock[access])
    assert "call memmove@plt" not in calls(patched[access])
    assert any(call.endswith("ram_move_word") for call in calls(patched[access]))


@pytest.mark.parametrize("access", ACCESSES)
def test_an_access_to_ram_has_no_more_branches_than_stock(both: tuple[Paths, Paths], access: str) -> None:
    stock, patched = both
    assert 0 < len(branches(patched[access])) <= len(branches(stock[access]))


@pytest.mark.parametrize("access", ACCESSES)
def test_an_access_to_ram_takes_no_more_instructions_than_stock(both: tuple[Paths, Paths], access: str) -> None:
    stock, patched = both
    assert 100 < len(patched[access]) <= len(stock[access])
