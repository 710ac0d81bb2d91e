# SPDX-License-Identifier: GPL-2.0-or-later
"""What was checked and what came of it: lines of JSON from the chroot, and tables of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from machines.error import MachineError, NotAvailable

FEATURES, DOMAINS, CHANGES, RAM_DEVICES = "features", "domains", "upgrades and moves", "RAM devices"
DEBIANS, OURS = "Debian's", "ours"
FAILED, NOT_RUN = "FAILED: ", "not run: "
Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """One check; `who` has passed it or not, if it was made with both."""

    table: str
    what: str
    who: str
    said: str

    @property
    def is_wrong(self) -> bool:
        return self.said.startswith(FAILED)


class Checks:
    """Makes checks in the chroot; what one of them finds is told at once, and the next one is made all the same."""

    def make(self, table: str, what: str, who: str, check: Callable[[], str]) -> bool:
        """Make one; its answer is told, or why there is none."""
        try:
            said = check()
        except NotAvailable as why:
            said = f"{NOT_RUN}{why}"
        except (MachineError, OSError, ValueError, AssertionError) as error:
            said = f"{FAILED}{error}"
        self.tell(table, what, who, said)
        return not said.startswith((FAILED, NOT_RUN))

    def tell(self, table: str, what: str, who: str, said: str) -> None:
        """An answer that is there already."""
        print(json.dumps({"result": asdict(Result(table, what, who, said))}), flush=True)

    def progress(self, text: str) -> None:
        """For who waits."""
        print(json.dumps({"progress": text}), flush=True)


def require(condition: object, otherwise: str) -> None:
    """What a check wants to be so."""
    if not condition:
        raise MachineError(otherwise)


def tables(results: Iterable[Result]) -> str:
    """A table of each kind of check."""
    kinds: dict[str, dict[str, dict[str, str]]] = {}
    for result in results:
        kinds.setdefault(result.table, {}).setdefault(result.what, {})[result.who] = _cell(result.said)
    parts = []
    for kind, rows in kinds.items():
        columns = [who for who in (DEBIANS, OURS) if any(who in row for row in rows.values())]
        lines = [f"| {kind} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
        lines += [f"| {what} | {' | '.join(row.get(who, '-') for who in columns)} |" for what, row in rows.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
