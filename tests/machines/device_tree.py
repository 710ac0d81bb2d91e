# SPDX-License-Identifier: GPL-2.0-or-later
"""The device tree that an outer VM's kernel is given, with nodes that its emulator doesn't make."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from machines.error import MachineError, NotAvailable

PCI_BUS = "pcie@10000000"
# A root port, and the function behind it.
NODE = """
port@{slot:x},0 {{
    device_type = "pci"; reg = <{function:#x} 0 0 0 0>; #address-cells = <3>; #size-cells = <2>; ranges;
    function@0,0 {{ reg = <0 0 0 0 0>; {properties} }};
}};
"""


def with_function_behind_port(emulator: Sequence[str], slot: int, properties: str, folder: Path) -> Path:
    """The tree of the machine that the command makes; the function behind the port in this slot has properties."""
    (machine_at,) = [place for place, word in enumerate(emulator) if word == "-M"]
    dumped, edited = folder / "dumped.dtb", folder / "machine.dtb"
    options = f"{emulator[machine_at + 1]},dumpdtb={dumped}"
    _run([*emulator[: machine_at + 1], options, *emulator[machine_at + 2 :]])
    source = _run(["dtc", "-q", "-I", "dtb", "-O", "dts", str(dumped)])
    node = NODE.format(slot=slot, function=slot << 11, properties=properties)
    bus = re.compile(rf"^(\s*{PCI_BUS} \{{.*?)(^\s*\}};)", re.MULTILINE | re.DOTALL)
    text, count = bus.subn(rf"\1{node}\n\2", source, count=1)
    if not count:
        raise MachineError(f"the machine's device tree has no {PCI_BUS}")
    (folder / "machine.dts").write_text(text)
    _run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", str(edited), str(folder / "machine.dts")])
    return edited


def cells(value: int) -> str:
    """A property of 64 bits, as the tree's source has it."""
    return f"<{value >> 32:#x} {value & 0xFFFF_FFFF:#x}>"


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotAvailable(f"a device tree is edited with {command[0]}: {error.strerror}") from None
    if done.returncode:
        raise MachineError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout
