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
    newest = last_known(place) or ask(place, suite) or source["version"]
    if number(newest) > number(source["version"]):
        say(f"Debian {suite} has QEMU {newest}, and this is {source['version']}; to take it: {options.take}")


def number(version: str) -> list[int]:
    """What versions are compared by."""
    return [int(part) for part in version.split(".")]


def last_known(place: Workplace) -> str | None:
    """What was found in the last day."""
    stamp = place.root / "newest.stamp"
    is_fresh = stamp.is_file() and 0 <= time.time() - stamp.stat().st_mtime < DAY_SECONDS
    return stamp.read_text().strip() or None if is_fresh else None


def ask(place: Workplace, suite: str) -> str | None:
    """The newest release that the suite has; None if it can't be asked."""
    if not debian_source.is_debian():
        return None
    try:
        newest = debian_source.newest_release(place.base, suite, place.scratch("newest"))
    except Refused:
        return None
    finally:
        place.scratch("newest")
    place.write(place.root / "newest.stamp", f"{newest}\n")
    return newest


if __name__ == "__main__":
    run_script(main)
