# SPDX-License-Identifier: GPL-2.0-or-later
"""What a register or a stack slot holds, as far as the audit must know it: where an address comes from.

A value is a sum of origins, each with its factor, and a number. The device side of a transfer is "device" once (the
field `host` of struct RamDevice) plus a number; the RAM side is "buffer" once. What is no such sum is MIXED: it may be
anything, and no access may be made with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

# Less than this is no pointer, wherever it was cut out of.
SMALL = 1 << 16


@dataclass(frozen=True)
class Entry:
    """What was loaded from a table of constants at a place that isn't known, times a factor."""

    table: int
    width: int
    signed: bool
    factor: int = 1


@dataclass(frozen=True)
class Value:
    """Origins with their factors, plus `offset` (None: some number), plus a table's entry."""

    origins: tuple[tuple[str, int], ...] = ()
    offset: int | None = None
    entry: Entry | None = None

    @property
    def is_number(self) -> bool:
        """Does no address take part in this?"""
        return not self.origins

    @property
    def exact(self) -> int | None:
        """The distance from the origin if it is wholly known."""
        return None if self.entry else self.offset

    def comes_from(self, origin: str) -> bool:
        """Is this an address at or beside this origin?"""
        return self.origins == ((origin, 1),)


MIXED = Value((("mixed", 1),))
NUMBER = Value()


def number(value: int) -> Value:
    """A number that is known."""
    return Value(offset=value)


def at(origin: str, offset: int | None = 0) -> Value:
    """An address relative to an origin."""
    return Value(((origin, 1),), offset)


def add(first: Value, second: Value) -> Value:
    """The sum."""
    if MIXED in (first, second):
        return MIXED
    factors = dict(first.origins)
    for origin, factor in second.origins:
        factors[origin] = factors.get(origin, 0) + factor
    origins = tuple(sorted((origin, factor) for origin, factor in factors.items() if factor))
    if first.offset is None or second.offset is None or (first.entry and second.entry):
        return Value(origins)
    return Value(origins, first.offset + second.offset, first.entry or second.entry)


def scale(value: Value, factor: int) -> Value:
    """The product with a known number."""
    if value == MIXED or not factor:
        return value if factor else number(0)
    return Value(tuple((origin, count * factor) for origin, count in value.origins),
                 None if value.offset is None else value.offset * factor,
                 value.entry and replace(value.entry, factor=value.entry.factor * factor))


def join(first: Value, second: Value) -> Value:
    """What is known when it may be either."""
    if first == second:
        return first
    return Value(first.origins) if first.origins == second.origins and first != MIXED else MIXED


def masked(name: str, value: Value, mask: int) -> Value | None:
    """What "and" or "or" with a constant gives, if that is more than computed() knows.

    Low bits alone are a number. To set or to clear low bits of an address is to add or to subtract a number.
    """
    if name == "and" and 0 <= mask < SMALL:
        return NUMBER
    is_near = 0 <= mask < SMALL if name == "or" else -SMALL <= mask < 0
    return add(value, NUMBER) if is_near else None


def low_word(value: Value) -> Value:
    """The low 32 bits, zero-extended."""
    if not value.is_number:
        return MIXED
    return value if value.offset is None or value.entry else number(value.offset & 0xffffffff)


def computed(inputs: Iterable[Value]) -> Value:
    """What an instruction makes of its inputs that is neither known here nor a memory access."""
    return NUMBER if all(value.is_number for value in inputs) else MIXED


@dataclass(frozen=True)
class Stored:
    """What was stored to the stack in one go."""

    value: Value
    start: int
    size: int


@dataclass
class State:
    """The registers, by the name of the whole register, and the bytes of the stack, by their distance from its top."""

    registers: dict[str, Value] = field(default_factory=dict)
    stack: dict[int, Stored] = field(default_factory=dict)

    def copy(self) -> State:
        """The same in another object."""
        return State(dict(self.registers), dict(self.stack))

    def key(self) -> tuple[frozenset[tuple[str, Value]], frozenset[tuple[int, Stored]]]:
        """The same, immutable."""
        return frozenset(self.registers.items()), frozenset(self.stack.items())

    def get(self, register: str) -> Value:
        """What a register holds."""
        return self.registers.get(register, MIXED)

    def join(self, other: State) -> State:
        """What is known when the state may be either."""
        registers = {name: join(value, other.get(name)) for name, value in self.registers.items()}
        stack = {place: joined for place, stored in self.stack.items()
                 if (joined := join_stored(place, stored, other.stack.get(place)))}
        return State({name: value for name, value in registers.items() if value != MIXED}, stack)

    def store(self, start: int | None, size: int, value: Value) -> None:
        """Store to the stack; to a place that isn't known: everything may be overwritten."""
        if start is None:
            self.stack.clear()
            return
        for place in range(start, start + size):
            self.stack[place] = Stored(value, start, size)

    def load(self, start: int | None, size: int) -> Value:
        """Load from the stack."""
        found = [] if start is None else [self.stack.get(place) for place in range(start, start + size)]
        parts = [stored for stored in found if stored]
        if len(parts) != size:
            return MIXED
        if all(stored == Stored(parts[0].value, start or 0, size) for stored in parts):
            return parts[0].value
        return computed(stored.value for stored in parts)


def join_stored(place: int, first: Stored, second: Stored | None) -> Stored | None:
    """What is known of one byte of the stack that may be either; None: nothing."""
    if second is None or first == second:
        return second
    if (first.start, first.size) == (second.start, second.size):
        value = join(first.value, second.value)
        return None if value == MIXED else replace(first, value=value)
    return Stored(NUMBER, place, 1) if first.value.is_number and second.value.is_number else None
