# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems without O_DIRECT, which some tests can't do with."""

from __future__ import annotations

import os
from pathlib import Path


def can_be_opened_directly(folder: Path) -> bool:
    """Whether files in the folder can be opened with O_DIRECT."""
    probe = folder / "o-direct"
    probe.touch()
    try:
        os.close(os.open(probe, os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return False
    finally:
        probe.unlink()
    return True
