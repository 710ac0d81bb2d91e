# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian's that a test machine is made of: downloaded, unpacked into a cache, never installed."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager

from debian_packages import ARCHITECTURES, Apt, apt_of, cache_folder, filled, unpacked

__all__ = ["ARCHITECTURES", "Apt", "apt_of", "apt_of_this_machine", "cache_folder", "filled", "unpacked"]


def apt_of_this_machine() -> AbstractContextManager[Apt]:
    """apt for this machine's architecture, with lists that were fetched just now.

    Of a kernel the mirrors keep the newest package only, and the machine's own lists may still name an older one.
    """
    return apt_of(ARCHITECTURES[platform.machine()])
