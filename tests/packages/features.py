# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that an emulator says it has, as sets of lines, so that two builds can be compared."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from packages.qmp import Qmp

Features = dict[str, set[str]]

# Topics, and the arguments that make an emulator print what it has of them.
PRINTED = {
    "-M help": ("-M", "help"),
    "--help": ("--help",),
    **{" ".join(arguments): ("-M", "none", *arguments) for arguments in (
        *((option, "help") for option in ("-accel", "-audiodev", "-chardev", "-cpu", "-device", "-display", "-netdev",
                                          "-object", "-sandbox", "-trace", "-vga")),
        *(("-device", f"{name},help")
          for name in ("vfio-pci", "virtio-blk-pci", "virtio-net-pci", "virtio-scsi-pci", "nvme")),
    )},
}  # fmt: skip
# What a program is, not what it has.
NOT_FEATURES = re.compile(r"^QEMU emulator version|^qemu-img version|^Copyright")


def of(emulator: Sequence[str], architecture: str) -> Features:
    """What the emulator of that architecture has."""
    found = {topic: printed([*emulator, *arguments]) for topic, arguments in PRINTED.items()}
    with Qmp.start([*emulator, "-M", "none", "-accel", "tcg", "-nodefaults"]) as monitor:
        schema = monitor.ask("query-qmp-schema")
        found["QMP schema"] = set(flattened(schema))
        found["block drivers"] = block_drivers(schema)
        options = monitor.ask("query-command-line-options")
        found["command line options"] = {f"{option['option']} {json.dumps(parameter, sort_keys=True)}"
                                         for option in options for parameter in option["parameters"]}  # fmt: skip
        found["machine types"] = {json.dumps(machine, sort_keys=True) for machine in monitor.ask("query-machines")}
        found["device properties"] = set(properties(monitor, "device", "device-list-properties"))
        found["machine properties"] = set(properties(monitor, "machine", "qom-list-properties"))
    return {f"{architecture}: {topic}": lines for topic, lines in found.items()}


def of_qemu_img(drivers: Iterable[str]) -> Features:
    """What qemu-img has, and what each driver, which may be in a module, says when it isn't told what to open."""
    opened = {f"{driver}: {line}" for driver in drivers
              for line in printed(["qemu-img", "info", "--image-opts", f"driver={driver}"])}  # fmt: skip
    return {"qemu-img --help": printed(["qemu-img", "--help"]), "qemu-img: drivers": opened}


def printed(command: Sequence[str]) -> set[str]:
    """The lines that a program prints, whatever its status: some builds have a nonzero one after `help`."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    lines = {line.rstrip() for line in f"{done.stdout}\n{done.stderr}".splitlines()}
    return {line for line in lines if line and not NOT_FEATURES.match(line)}


def properties(monitor: Qmp, implements: str, command: str) -> Iterator[str]:
    """Each property of each type, with its own type and default."""
    types = monitor.ask("qom-list-types", {"implements": implements, "abstract": False})
    for name in sorted(kind["name"] for kind in types):
        yield f"{name}"
        for one in monitor.ask(command, {"typename": name}):
            default = f" = {one['default-value']}" if "default-value" in one else ""
            yield f"{name}.{one['name']}: {one['type']}{default}"


def flattened(schema: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The schema in lines that don't depend on the numbers that QEMU gives to types.

    A type is called by the first way that leads to it from a command or an event.
    """
    entities = {entity["name"]: entity for entity in schema}
    names: dict[str, str] = {}

    def called(number: str, way: str) -> str:
        if entities[number]["meta-type"] == "builtin":
            return number
        if entities[number]["meta-type"] == "array":
            return f"[{called(entities[number]['element-type'], way)}]"
        if number not in names:
            names[number] = way
            waiting.append(number)
        return names[number]

    waiting = [entity["name"] for entity in schema if entity["meta-type"] in ("command", "event")]
    names.update((name, name) for name in waiting)
    while waiting:
        entity = entities[waiting.pop(0)]
        here = names[entity["name"]]
        yield f"{entity['meta-type']} {here} {','.join(map(str, entity.get('features', ())))}".rstrip()
        for part in ("arg-type", "ret-type"):
            if part in entity:
                yield f"{here} {part} {called(entity[part], f'{here}.{part}')}"
        for member in entity.get("members", ()):
            if entity["meta-type"] == "alternate":
                yield f"{here} | {called(member['type'], f'{here}|')}"
            elif entity["meta-type"] == "enum":
                yield f"{here} = {member['name']} {','.join(member.get('features', ()))}".rstrip()
            else:
                optional = "?" if "default" in member else ""
                features = ",".join(member.get("features", ()))
                kind = called(member["type"], f"{here}.{member['name']}")
                yield f"{here}.{member['name']}{optional} {kind} {features}".rstrip()
        for variant in entity.get("variants", ()):
            case = variant["case"]
            yield f"{here} {entity['tag']}={case} {called(variant['type'], f'{here}/{case}')}"


def block_drivers(schema: Sequence[dict[str, Any]]) -> set[str]:
    """The drivers that blockdev-add takes."""
    entities = {entity["name"]: entity for entity in schema}
    arguments = entities[entities["blockdev-add"]["arg-type"]]
    (driver,) = (member for member in arguments["members"] if member["name"] == "driver")
    return {member["name"] for member in entities[driver["type"]]["members"]}
