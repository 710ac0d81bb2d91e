# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix: what is combined with what. All of it is data; cases.py makes the combinations."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB = 1024, 1024 * 1024

CACHES = ("writeback", "none", "directsync", "unsafe")
ENGINES = ("threads", "native", "io_uring")
FORMATS = ("raw", "qcow2")
# QEMU has linux-aio with O_DIRECT only, and says so when it is started.
CACHES_OF_NATIVE = ("none", "directsync")

BLK, BLK_IOTHREAD, SCSI = "virtio-blk", "virtio-blk, iothread", "virtio-scsi"
NVME, USB = "nvme", "xhci usb-storage"
STORAGE_DEVICES = (BLK, BLK_IOTHREAD, SCSI, NVME, USB)

READ, WRITE, FLUSH, WRITE_ZEROES = "read", "write", "flush", "write-zeroes"

# Where a request's data is. The BARs and RAM are side by side: register-like BAR, RAM, memory-like BAR.
MEMORY = "memory-like BAR"
MEMORY_ODD = "memory-like BAR, odd address"
REGISTER = "register-like BAR"
RAM_TO_MEMORY = "across the border of RAM and memory-like BAR"
REGISTER_TO_RAM = "across the border of register-like BAR and RAM"
LIST = "list of RAM and memory-like BAR"
LIST_ODD = "list of RAM and both BARs, odd addresses"

BOUNCE_BUFFER = 4 * KIB
# In one segment: more pages than one bio of Linux takes, so that O_DIRECT goes another way through the kernel.
LARGE = 1280 * KIB

BOTH_WAYS = (READ, WRITE)
WITHOUT_SIZE = (FLUSH, WRITE_ZEROES)
STORAGE_REQUESTS: tuple[tuple[str, tuple[int, ...], tuple[str, ...]], ...] = (
    (MEMORY, (512, 4 * KIB, 64 * KIB), BOTH_WAYS),
    (MEMORY, (4 * KIB,), WITHOUT_SIZE),
    (MEMORY_ODD, (8 * KIB,), BOTH_WAYS),
    (REGISTER, (512, 2 * KIB, 4 * KIB, 8 * KIB, 64 * KIB), BOTH_WAYS),
    (REGISTER, (2 * KIB,), WITHOUT_SIZE),
    (RAM_TO_MEMORY, (1 * KIB, 64 * KIB), BOTH_WAYS),
    (RAM_TO_MEMORY, (8 * KIB,), WITHOUT_SIZE),
    (REGISTER_TO_RAM, (4 * KIB,), (*BOTH_WAYS, *WITHOUT_SIZE)),
    (LIST, (32 * KIB,), (*BOTH_WAYS, *WITHOUT_SIZE)),
    (LIST_ODD, (16 * KIB,), (*BOTH_WAYS, *WITHOUT_SIZE)),
)
LARGE_REQUESTS = ((MEMORY, (LARGE,), BOTH_WAYS),)
LARGE_REQUESTS_ON = ("raw", "none")

NET, E1000E, RNG = "virtio-net", "e1000e", "virtio-rng"
SEND, RECEIVE, FILL = "send", "receive", "fill"
# The last size is that of a jumbo frame, which doesn't fit into a bounce buffer.
PACKET_SIZES = (64, 1514, 9014)
SMALL_PACKETS = PACKET_SIZES[:2]
PACKETS = (
    (MEMORY, PACKET_SIZES, (SEND, RECEIVE)),
    (MEMORY_ODD, SMALL_PACKETS, (SEND, RECEIVE)),
    (REGISTER, PACKET_SIZES, (SEND, RECEIVE)),
    (RAM_TO_MEMORY, PACKET_SIZES, (SEND, RECEIVE)),
    (REGISTER_TO_RAM, SMALL_PACKETS, (SEND, RECEIVE)),
    (LIST, (1504,), (SEND, RECEIVE)),
)
ENTROPY = (
    (MEMORY, (512, 4 * KIB, 64 * KIB), (FILL,)),
    (MEMORY_ODD, (4 * KIB,), (FILL,)),
    (REGISTER, (512, 4 * KIB, 64 * KIB), (FILL,)),
    (RAM_TO_MEMORY, (64 * KIB,), (FILL,)),
    (REGISTER_TO_RAM, (4 * KIB,), (FILL,)),
    (LIST, (32 * KIB,), (FILL,)),
    (LIST_ODD, (16 * KIB,), (FILL,)),
)
OTHER_REQUESTS = {NET: PACKETS, E1000E: PACKETS, RNG: ENTROPY}


@dataclass(frozen=True)
class Disk:
    """How an inner machine's disks are set up. `store` tells where their images are."""

    store: str
    format: str
    cache: str
    aio: str


@dataclass(frozen=True)
class Case:
    """One request, or one that is followed by a flush or by reading it back."""

    device: str
    operation: str
    place: str
    size: int
    disk: Disk | None


OK, WRONG, IO_ERROR, LOST_PACKET = "ok", "wrong contents", "I/O error", "packet lost"
LOST_DEVICE, NO_ANSWER, LOST_EMULATOR = "device lost", "no answer", "emulator lost"
VERDICTS = (OK, WRONG, IO_ERROR, LOST_PACKET, LOST_DEVICE, NO_ANSWER, LOST_EMULATOR)
