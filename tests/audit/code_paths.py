# SPDX-License-Identifier: GPL-2.0-or-later
"""All paths through the crate's functions: which instructions are reached, and what each access's address comes from.

Each function is followed from each place that calls it, with what the registers hold there, so that an address is known
by its origin also where the compiler has made a function of its own of a part.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audit.code_image import Function, Image, exported, public
from audit.code_instruction import Access, Architecture, Effect, Flow
from audit.code_values import MIXED, NUMBER, Entry, State, Value, at

# In bytes; those of the crate have up to nine moves and a jump.
LONGEST_FIXUP = 96
# A port is something in the frame of whoever calls.
ARGUMENTS = {"number": NUMBER, "port": at("stack", 4096),
             **{kind: at(kind) for kind in ("struct", "buffer", "device", "source", "destination", "other struct")}}


@dataclass(frozen=True)
class Finding:
    """Something that the crate may not have."""

    kind: str
    address: int
    text: str


@dataclass
class Path:
    """A function followed with certain contents of the registers."""

    function: Function
    # It is reached from a function that gets a RAM device, or a word of RAM to move.
    is_strict: bool = False
    exit: State | None = None
    reached: dict[int, Any] = field(default_factory=dict)
    accesses: list[tuple[int, Access]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    calls: list[Path] = field(default_factory=list)


class Paths:
    """The paths of one image."""

    def __init__(self, image: Image, architecture: Architecture) -> None:
        self.image, self.architecture = image, architecture
        self._known: dict[tuple[object, ...], Path] = {}
        self._tables: set[int] = set()
        self._by_address = {function.address: function for function in image.functions.values()}
        # Where execution goes on when an instruction faults.
        self.fixup_of = {fault.instruction: fault.fixup for fault in image.faults}

    @cached_property
    def code(self) -> dict[int, Any]:
        """All instructions of the crate's functions, by address."""
        return {instruction.address: instruction for function in self.image.functions.values()
                for instruction in self.linear(function)}

    @cached_property
    def fixups(self) -> dict[int, list[Any]]:
        """The code of each fix-up by its address, up to the first instruction that isn't a move of a constant."""
        found = {}
        for start in set(self.fixup_of.values()):
            code: list[Any] = []
            for instruction in self.architecture.disassemble(self.image.data(start, LONGEST_FIXUP), start):
                code.append(instruction)
                if self.architecture.set_by_move(instruction) is None:
                    break
            found[start] = code
        return found

    @cached_property
    def _fixup_code(self) -> dict[int, Any]:
        """All instructions of the fix-ups, by address."""
        return {instruction.address: instruction for code in self.fixups.values() for instruction in code}

    def linear(self, function: Function) -> list[Any]:
        """The instructions of a function as they lie there."""
        return self.architecture.disassemble(self.image.data(function.address, function.size), function.address)

    def all(self) -> list[Path]:
        """All paths: from the exported functions, and from public ones that nobody calls but that are there."""
        tables, found = None, dict[int, Path]()
        while tables != self._tables:
            tables = set(self._tables)
            self._known.clear()
            found = {}
            for name, kinds in exported().items():
                if name in self.image.functions:
                    self._add(found, self.image.functions[name], kinds)
            reached = {path.function.name for path in found.values()}
            for name, function in self.image.functions.items():
                if name not in reached and (uncalled := public(name)) is not None:
                    self._add(found, function, uncalled)
        return list(found.values())

    def _add(self, found: dict[int, Path], function: Function, kinds: list[str]) -> None:
        """Add a function that gets these arguments, and all that it calls."""
        is_strict = bool({"struct", "device", "destination"} & set(kinds))
        todo = deque([self.follow(function, self.entry(kinds))])
        while todo:
            path = todo.popleft()
            if id(path) not in found or is_strict > path.is_strict:
                found[id(path)] = path
                path.is_strict |= is_strict
                todo.extend(path.calls)

    def entry(self, kinds: list[str]) -> State:
        """The registers when C calls a function with these arguments."""
        registers = {register: ARGUMENTS[kind] for register, kind in
                     zip(self.architecture.arguments, kinds, strict=False)}
        return State(registers | {self.architecture.stack_pointer: at("stack")})

    def follow(self, function: Function, entry: State) -> Path:
        """Follow a function to all its ends."""
        key = (function.name, entry.key())
        if key not in self._known:
            self._known[key] = Path(function)  # A function that calls itself finds a path without an end.
            self._known[key] = self._follow(function, entry)
        return self._known[key]

    def _follow(self, function: Function, entry: State) -> Path:
        """Follow a function until nothing more is learnt, then note what it does."""
        states = {function.address: entry}
        todo = deque([function.address])
        path = Path(function)
        while todo:
            address = todo.popleft()
            _, successors = self._execute(function, address, states[address])
            for successor, state in successors:
                known = states.get(successor)
                joined = known.join(state) if known else state
                if known is None or joined.key() != known.key():
                    states[successor] = joined
                    todo.append(successor)
        for address, state in sorted(states.items()):
            outcome, successors = self._execute(function, address, state)
            path.reached[address] = outcome.instruction
            path.accesses += [(address, access) for access in outcome.accesses]
            path.findings += outcome.findings
            path.calls += outcome.calls
            for end in outcome.ends:
                path.exit = path.exit.join(end) if path.exit else end
        return path

    def _execute(self, function: Function, address: int, before: State) -> tuple[Outcome, list[tuple[int, State]]]:
        """Execute one instruction: its outcome, and where execution goes on with which state."""
        instruction = self.code.get(address) or self._fixup_code[address]
        outcome = Outcome(instruction)
        successors: list[tuple[int, State]] = []
        state = before.copy()
        effect = self.architecture.effect(instruction, state, self.image)
        outcome.accesses = effect.accesses
        after = address + instruction.size
        if address in self.fixup_of:
            successors.append((self.fixup_of[address], before.copy()))
        if effect.flow in (Flow.NEXT, Flow.BRANCH):
            successors.append((after, state))
        if effect.flow is Flow.RETURN:
            outcome.ends.append(state)
        if effect.flow in (Flow.JUMP, Flow.BRANCH):
            self._jump(function, effect, state, outcome, successors)
        if effect.flow is Flow.CALL:
            callee = self._callee(effect, outcome)
            if callee:
                called = self.follow(callee, state)
                outcome.calls.append(called)
                if called.exit:
                    returned = called.exit.copy()
                    for register in self.architecture.preserved:
                        returned.registers[register] = before.get(register)
                    successors.append((after, returned))
            else:
                kept = {name: before.get(name) for name in self.architecture.preserved}
                successors.append((after, State(kept | {self.architecture.arguments[0]: NUMBER}, state.stack)))
        for successor, _ in successors:
            if successor not in self.code and successor not in self._fixup_code:
                outcome.find("execution leaves the crate")
        return outcome, [pair for pair in successors if pair[0] in self.code or pair[0] in self._fixup_code]

    def _jump(self, function: Function, effect: Effect, state: State, outcome: Outcome,
              successors: list[tuple[int, State]]) -> None:
        """Where a jump goes: within the function, to another function of the crate, or to where it may not."""
        targets = self._targets(function, effect.target or MIXED)
        if not targets:
            outcome.find("indirect jump whose targets aren't known")
        for target in targets:
            is_fixup_end = outcome.instruction.address not in function
            if target in self.code and (target in function or is_fixup_end):
                successors.append((target, state))
            elif target in self._by_address:
                called = self.follow(self._by_address[target], state)
                outcome.calls.append(called)
                outcome.ends += [called.exit] if called.exit else []
            else:
                outcome.find("jump out of the crate")

    def _callee(self, effect: Effect, outcome: Outcome) -> Function | None:
        """The function that is called, if it is one of the crate's."""
        target = effect.target or MIXED
        if not target.comes_from("image") or target.exact is None:
            outcome.find("indirect call")
            return None
        if target.exact not in self._by_address:
            outcome.find("call out of the crate")
        return self._by_address.get(target.exact)

    def _targets(self, function: Function, target: Value) -> list[int]:
        """All addresses that a jump may go to; none if they aren't known."""
        if not target.comes_from("image") or target.offset is None:
            return []
        if target.entry is None:
            return [target.offset]
        entry, targets = target.entry, []
        self._tables.add(entry.table)
        end = min((table for table in self._tables if table > entry.table), default=None)
        place = entry.table
        while end is None or place < end:
            distance = self._entry(entry, place)
            if distance is None or (aim := target.offset + distance) not in function or aim not in self.code:
                break
            targets.append(aim)
            place += entry.width
        return targets

    def _entry(self, entry: Entry, place: int) -> int | None:
        """One entry of a jump table."""
        data = self.image.data(place, entry.width) if self.image.is_constant(place) else b""
        return None if len(data) < entry.width else int.from_bytes(data, "little", signed=entry.signed) * entry.factor


@dataclass
class Outcome:
    """What one instruction did."""

    instruction: Any
    accesses: list[Access] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    calls: list[Path] = field(default_factory=list)
    ends: list[State] = field(default_factory=list)

    def find(self, kind: str) -> None:
        """Note that this instruction isn't allowed."""
        text = f"{self.instruction.mnemonic} {self.instruction.op_str}".strip()
        self.findings.append(Finding(kind, self.instruction.address, text))
