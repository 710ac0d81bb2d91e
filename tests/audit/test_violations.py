# SPDX-License-Identifier: GPL-2.0-or-later
"""The comparison of traces with the contract: it takes the right trace, and tells what is wrong with another one."""

from __future__ import annotations

import io

import pytest

from audit import lackey, windows
from audit.cases import Case, Routine
from audit.contract import expected
from audit.traces import Access, by_case
from audit.violations import CLASSES, violations
from contract_model.pieces import pieces
from machines.error import MachineError

pytestmark = pytest.mark.quick

TABLE = {0x400000, 0x400004}
PC = 0x400000
READ = Case(Routine.READ, 11, 0x803, 0x900)
RIGHT: list[Access] = [(0x803, 1, "L", PC), (0x804, 4, "L", PC), (0x808, 4, "L", PC), (0x80C, 2, "L", PC)]
WRONG: dict[str, list[Access]] = {
    "duplicated": [*RIGHT, RIGHT[3]],
    "missing": RIGHT[:3],
    "outside": [*RIGHT, (0x80E, 1, "L", PC)],
    "wide": [(0x803, 11, "L", PC)],
    "unaligned": [(0x803, 4, "L", PC), (0x807, 1, "L", PC), (0x808, 4, "L", PC), (0x80C, 2, "L", PC)],
    "order": [RIGHT[1], RIGHT[0], *RIGHT[2:]],
    "direction": [*RIGHT[:3], (0x80C, 2, "S", PC)],
    "cut": [*RIGHT[:3], (0x80C, 1, "L", PC), (0x80D, 1, "L", PC)],
    "instruction": [*RIGHT[:3], (0x80C, 2, "L", 0x400008)],
}


def test_the_trace_that_the_contract_prescribes_is_no_violation() -> None:
    assert violations(READ, RIGHT, "x86_64", TABLE) == set()
    assert violations(READ, RIGHT, "aarch64", TABLE) == set()


@pytest.mark.parametrize("name", CLASSES)
def test_a_violation_is_called_by_its_name(name: str) -> None:
    assert name in violations(READ, WRONG[name], "x86_64", TABLE)


def test_only_vectors_are_called_wide() -> None:
    assert [name for name in WRONG if "wide" in violations(READ, WRONG[name], "x86_64", TABLE)] == ["wide"]


def test_a_misaligned_access_of_4_bytes_is_right_on_x86_64_and_wrong_on_aarch64() -> None:
    case, one = Case(Routine.LOAD, 4, 0x801), [(0x801, 4, "L", PC)]
    assert violations(case, one, "x86_64", TABLE) == set()
    assert violations(case, one, "aarch64", TABLE) == {"unaligned"}
    split: list[Access] = [(0x801, 1, "L", PC), (0x802, 2, "L", PC), (0x804, 1, "L", PC)]
    assert violations(case, split, "aarch64", TABLE) == set()
    assert violations(case, split, "x86_64", TABLE) == {"cut"}


def test_the_pieces_are_those_of_a_few_examples_that_were_cut_by_hand() -> None:
    assert pieces(0, 0, True) == []
    assert pieces(5, 3, True) == [(0, 1), (1, 2)]
    assert pieces(7, 8, False) == [(0, 1), (1, 4), (5, 2), (7, 1)]
    assert pieces(7, 8, True) == [(0, 8)]
    assert pieces(2, 23, True) == [(0, 2), (2, 4), (6, 8), (14, 8), (22, 1)]


def test_the_order_of_an_overlap_is_descending_where_ascending_would_destroy_the_source() -> None:
    assert expected(Case(Routine.READ_WITHIN, 3, 0x802, 0x803), "x86_64") == [(0x804, 1, "L"), (0x802, 2, "L")]
    assert expected(Case(Routine.READ_WITHIN, 3, 0x802, 0x801), "x86_64") == [(0x802, 2, "L"), (0x804, 1, "L")]
    assert expected(Case(Routine.WRITE_WITHIN, 3, 0x802, 0x801), "x86_64") == [(0x804, 1, "S"), (0x802, 2, "S")]


def test_of_an_overlap_the_ram_side_is_any_access_that_stays_inside_it() -> None:
    case = Case(Routine.READ_WITHIN, 2, 0x802, 0x820)
    device: Access = (0x802, 2, "L", PC)
    assert violations(case, [device, (0x820, 1, "S", 0x400008), (0x821, 1, "S", 0x400008)], "x86_64", TABLE) == set()
    assert violations(case, [device, (0x821, 2, "S", 0x400008)], "x86_64", TABLE) == {"outside"}


def test_a_refused_transfer_that_touches_the_device_is_a_violation() -> None:
    refused = Case(Routine.WRITE, 2, 0x800, 0x800, readonly=True)
    assert violations(refused, [], "x86_64", TABLE) == set()
    assert violations(refused, [(0x800, 2, "S", PC)], "x86_64", TABLE) == {"outside"}


def marker(case: int) -> Access:
    """What an instrument sees when a case begins."""
    return windows.MARKERS + case, 1, "S", PC


def test_accesses_belong_to_the_case_whose_marker_precedes_them() -> None:
    access = (windows.DEVICE + 8, 4, "L", PC)
    assert list(by_case(iter([marker(0), access, access, marker(1), marker(2), access]))) == [
        [(8, 4, "L", PC)] * 2, [], [(8, 4, "L", PC)]]  # fmt: skip


@pytest.mark.parametrize("seen", [[marker(0), marker(2)], [marker(1)], [(windows.DEVICE, 1, "L", PC), marker(0)]],
                         ids=["one missing", "the first missing", "an access before all"])  # fmt: skip
def test_an_instrument_that_misses_a_marker_is_refused(seen: list[Access]) -> None:
    with pytest.raises(MachineError):
        list(by_case(iter(seen)))


@pytest.mark.parametrize("chunk", [1, 7, 100, 1 << 20])
def test_lackeys_output_is_understood_wherever_it_is_cut(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = (b"==1== Lackey\nI  04001000,3\n L 1ffe0000,8\nI  00401000,7\n S 5e00000000,1\nI  00401010,2\n"
               b" L 1ffe0000,8\nI  00401012,4\n L 5d00000810,8\n S 5a00000810,8\nI  00401016,3\n M 5d00000818,2\n"
               b"I  00401020,3\nI  00401024,4\n S 5d00000820,1\n==1== the end\n")
    monkeypatch.setattr(lackey, "CHUNK", chunk)
    assert list(lackey.accesses(io.BytesIO(printed))) == [
        (windows.MARKERS, 1, "S", 0x401000), (windows.DEVICE + 0x810, 8, "L", 0x401012),
        (windows.DEVICE + 0x818, 2, "L", 0x401016), (windows.DEVICE + 0x818, 2, "S", 0x401016),
        (windows.DEVICE + 0x820, 1, "S", 0x401024)]  # fmt: skip
