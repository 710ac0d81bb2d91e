# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own qtests see no difference: stock beside a build of the patched tree without Rust, and one with it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from suites.emulators import built_programs, emulator
from suites.without_firmware import CASES, LEFT_OUT, PROGRAMS

pytestmark = pytest.mark.exhaustive

STOCK = "built_stock"
VARIANTS = (STOCK, "norust", "patched")
THEIRS = {
    name: program
    for name, program in sorted(built_programs().items())
    if not name.startswith("ram-device-") and name not in PROGRAMS
}
# Programs that end well without a case where this command isn't installed.
COMMANDS = {"cdrom-test": "xorrisofs"}

Verdicts = dict[str, str]
Results = dict[tuple[str, str], "Future[Verdicts]"]


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    """What each program says of each emulator; two run at a time, in the order of the tests below."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {(name, variant): pool.submit(run, name, variant) for name in THEIRS for variant in VARIANTS}


def run(name: str, variant: str) -> Verdicts:
    """What a program says of an emulator."""
    return THEIRS[name].results(emulator(variant), tuple(CASES.get(name, ())))


def differences(stock: Verdicts, other: Verdicts) -> dict[str, tuple[str | None, str | None]]:
    """The cases that they say different things of."""
    return {case: (stock.get(case), other.get(case)) for case in stock | other if stock.get(case) != other.get(case)}


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant != STOCK])
@pytest.mark.parametrize("name", THEIRS or ["none found"])
def test_same_results_as_stock(results: Results, name: str, variant: str) -> None:
    """Some of QEMU's programs need more time than a busy machine has: what fails or differs is run again, alone."""
    stock, other = results[name, STOCK].result(), results[name, variant].result()
    assert not other["exit"].startswith("-"), f"{variant} ended by a signal: {other}"
    at_first = differences(stock, other)
    if at_first or stock["exit"] != "0":
        warnings.warn(f"at first, case: (stock, {variant}): {at_first}; stock's exit: {stock['exit']}", stacklevel=1)
        wait(results.values())
        stock, other = run(name, STOCK), run(name, variant)
    assert not (still := differences(stock, other)), f"case: (stock, {variant}): {still}"
    assert stock["exit"] == "0", f"stock fails, too: {stock}"
    ran = set(stock) - {"exit"}
    if not ran and name in COMMANDS and not shutil.which(COMMANDS[name]):
        pytest.skip(f"{name} has no case where {COMMANDS[name]} isn't installed")
    assert ran, "no case ran"


@pytest.mark.parametrize(("name", "firmware"), LEFT_OUT.items())
def test_left_out(name: str, firmware: str) -> None:
    pytest.skip(f"{name} needs firmware that is not to be had here: {firmware}")
