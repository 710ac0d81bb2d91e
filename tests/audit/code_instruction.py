# SPDX-License-Identifier: GPL-2.0-or-later
"""One instruction's effect, in the terms that both architectures have in common."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Protocol

from audit.code_image import Image
from audit.code_values import MIXED, NUMBER, Entry, State, Value, at

# struct RamDevice: the device's address, then numbers: size, readonly and direct.
HOST_OFFSET = 0
HOST_SIZE = 8


class Flow(enum.Enum):
    """Where execution goes on."""

    NEXT = "to the next instruction"
    JUMP = "elsewhere"
    BRANCH = "elsewhere or to the next instruction"
    CALL = "elsewhere, and then to the next instruction"
    RETURN = "back to the caller"
    TRAP = "nowhere"


@dataclass(frozen=True)
class Access:
    """One memory access."""

    address: Value
    width: int
    is_load: bool
    is_store: bool
    # The address is a base register alone, without displacement, index or segment.
    is_plain: bool = False
    # The instruction does nothing but move one general register from or to memory.
    is_move: bool = False
    is_pair: bool = False
    has_writeback: bool = False
    # The general register that is loaded or stored.
    register: str = ""
    # The general register that is the address, if it is one alone.
    base: str = ""


@dataclass
class Effect:
    """What one instruction does beside changing the state."""

    flow: Flow = Flow.NEXT
    target: Value | None = None
    accesses: list[Access] = field(default_factory=list)


class Architecture(Protocol):
    """One architecture's instructions; an instruction is Capstone's, with details."""

    arguments: tuple[str, ...]
    stack_pointer: str
    preserved: tuple[str, ...]

    def disassemble(self, code: bytes, address: int) -> list[Any]:
        """All instructions in this code."""

    def forbidden(self, instruction: Any) -> str | None:
        """Why the crate may not have this instruction at all, by its name and operands."""

    def is_padding(self, instruction: Any) -> bool:
        """Does this do nothing, or stop the program?"""

    def effect(self, instruction: Any, state: State, image: Image) -> Effect:
        """Change the state as the instruction does, and tell the rest."""

    def set_by_move(self, instruction: Any) -> tuple[str, int] | None:
        """The register and the value if the instruction moves a constant into a general register."""

    def stepped(self, instruction: Any) -> str | None:
        """The register if the instruction adds a constant to one, and does nothing else."""


def load(access: Access, index: Value, state: State, image: Image, is_signed: bool) -> Value:
    """What a load gives. `index` is the part of the address that isn't known beforehand."""
    address = access.address
    if address.comes_from("stack"):
        return state.load(address.exact, access.width)
    if address.comes_from("struct") and address.exact is not None:
        if (address.exact, access.width) == (HOST_OFFSET, HOST_SIZE):
            return at("device")
        is_beside = address.exact >= HOST_OFFSET + HOST_SIZE or address.exact + access.width <= HOST_OFFSET
        return NUMBER if is_beside else MIXED
    if address.comes_from("image") and address.exact is not None:
        pointer = image.pointer(address.exact) if access.width == 8 else None
        return NUMBER if pointer is None else at("image", pointer)
    if address.comes_from("image") and index.exact is not None:
        return Value(offset=0, entry=Entry(index.exact, access.width, is_signed))
    known = ("device", "buffer", "source", "destination", "image", "other struct")
    return NUMBER if any(address.comes_from(origin) for origin in known) else MIXED
