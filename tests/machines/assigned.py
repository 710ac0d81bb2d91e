# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer VM's PCI functions, and how they are given to its kernel's vfio-pci. For scripts that run there."""

from __future__ import annotations

import mmap
from pathlib import Path

FUNCTIONS = Path("/sys/bus/pci/devices")
# A device whose BAR 0 is memory, where nvgrace-gpu of newer kernels looks whether its GPU is ready.
BOCHS_DISPLAY = (0x1234, 0x1111)
STATUS_WORDS, READY = (0x1498, 0x200BC), 0xFF


def find(vendor: int, device: int) -> str:
    """The address of the function with these IDs."""
    for function in FUNCTIONS.iterdir():
        if _ids(function) == (vendor, device):
            return function.name
    raise SystemExit(f"the outer VM has no PCI function {vendor:04x}:{device:04x}")


def is_there(vendor: int, device: int) -> bool:
    """Whether the outer VM has a function with these IDs."""
    return any(_ids(function) == (vendor, device) for function in FUNCTIONS.iterdir())


def give_to_vfio(address: str, driver: str = "vfio-pci") -> None:
    """Bind the function at this address to vfio-pci, or to another driver of its kind, whatever it is bound to."""
    function = FUNCTIONS / address
    if not function.exists():
        raise SystemExit(f"the outer VM has no PCI function {address}")
    (function / "driver_override").write_text(driver)
    bound = function / "driver"
    if bound.exists() and bound.resolve().name != driver:
        (bound / "unbind").write_text(address)
    if _ids(function) == BOCHS_DISPLAY and not bound.exists():
        _make_ready(function)
    Path("/sys/bus/pci/drivers_probe").write_text(address)
    if not bound.exists():
        raise SystemExit(f"{driver} doesn't take {address}: see the console")


def _ids(function: Path) -> tuple[int, int]:
    return int((function / "vendor").read_text(), 16), int((function / "device").read_text(), 16)


def _make_ready(function: Path) -> None:
    """Let the function's memory say what the driver of a GPU waits for."""
    (function / "enable").write_text("1")
    with (function / "resource0").open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        for offset in STATUS_WORDS:
            memory[offset : offset + 4] = READY.to_bytes(4, "little")
    (function / "enable").write_text("0")
