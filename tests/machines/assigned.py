# SPDX-License-Identifier: GPL-2.0-or-later
"""The outer VM's PCI functions, and how they are given to its kernel's vfio-pci. For scripts that run there."""

from __future__ import annotations

from pathlib import Path

FUNCTIONS = Path("/sys/bus/pci/devices")


def find(vendor: int, device: int) -> str:
    """The address of the function with these IDs."""
    for function in FUNCTIONS.iterdir():
        if [int((function / name).read_text(), 16) for name in ("vendor", "device")] == [vendor, device]:
            return function.name
    raise SystemExit(f"the outer VM has no PCI function {vendor:04x}:{device:04x}")


def give_to_vfio(address: str, driver: str = "vfio-pci") -> None:
    """Bind the function at this address to vfio-pci, or to another driver of its kind, whatever it is bound to."""
    function = FUNCTIONS / address
    if not function.exists():
        raise SystemExit(f"the outer VM has no PCI function {address}")
    (function / "driver_override").write_text(driver)
    bound = function / "driver"
    if bound.exists() and bound.resolve().name != driver:
        (bound / "unbind").write_text(address)
    Path("/sys/bus/pci/drivers_probe").write_text(address)
    if not bound.exists():
        raise SystemExit(f"{driver} doesn't take {address}: see the console")
