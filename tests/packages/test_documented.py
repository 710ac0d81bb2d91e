# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that the chroot's packages are changed with are those of the documents."""

from __future__ import annotations

import pytest

from machines.error import MachineError
from packages import installed

pytestmark = pytest.mark.quick


def test_installing_and_going_back_are_documented() -> None:
    install, go_back = (installed.documented(*where) for where in (installed.INSTALLING, installed.GOING_BACK))
    assert "file:FOLDER" in install
    assert str(installed.SOURCE) in install
    assert "apt-get upgrade" in install
    assert "--allow-downgrades" in go_back
    assert f"/{installed.SUITE}" in go_back


def test_commands_that_are_not_documented_are_told() -> None:
    with pytest.raises(MachineError, match="has no commands after"):
        installed.documented("packages.md", "no such words")
