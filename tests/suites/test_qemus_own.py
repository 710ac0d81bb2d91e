# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own qtests see no difference: stock beside a build of the patched tree without Rust, and one with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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

Results = dict[tuple[str, str], "Future[dict[str, str]]"]


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    """What each program says of each emulator; two run at a time, in the order of the tests below."""
    emulators = {variant: emulator(variant) for variant in VARIANTS}
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {
            (name, variant): pool.submit(program.results, emulators[variant], tuple(CASES.get(name, ())))
            for name, program in THEIRS.items()
            for variant in VARIANTS
        }


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant != STOCK])
@pytest.mark.parametrize("name", THEIRS or ["none found"])
def test_same_results_as_stock(results: Results, name: str, variant: str) -> None:
    stock, other = results[name, STOCK].result(), results[name, variant].result()
    both = {case: (stock.get(case), other.get(case)) for case in stock | other}
    different = {case: pair for case, pair in both.items() if pair[0] != pair[1]}
    assert not different, f"case: (stock, {variant}): {different}"
    assert stock["exit"] == "0", f"stock fails, too: {stock}"
    ran = set(stock) - {"exit"}
    if not ran and name in COMMANDS and not shutil.which(COMMANDS[name]):
        pytest.skip(f"{name} has no case where {COMMANDS[name]} isn't installed")
    assert ran, "no case ran"


@pytest.mark.parametrize(("name", "firmware"), LEFT_OUT.items())
def test_left_out(name: str, firmware: str) -> None:
    pytest.skip(f"{name} needs firmware that is not to be had here: {firmware}")
