# SPDX-License-Identifier: GPL-2.0-or-later
"""C1, C2, C3 and C5 on machine code: what the compiled routines do to the device, access by access."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.cases import CONTROLS, of_the_crate
from audit.code_image import exported
from audit.control_table import table as printed
from audit.programs import WANTED, Program, Wanted
from audit.trace_run import INSTRUMENTS, RUNS, Run, control, crate
from audit.traces import Instrument
from audit.violations import Findings
from machines.error import NotAvailable

Build = Callable[[Wanted], Program]
# How many traces there are of each kind: without and with all cases.
TRACES = {
    False: {"aligned": 88, "misaligned": 72, "pieces": 2064, "overlaps": 504, "refusals": 69, "questions": 2},
    True: {"aligned": 540, "misaligned": 612, "pieces": 65216, "overlaps": 12480, "refusals": 69, "questions": 2},
}


def instrument(name: str, program: Program) -> Instrument:
    """The instrument, where it is to be had."""
    try:
        return INSTRUMENTS[name](program.architecture)
    except NotAvailable as failure:
        pytest.skip(str(failure))


@pytest.fixture(scope="module", params=RUNS, ids=str)
def seen(request: pytest.FixtureRequest, build: Build) -> dict[str, Findings]:
    """One program's traces, held against the contract.  lackey is too slow for all cases: `make audit` has the time."""
    run: Run = request.param
    program = build(run.wanted)
    found = crate(program, instrument(run.instrument, program), thorough=is_thorough(run))
    assert {name: findings.traces for name, findings in found.items()} == TRACES[is_thorough(run)]
    return found


def is_thorough(run: Run) -> bool:
    """Is the program run with all cases?"""
    return run.instrument == "plugin"


def holds(findings: Findings) -> None:
    """There are accesses, and no violations."""
    assert not findings.violating, findings.report
    assert findings.accesses >= findings.traces


def test_c1_an_aligned_transfer_of_1_2_4_or_8_bytes_is_one_access_of_that_width(seen: dict[str, Findings]) -> None:
    holds(seen["aligned"])
    assert seen["aligned"].accesses == seen["aligned"].traces


def test_c1_a_misaligned_one_is_one_access_on_x86_64_and_aligned_pieces_on_aarch64(seen: dict[str, Findings]) -> None:
    holds(seen["misaligned"])


def test_c2_every_other_transfer_is_the_widest_aligned_pieces_in_ascending_order(seen: dict[str, Findings]) -> None:
    holds(seen["pieces"])


def test_c3_no_byte_is_accessed_twice_skipped_read_ahead_or_read_to_be_written(seen: dict[str, Findings]) -> None:
    for findings in seen.values():
        for violation in ("duplicated", "missing", "outside", "direction"):
            assert not findings.by_class[violation], findings.report


def test_c5_the_order_is_descending_if_the_destination_starts_inside_the_source_and_only_then(
        seen: dict[str, Findings]) -> None:
    holds(seen["overlaps"])


def test_c7_every_access_is_an_instruction_of_the_table_of_those_that_may_fault(seen: dict[str, Findings]) -> None:
    for findings in seen.values():
        assert not findings.by_class["instruction"], findings.report


def test_a_refused_transfer_touches_nothing(seen: dict[str, Findings]) -> None:
    assert not seen["refusals"].violating, seen["refusals"].report
    assert not seen["refusals"].accesses


def test_nothing_is_touched_to_answer_a_question(seen: dict[str, Findings]) -> None:
    assert not seen["questions"].violating, seen["questions"].report
    assert not seen["questions"].accesses


def test_every_exported_routine_that_is_given_a_ram_device_is_among_the_cases() -> None:
    given_one = {name for name, arguments in exported().items() if "struct" in arguments}
    assert given_one and given_one <= {f"ram_device_{case.routine.name.lower()}" for case in of_the_crate(False)}


def test_every_length_and_every_pair_of_alignments_is_among_the_cases() -> None:
    for thorough in (False, True):
        transfers = [case for case in of_the_crate(thorough) if case.routine.name in ("READ", "WRITE")]
        for name in ("READ", "WRITE"):
            mine = [case for case in transfers if case.routine.name == name and case.is_granted]
            assert {case.length for case in mine} >= {*range(258), 4095, 4096, 4097, 65539}
            assert len({(case.device % 16, case.ram % 8) for case in mine}) == 128
            assert thorough <= (len({(case.length, case.device % 16, case.ram % 8) for case in mine}) >= 258 * 128)


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("run", [Run(WANTED[0], "plugin"), Run(WANTED[0], "lackey"), Run(WANTED[3], "plugin")], ids=str)
def test_what_other_copies_do_is_a_violation(run: Run, name: str, build: Build) -> None:
    """The negative control: the same check over something else finds what is wrong with it."""
    program = build(run.wanted)
    if run not in RUNS:
        pytest.skip(f"{run.instrument} doesn't run programs for {run.wanted.architecture}")
    found = control(program, instrument(run.instrument, program), name, thorough=False)
    print(f"\n{name}, {run}\n{printed(found)}")
    assert all(findings.traces for findings in found.values())
    assert found["9 to 15"].by_class["duplicated"] == found["9 to 15"].traces
    assert found["9 to 15"].by_class["unaligned"] > 0
    assert found["16 to 32"].by_class["wide"] == found["16 to 32"].traces
    assert found["2, 4, 8"].by_class["duplicated"] > 0
    if name != "libc's memmove()":
        assert found["1"].violating == 0, found["1"].report
        assert found["2, 4, 8"].violating < found["2, 4, 8"].traces
