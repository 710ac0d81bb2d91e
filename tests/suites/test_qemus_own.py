# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own qtests see no difference: stock beside a build of the patched tree without Rust, and one with it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from collections.abc import Iterator

import pytest
from conftest import emulator, test_programs

# They need firmware that not every source brings (Debian's has none).
FIRMWARE = {"bios-tables-test": "boots edk2 firmware, which QEMU's source as Debian has it doesn't contain"}
VARIANTS = ("stock", "norust", "patched")
THEIRS = {name: program for name, program in test_programs().items() if not name.startswith("ram-device-")}

Results = dict[tuple[str, str], "Future[dict[str, str]]"]


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    """What each program says of each emulator; two run at a time, in the order of the tests below."""
    emulators = {variant: emulator(variant) for variant in VARIANTS}
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {
            (name, variant): pool.submit(program.results, emulators[variant])
            for name, program in sorted(THEIRS.items())
            if name not in FIRMWARE
            for variant in VARIANTS
        }


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant != "stock"])
@pytest.mark.parametrize("name", sorted(THEIRS) or ["none found"])
def test_same_results_as_stock(results: Results, name: str, variant: str) -> None:
    if name in FIRMWARE:
        pytest.skip(FIRMWARE[name])
    stock = results[name, "stock"].result()
    print(f"{name}: {sum(verdict == 'ok' for verdict in stock.values())} cases ok on stock")
    assert results[name, variant].result() == stock
    assert stock["exit"] == "0", stock
