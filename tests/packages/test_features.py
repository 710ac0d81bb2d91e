# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparing two emulators finds what one of them lacks, and isn't misled by what doesn't matter."""

from __future__ import annotations

from typing import Any

import pytest

from packages import expected, features
from packages.expected import New

pytestmark = pytest.mark.quick

DEVICES = "aarch64: -device help"
TEST_DEVICE = 'name "ram-device-testdev", bus PCI, desc "RAM device test device"'
DEBIANS = {'name "nvme", bus PCI', 'name "usb-redir", bus usb-bus'}


def test_our_own_difference_is_as_expected() -> None:
    compared = expected.compare(DEVICES, DEBIANS, DEBIANS | {TEST_DEVICE})
    assert compared.is_as_expected
    assert compared.ours == 1


def test_a_device_that_is_gone_is_told() -> None:
    compared = expected.compare(DEVICES, DEBIANS, {'name "nvme", bus PCI', TEST_DEVICE})
    assert not compared.is_as_expected
    assert compared.gone == ['name "usb-redir", bus usb-bus']


def test_a_device_that_is_not_ours_is_told() -> None:
    compared = expected.compare(DEVICES, DEBIANS, DEBIANS | {TEST_DEVICE, 'name "surprise"'})
    assert not compared.is_as_expected
    assert compared.new == ['name "surprise"']


def test_packages_without_the_series_are_told() -> None:
    compared = expected.compare(DEVICES, DEBIANS, DEBIANS)
    assert not compared.is_as_expected
    assert len(compared.lacking) == 1


def test_a_topic_that_only_one_side_has_is_compared_with_nothing() -> None:
    compared = expected.compare_all({"files of a": {"/a"}}, {"files of b": {"/b"}}, ())
    assert compared["files of a"].gone == ["/a"]
    assert compared["files of b"].new == ["/b"]


def test_an_expected_line_in_another_topic_is_not_expected() -> None:
    compared = expected.compare("QMP schema", set(), {"x"}, (New("block drivers", "x"),))
    assert compared.new == ["x"]


def test_a_line_in_the_place_of_another_one_is_expected_and_no_other_is_gone() -> None:
    newer = (New("depends", "libc6 2", "libc6 1"),)
    assert expected.compare("depends", {"libc6 1"}, {"libc6 2"}, newer).is_as_expected
    assert expected.compare("depends", {"libc6 1", "libaio"}, {"libc6 2"}, newer).gone == ["libaio"]
    assert expected.compare("depends", {"libc6 1"}, {"libc6 1"}, newer).lacking == ["libc6 2"]


def schema(numbers: dict[str, str], *drivers: str) -> list[dict[str, Any]]:
    """One command, which takes an object with a driver and, for one of them, another object of the same type."""
    arguments, driver, of_qcow2 = (numbers[name] for name in ("arguments", "driver", "qcow2"))
    return [
        {"name": "blockdev-add", "meta-type": "command", "arg-type": arguments, "ret-type": "int"},
        {"name": arguments, "meta-type": "object", "tag": "driver",
         "members": [{"name": "driver", "type": driver}, {"name": "node-name", "type": "str", "default": None}],
         "variants": [{"case": "qcow2", "type": of_qcow2}]},
        {"name": driver, "meta-type": "enum", "members": [{"name": name} for name in drivers]},
        {"name": of_qcow2, "meta-type": "object", "members": [{"name": "file", "type": arguments}]},
        *({"name": name, "meta-type": "builtin"} for name in ("str", "int")),
    ]  # fmt: skip


NUMBERS = {"arguments": "1", "driver": "2", "qcow2": "3"}


def test_a_schema_is_the_same_however_its_types_are_numbered() -> None:
    others = {"arguments": "30", "driver": "1", "qcow2": "7"}
    assert set(features.flattened(schema(NUMBERS, "raw"))) == set(features.flattened(schema(others, "raw")))


def test_a_schema_has_each_member_with_its_way() -> None:
    assert {
        "blockdev-add arg-type blockdev-add.arg-type",
        "blockdev-add.arg-type.driver blockdev-add.arg-type.driver",
        "blockdev-add.arg-type.driver = raw",
        "blockdev-add.arg-type.node-name? str",
        "blockdev-add.arg-type driver=qcow2 blockdev-add.arg-type/qcow2",
        "blockdev-add.arg-type/qcow2.file blockdev-add.arg-type",
    } <= set(features.flattened(schema(NUMBERS, "raw")))


def test_block_drivers_are_those_of_blockdev_add() -> None:
    assert features.block_drivers(schema(NUMBERS, "raw", "qcow2", "rbd")) == {"raw", "qcow2", "rbd"}
