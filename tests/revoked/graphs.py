# SPDX-License-Identifier: GPL-2.0-or-later
"""The block graphs below a disk: what they are made of, and what a guest finds on them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from machines.o_direct import can_be_opened_directly
from revoked.models import NODE

PASSWORD = "revoked"
SECRET = f"secret,id=key,data={PASSWORD}"
UNSURE, LUKS_TRIES = "Unable to get accurate CPU usage", 20


@dataclass(frozen=True)
class Graph:
    """A way to keep a disk in a file.

    `create` makes the file of raw contents; `options` are the emulator's arguments that make the node NODE of it;
    `contents` is what the guest has there, read by qemu-img when no emulator has it open.
    """

    name: str
    create: Callable[[Path, bytes], None]
    options: Callable[[Path], list[str]]
    contents: Callable[[Path], bytes]
    o_direct: bool = False


def _qemu_img(*arguments: str) -> None:
    done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"qemu-img {' '.join(arguments)} failed: {done.stderr}")


def _create_raw(image: Path, contents: bytes) -> None:
    image.write_bytes(contents)


def _create_qcow2(image: Path, contents: bytes) -> None:
    raw = image.with_suffix(".first")
    raw.write_bytes(contents)
    _qemu_img("convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))


def _create_luks(image: Path, contents: bytes) -> None:
    raw = image.with_suffix(".first")
    raw.write_bytes(contents)
    options = "key-secret=key,iter-time=10"
    arguments = ["convert", "--object", SECRET, "-f", "raw", "-O", "luks", "-o", options, str(raw), str(image)]
    # Now and then qemu-img can't tell how fast the machine is, and says so.
    for _ in range(LUKS_TRIES - 1):
        try:
            _qemu_img(*arguments)
            return
        except RuntimeError as error:
            if UNSURE not in str(error):
                raise
    _qemu_img(*arguments)


def _contents(image: Path, *source: str) -> bytes:
    raw = image.with_suffix(".now")
    _qemu_img("convert", *source, "-O", "raw", str(raw))
    return raw.read_bytes()


def _qcow2_contents(image: Path) -> bytes:
    return _contents(image, "-f", "qcow2", str(image))


def _luks_contents(image: Path) -> bytes:
    source = f"driver=luks,key-secret=key,file.driver=file,file.filename={image}"
    return _contents(image, "--object", SECRET, "--image-opts", source)


def _nodes(*nodes: str) -> list[str]:
    return [word for node in nodes for word in ("-blockdev", node)]


def _raw(name: str, node: str = "driver=raw,file=file", file: str = "", more: Sequence[str] = ()) -> Graph:
    """A raw image with these nodes above its file."""

    def options(image: Path) -> list[str]:
        file_node = f"driver=file,node-name=file,filename={image}" + (f",{file}" if file else "")
        return [*more, *_nodes(file_node, f"{node},node-name={NODE}")]

    return Graph(name, _create_raw, options, Path.read_bytes, o_direct="cache.direct=on" in file)


RAW = _raw("raw")
UNMAPPING = _raw("raw-unmap", "driver=raw,file=file,discard=unmap", "discard=unmap")
QCOW2 = Graph(
    "qcow2",
    _create_qcow2,
    lambda image: _nodes(
        f"driver=file,node-name=file,filename={image}", f"driver=qcow2,node-name={NODE},file=file"
    ),
    _qcow2_contents,
)
LUKS = Graph(
    "luks",
    _create_luks,
    lambda image: [
        "-object",
        SECRET,
        *_nodes(
            f"driver=file,node-name=file,filename={image}", f"driver=luks,key-secret=key,node-name={NODE},file=file"
        ),
    ],
    _luks_contents,
)
DETECT_ZEROES = _raw("detect-zeroes-on", "driver=raw,file=file,detect-zeroes=on")
DETECT_AND_UNMAP = _raw(
    "detect-zeroes-unmap", "driver=raw,file=file,discard=unmap,detect-zeroes=unmap", "discard=unmap"
)
O_DIRECT = tuple(
    _raw(f"o-direct-{aio}", file=f"cache.direct=on,aio={aio}") for aio in ("threads", "native", "io_uring")
)
ALIGNED = _raw("blkdebug-align-4096-o-direct", "driver=blkdebug,align=4096,image=file", "cache.direct=on")
THROTTLED = _raw(
    "throttle",
    "driver=throttle,throttle-group=limits,file=file",
    more=("-object", '{"qom-type":"throttle-group","id":"limits","limits":{"iops-total":1000}}'),
)

ALL = (RAW, QCOW2, LUKS, DETECT_ZEROES, DETECT_AND_UNMAP, *O_DIRECT, ALIGNED, THROTTLED)


def want(graph: Graph, folder: Path) -> None:
    """Without what the graph takes, the test is skipped."""
    if shutil.which("qemu-img") is None:
        pytest.skip("images are made and read by qemu-img: install qemu-utils")
    if graph.o_direct and not can_be_opened_directly(folder):
        pytest.skip(f"{folder} is on a file system without O_DIRECT")
