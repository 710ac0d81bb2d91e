# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that the chroot is changed with are those of docs/packages.md."""

from __future__ import annotations

import pytest

from packages import installed

pytestmark = pytest.mark.quick


def test_the_page_has_commands_for_installing_and_for_going_back() -> None:
    install, go_back = installed.documented()
    assert "FOLDER" in install
    assert "apt-get upgrade" in install
    assert "--allow-downgrades" in go_back
    assert installed.OURS_MARK in go_back
