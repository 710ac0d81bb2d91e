# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix: what is combined with what. All of it is data; cases.py makes the combinations."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB = 1024, 1024 * 1024

CACHES = ("writeback", "none", "directsync", "unsafe")
ENGINES = ("threads", "native", "io_uring")
FORMATS = ("raw", "qcow2")
# The cache modes with O_DIRECT. QEMU has linux-aio with these only, and says so when it is started.
O_DIRECT = ("none", "directsync")

BLK, BLK_IOTHREAD, SCSI = "virtio-blk", "virtio-blk, iothread", "virtio-scsi"
NVME, USB = "nvme", "xhci usb-storage"
STORAGE_DEVICES = (BLK, BLK_IOTHREAD, SCSI, NVME, USB)

READ, WRITE, FLUSH, WRITE_ZEROES = "read", "write", "flush", "write-zeroes"

# Where a request's data is. The BARs and RAM are side by side: lower BAR, RAM, upper BAR.
LOWER, UPPER = "lower BAR", "upper BAR"
LOWER_ODD, UPPER_ODD = "lower BAR, odd address", "upper BAR, odd address"
LOWER_TO_RAM, RAM_TO_UPPER = "across the border of lower BAR and RAM", "across the border of RAM and upper BAR"
LIST, LIST_ODD = "list of RAM and upper BAR", "list of RAM and both BARs, odd addresses"
BARS, ODD, BORDERS = (LOWER, UPPER), (LOWER_ODD, UPPER_ODD), (LOWER_TO_RAM, RAM_TO_UPPER)
PLACES = (*BARS, *ODD, *BORDERS, LIST, LIST_ODD)

BOUNCE_BUFFER = 4 * KIB
# In one segment: more pages than one bio of Linux takes, so that O_DIRECT goes another way through the kernel.
LARGE = 1280 * KIB

# Each row: places, sizes in each of them, operations of each size.
Requests = tuple[tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]], ...]

BOTH_WAYS = (READ, WRITE)
WITHOUT_SIZE = (FLUSH, WRITE_ZEROES)
STORAGE_REQUESTS: Requests = (
    (BARS, (512, 2 * KIB, 4 * KIB, 64 * KIB), BOTH_WAYS),
    (BARS, (4 * KIB,), WITHOUT_SIZE),
    (ODD, (8 * KIB,), BOTH_WAYS),
    (BORDERS, (1 * KIB, 64 * KIB), BOTH_WAYS),
    (BORDERS, (8 * KIB,), WITHOUT_SIZE),
    ((LIST,), (32 * KIB,), (*BOTH_WAYS, *WITHOUT_SIZE)),
    ((LIST_ODD,), (16 * KIB,), (*BOTH_WAYS, *WITHOUT_SIZE)),
)
LARGE_REQUESTS: Requests = ((BARS, (LARGE,), BOTH_WAYS),)
LARGE_REQUESTS_ON = ("raw", "none")

NET, E1000E, RNG = "virtio-net", "e1000e", "virtio-rng"
SEND, RECEIVE, FILL = "send", "receive", "fill"
# The last size is that of a jumbo frame, which doesn't fit into a bounce buffer.
PACKET_SIZES = (64, 1514, 9014)
PACKETS: Requests = (
    ((*BARS, *BORDERS), PACKET_SIZES, (SEND, RECEIVE)),
    (ODD, PACKET_SIZES[:2], (SEND, RECEIVE)),
    ((LIST,), (1504,), (SEND, RECEIVE)),
)
ENTROPY: Requests = (
    (BARS, (512, 4 * KIB, 64 * KIB), (FILL,)),
    (ODD, (4 * KIB,), (FILL,)),
    (BORDERS, (4 * KIB, 64 * KIB), (FILL,)),
    ((LIST,), (32 * KIB,), (FILL,)),
    ((LIST_ODD,), (16 * KIB,), (FILL,)),
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
