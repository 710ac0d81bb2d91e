# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian's that a test machine is made of: downloaded, unpacked into a cache, never installed."""

from __future__ import annotations

from debian_packages import ARCHITECTURES, MACHINES_OWN, Apt, apt_of, cache_folder, filled, unpacked

__all__ = ["ARCHITECTURES", "MACHINES_OWN", "Apt", "apt_of", "cache_folder", "filled", "newest_kernel_package", "unpacked"]


def newest_kernel_package(meta_package: str) -> str:
    """The kernel image that a meta package such as linux-image-amd64 stands for at present."""
    return MACHINES_OWN.dependency(meta_package, r"linux-image-\S+")
