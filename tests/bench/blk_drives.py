# SPDX-License-Identifier: GPL-2.0-or-later
"""The drives behind the virtio-blk that is timed: cache modes and engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NODE = "disk"
# What an emulator says that lacks an engine, or whose kernel or file system lacks something, when it starts or goes on.
LACKING = ("is not supported in this build", "Unable to use", "may not support O_DIRECT", "does not support O_DIRECT")


@dataclass(frozen=True)
class Drive:
    """A drive over an image; without an engine it is null-co, which moves nothing."""

    is_direct: bool
    engine: str

    def __str__(self) -> str:
        if not self.engine:
            return "null-co"
        return f"{'O_DIRECT' if self.is_direct else 'page cache'}, {self.engine}"

    def options(self, image: Path) -> list[str]:
        """The emulator's arguments."""
        if not self.engine:
            return ["-blockdev", f"driver=null-co,node-name={NODE},size={image.stat().st_size},read-zeroes=off"]
        cache = f"cache.direct={'on' if self.is_direct else 'off'}"
        filename = str(image).replace(",", ",,")
        return [
            "-blockdev", f"driver=file,node-name=file,filename={filename},aio={self.engine},{cache}",
            "-blockdev", f"driver=raw,node-name={NODE},file=file,{cache}",
        ]  # fmt: skip


NULL = Drive(False, "")
# QEMU has linux-aio ("native") with O_DIRECT only.
DRIVES = (
    Drive(False, "threads"), Drive(False, "io_uring"),
    Drive(True, "threads"), Drive(True, "native"), Drive(True, "io_uring"),
)  # fmt: skip


def lacking(messages: str) -> str | None:
    """The line in which an emulator says that it can't have such a drive, if it does."""
    return next((line for line in messages.splitlines() if any(words in line for words in LACKING)), None)
