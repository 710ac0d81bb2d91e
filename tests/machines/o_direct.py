# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems without O_DIRECT, which some tests can't do with, and memory that the kernel refuses to pin for it."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from pathlib import Path

from machines import secret_memory
from machines.error import NotAvailable


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


def want_refusal(folder: Path, size: int) -> None:
    """NotAvailable says why there isn't so much memory that the kernel refuses to O_DIRECT of files in the folder."""
    memory = secret_memory.new(size)
    try:
        with secret_memory.mapped(memory, mmap.PAGESIZE) as page, tempfile.NamedTemporaryFile(dir=folder) as probe:
            os.write(probe.fileno(), bytes(mmap.PAGESIZE))  # for a hole no page would be pinned
            why = "" if _is_refused(probe.name, page) else "are read through the page cache, with O_DIRECT as well"
    except OSError as error:
        why = f"can't be opened with O_DIRECT: {error.strerror}"
    finally:
        os.close(memory)
    if why:
        raise NotAvailable(f"files in {folder} {why}; set TMPDIR to another file system")


def _is_refused(file: str, page: mmap.mmap) -> bool:
    direct = os.open(file, os.O_RDONLY | os.O_DIRECT)
    try:
        os.preadv(direct, [page], 0)
    except OSError as error:
        if error.errno == errno.EFAULT:
            return True
        raise
    finally:
        os.close(direct)
    return False
