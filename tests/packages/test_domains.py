# SPDX-License-Identifier: GPL-2.0-or-later
"""Each domain is well-formed, and has what it is there for."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from packages import domains, gpu_memory
from packages.domains import Wanted
from packages.guests import Guest

pytestmark = pytest.mark.quick
QEMU = f"{{{domains.QEMU}}}"


@pytest.mark.parametrize("architecture", domains.OF_ARCHITECTURE)
def test_a_domain_has_a_disk_for_each_engine_and_binds_each_cell(architecture: str) -> None:
    wanted = Wanted("all", Guest(architecture, Path("/guests")), domains.ENGINES, is_numa=True)
    domain = ElementTree.fromstring(wanted.xml)
    drivers = [disk.attrib for disk in domain.iterfind("devices/disk/driver")]
    assert [driver["io"] for driver in drivers] == [*domains.ENGINES]
    assert {driver["cache"] for driver in drivers} == {"none"}
    assert [cell.attrib["cellid"] for cell in domain.iterfind("numatune/memnode")] == ["0", "1"]
    assert len(domain.findall("cpu/numa/cell")) == 2


@pytest.mark.parametrize(
    "devices", [domains.VNC, domains.SPICE, domains.USB_REDIRECTION, domains.TPM, domains.NETWORK, domains.RANDOM]
)
def test_devices_are_well_formed(devices: str) -> None:
    wanted = Wanted("one", Guest("x86_64", Path("/guests")), devices=devices)
    assert len(ElementTree.fromstring(wanted.xml).find("devices") or ()) > 3


def test_an_override_is_of_the_device_that_is_passed_through() -> None:
    wanted = Wanted("gpu", Guest("aarch64", Path("/guests")), devices=domains.GPU, qemu=domains.GPU_OVERRIDE)
    domain = ElementTree.fromstring(wanted.xml)
    alias, device = domain.find("devices/hostdev/alias"), domain.find(f"{QEMU}override/{QEMU}device")
    assert alias is not None
    assert device is not None
    assert alias.attrib["name"] == device.attrib["alias"]


def test_the_guest_with_gpu_memory_has_a_disk_without_the_page_cache() -> None:
    driver = ElementTree.fromstring(gpu_memory.xml(Path("/guests"))).find("devices/disk/driver")
    assert driver is not None
    assert (driver.attrib["cache"], driver.attrib["io"]) == ("none", "io_uring")
