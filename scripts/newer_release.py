# SPDX-License-Identifier: GPL-2.0-or-later
"""Say whether Debian has a newer release of the base than the one that is built; ask once a day, and quietly."""

from __future__ import annotations

import json
import time

import debian_source
from source import declared
from workplace import Refused, Workplace, arguments, run_script, say, workplace

DAY_SECONDS = 24 * 60 * 60


def main() -> None:
    """Print one line, or nothing where there is no news: a network isn't needed."""
    parser = arguments(__doc__)
    parser.add_argument("take", help="the command that takes a newer release")
    options = parser.parse_args()
    place = workplace(options)
    source = json.loads((place.root / "source.stamp").read_text())
    suite = declared(place.base)["suite"]
    if source["fingerprint"] != f"Debian {suite}":
        return
    known = last_known(place)
    newest = (ask(place, suite) if known is None else known) or source["version"]
    if number(newest) > number(source["version"]):
        say(f"Debian {suite} has QEMU {newest}, and this is {source['version']}; to take it: {options.take}")


def number(version: str) -> list[int]:
    """What versions are compared by."""
    return [int(part) for part in version.split(".")]


def last_known(place: Workplace) -> str | None:
    """What was found in the last day; nothing, if nobody answered; None if nobody was asked."""
    stamp = place.root / "newest.stamp"
    is_fresh = stamp.is_file() and 0 <= time.time() - stamp.stat().st_mtime < DAY_SECONDS
    return stamp.read_text().strip() if is_fresh else None


def ask(place: Workplace, suite: str) -> str:
    """The newest release that the suite has; nothing if it can't be asked."""
    if not debian_source.is_debian():
        return ""
    try:
        newest = debian_source.newest_release(place.base, suite, place.scratch("newest"))
    except Refused:
        newest = ""
    finally:
        place.scratch("newest")
    place.write(place.root / "newest.stamp", f"{newest}\n")
    return newest


if __name__ == "__main__":
    run_script(main)
