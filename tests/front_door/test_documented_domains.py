# SPDX-License-Identifier: GPL-2.0-or-later
"""The domains in docs/libvirt.md: valid by libvirt's schema, with properties that the emulator has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from front_door.documents import LIBVIRT
from machines import emulators

QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
BUFFER_SIZE = "x-ram-device-buffer-size"
# What libvirt makes of a device with that alias, and what its types of a property are to QEMU.
DEVICES = {"ua-gpu": "vfio-pci", "ua-disk": "virtio-blk-pci"}
TYPES = {"bool": ("bool",), "unsigned": ("size", "uint32", "uint64")}
SCHEMA = "virt-xml-validate"
ABSENT = "0000:ff:1f.7"  # no PCI device has this address


class Property(NamedTuple):
    """A property that a domain overrides."""

    device: str
    name: str
    type: str
    value: str


def overridden() -> Iterator[Property]:
    """Those of all domains in libvirt.md."""
    for snippet in LIBVIRT.blocks("xml"):
        root = ElementTree.fromstring(snippet)
        aliases = {alias.get("name") for alias in root.iterfind("devices/*/alias")}
        for device in root.iterfind(f"{QEMU}override/{QEMU}device"):
            alias = device.get("alias", "")
            assert alias in aliases, f"no device has the alias {alias!r}"
            for each in device.iterfind(f"{QEMU}frontend/{QEMU}property"):
                yield Property(DEVICES[alias], each.get("name", ""), each.get("type", ""), each.get("value", ""))


def help_of(emulator: Path, *options: str) -> dict[str, str]:
    """The properties that `OPTION TYPE,help` lists, with their types."""
    listed = subprocess.run([emulator, *options], text=True, capture_output=True, check=True).stdout
    return dict(re.findall(r"^  ([\w-]+)=<(\w+)>", listed, re.MULTILINE))


def refusal(emulator: Path, value: object) -> str:
    """What is said of a vfio-pci with that value of x-ram-device-direct, whose host device doesn't exist."""
    device = json.dumps({"driver": "vfio-pci", "host": ABSENT, "x-ram-device-direct": value})
    command = [str(emulator), "-machine", "virt", "-display", "none", "-S", "-device", device]
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 1
    return done.stderr


def test_domains_are_valid_by_libvirts_schema(tmp_path: Path) -> None:
    if shutil.which(SCHEMA) is None:
        pytest.skip(f"there is no {SCHEMA} here")
    for snippet in LIBVIRT.blocks("xml"):
        if ElementTree.fromstring(snippet).tag == "domain":
            (tmp_path / "domain.xml").write_text(snippet)
            done = subprocess.run([SCHEMA, "domain.xml", "domain"], cwd=tmp_path, text=True, capture_output=True,
                                  check=False)  # fmt: skip
            assert done.returncode == 0, done.stderr


def test_the_emulator_has_what_domains_override() -> None:
    emulator = emulators.wanted("patched")
    found = list(overridden())
    assert {each.name for each in found} == {"x-ram-device-direct", "x-max-bounce-buffer-size"}
    for each in found:
        assert help_of(emulator, "-device", f"{each.device},help").get(each.name) in TYPES[each.type], each


def test_the_machine_has_the_option_that_a_domain_adds() -> None:
    arguments = [argument.get("value", "") for snippet in LIBVIRT.blocks("xml")
                 for argument in ElementTree.fromstring(snippet).iterfind(f"{QEMU}commandline/{QEMU}arg")]  # fmt: skip
    option, value = arguments
    assert (option, value.partition("=")[0]) == ("-machine", BUFFER_SIZE)
    assert help_of(emulators.wanted("patched"), "-machine", "virt,help")[BUFFER_SIZE] == "size"


def test_the_override_has_to_be_a_boolean() -> None:
    emulator = emulators.wanted("patched")
    assert "no such host device" in refusal(emulator, True)
    assert "expected: boolean" in refusal(emulator, "on")


def test_an_emulator_without_the_series_refuses_the_override() -> None:
    message = "Property 'vfio-pci.x-ram-device-direct' not found"
    assert message in refusal(emulators.wanted("stock"), True)
    assert message in LIBVIRT.text
