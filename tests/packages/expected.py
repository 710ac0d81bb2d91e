# SPDX-License-Identifier: GPL-2.0-or-later
"""What our packages have and Debian's haven't: nothing else may differ, and each of these must."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packages.features import Features

ANY, BOTH = r".*", r"(aarch64|x86_64): "


@dataclass(frozen=True)
class New:
    """Lines that are new in a topic, perhaps in the place of others; all are regular expressions for the whole."""

    topic: str
    line: str
    instead_of: str = ""

    def is_it(self, topic: str, line: str) -> bool:
        return bool(re.fullmatch(self.topic, topic) and re.fullmatch(self.line, line))


OURS = (
    New(BOTH + "-device help", r'name "ram-device-testdev", bus PCI, desc "RAM device test device"'),
    New(BOTH + "-device vfio-pci,help", r" +x-ram-device-direct=<bool> +- .*\(default: off\)"),
    New(BOTH + "-device vfio-pci,help", r" +bars=<list> +- .*"),
    New(BOTH + "-trace help", r"(memory_region_ram_device|vfio_region_map_anew|virtqueue_waits)\w*"),
    New(BOTH + "command line options", r'machine .*"name": "x-ram-device-buffer-size".*'),
    New(BOTH + "device properties", r"ram-device-testdev(\..*)?"),
    New(BOTH + "device properties", r"vfio-pci(-nohotplug)?\.(bars: list|x-ram-device-direct: bool = False)"),
    New(BOTH + "machine properties", r"\S+-machine\.x-ram-device-buffer-size: size"),
    # Rust's standard library: unwinding, and thread-local memory.
    New(r"programs and modules", r"/usr/bin/qemu-system-\S+: needs (libgcc_s\.so\.1|ld-linux-\S+)"),
    New(r"dependencies of qemu-system-(arm|x86)", r"Depends: libgcc-s1 .*"),
    New(r"dependencies of qemu-system-(arm|x86)", r"Depends: libc6 \(>= 2\.39\)", r"Depends: libc6 \(>= 2\.38\)"),
)


@dataclass
class Compared:
    """What is new or gone and isn't among what is expected, and what is expected and isn't there."""

    new: list[str]
    gone: list[str]
    lacking: list[str]
    ours: int

    @property
    def is_as_expected(self) -> bool:
        return not (self.new or self.gone or self.lacking)


def compare(topic: str, before: set[str], after: set[str], expected: tuple[New, ...] = OURS) -> Compared:
    """One topic."""
    new, mine = after - before, [one for one in expected if re.fullmatch(one.topic, topic)]
    replaced = "|".join(one.instead_of for one in mine if one.instead_of)
    return Compared(
        new=sorted(line for line in new if not any(one.is_it(topic, line) for one in mine)),
        gone=sorted(line for line in before - after if not re.fullmatch(replaced, line)),
        lacking=[one.line for one in mine if not any(one.is_it(topic, line) for line in new)],
        ours=len(new),
    )


def compare_all(before: Features, after: Features, expected: tuple[New, ...] = OURS) -> dict[str, Compared]:
    """All topics; one that only one side has is empty on the other."""
    topics = [*before, *(topic for topic in after if topic not in before)]
    return {topic: compare(topic, before.get(topic, set()), after.get(topic, set()), expected) for topic in topics}
