# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator for x86-64 guests, which `make` builds where TARGETS= names it: the series' qtests with it."""

from __future__ import annotations

import pytest

from suites.emulators import SERIES_QTESTS, TARGET, built_programs, emulator
from suites.qtest_program import programs

OTHER = "x86_64"


@pytest.mark.parametrize("name", SERIES_QTESTS)
def test_the_series_qtests_pass_with_it(name: str) -> None:
    patched = emulator("patched")
    program = patched.with_name(f"qemu-system-{OTHER}")
    if not program.is_file():
        pytest.skip("no emulator for x86-64 guests here: make TARGETS=aarch64-softmmu,x86_64-softmmu builds it")
    results = programs(patched.parent, OTHER)[name].results(program)
    assert results.pop("exit") == "0", results
    # The same cases; but a PC has no virtio-mmio.
    cases = [case for case in built_programs()[name].cases(patched) if "/ring/mmio/" not in case]
    assert results == dict.fromkeys((case.replace(TARGET, OTHER, 1) for case in cases), "ok") != {}
