# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract on arm64's Device memory, in a guest that faults as hardware does.

QEMU's own emulation has done so since 10.1 or so: Debian's newest does, the base of the series doesn't.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping as Table
from pathlib import Path

import pytest

import debian_qemu
from audit import device_memory, programs
from audit.device_memory import DEVICE, NORMAL, ORDINARY, Mapping
from machines.error import NotAvailable

BUS_ADRALN = 1


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = programs.C_COMPILERS["aarch64"]
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here: run scripts/needs")
    try:
        return device_memory.built_program(tmp_path_factory.mktemp("program"))
    except NotAvailable as reason:
        pytest.skip(f"the program for arm64 can't be had: {reason}")


@pytest.fixture(scope="module")
def mappings(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Table[str, Mapping]:
    """What is seen in a guest on Debian's newest emulator."""
    try:
        emulator = debian_qemu.newest()
    except NotAvailable as reason:
        pytest.skip(f"an emulator that faults as hardware does can't be had: {reason}")
    print(f"emulator: QEMU {emulator.version}")
    return device_memory.seen(emulator.command([]), program, tmp_path_factory.mktemp("newest"))


def test_libc_copies_from_device_memory_are_bus_errors_there(mappings: Table[str, Mapping]) -> None:
    """Else nothing below would prove anything."""
    assert mappings[DEVICE].libc_code == BUS_ADRALN
    assert mappings[NORMAL].libc_code == mappings[ORDINARY].libc_code == 0


@pytest.mark.parametrize("name", [DEVICE, NORMAL, ORDINARY])
def test_c2_transfers_of_every_length_at_every_alignment_are_right_in_each_mapping(
    mappings: Table[str, Mapping], name: str
) -> None:
    mapping = mappings[name]
    assert (mapping.transfers, mapping.wrong, mapping.faults) == (2 * 16 * 64, 0, 0)
