# SPDX-License-Identifier: GPL-2.0-or-later
""".ci/run: make check first, then the exhaustive tests as far as the time goes; nothing that went wrong is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# They write the logs that Meson would write, with the cases that the file `cases` has for the name.
LOG = """printf '{"name": "qemu-ram-device:exhaustive / %s", "result": "%s", "stdout": "%s"}\\n' """
MAKE = f"""#!/bin/sh
[ "$*" = "check STRICT=1" ] || exit 9
{LOG} check OK "ok 1 a\\\\n" >build/meson-logs/testlog.json
"""
MESON = f"""#!/bin/sh
case "$*" in
*--list) cat listed; exit ;;
esac
while [ "$1" != --logbase ]; do shift; done
case "$(cat "result of $3")" in
slow) exec sleep 600 ;;
bad) {LOG} "$3" FAIL "not ok 1 b\\\\n" >"build/meson-logs/$2.json"; exit 1 ;;
good) {LOG} "$3" OK "ok 1 b\\\\n" >"build/meson-logs/$2.json" ;;
esac
"""
NAMES = ("audit, exhaustive", "suites, exhaustive")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose build and tests are played."""
    for name in (".ci/run", "scripts/results.py", "tests/allowed-skips"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "build/venv/bin").mkdir(parents=True)
    (tmp_path / "build/meson-logs").mkdir()
    (tmp_path / "listed").write_text("".join(f"qemu-ram-device:exhaustive / {name}\n" for name in NAMES))
    for name, script in {"make": MAKE, "ninja": "#!/bin/sh\n", "build/venv/bin/meson": MESON}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(checkout: Path, *results: str, seconds: int = 600) -> tuple[int, list[str]]:
    """The exit status, and what was said, where the exhaustive tests end like that."""
    for name, result in zip(NAMES, results, strict=False):
        (checkout / f"result of {name}").write_text(result)
    environment = os.environ | {"PATH": f"{checkout}:{os.environ['PATH']}", "BUDGET_SECONDS": str(seconds)}
    done = subprocess.run([checkout / ".ci/run"], text=True, capture_output=True, check=False, env=environment)
    return done.returncode, done.stdout.splitlines()


def test_the_exhaustive_tests_are_run_after_make_check_and_all_is_summed(checkout: Path) -> None:
    status, said = run(checkout, "good", "good")
    assert (status, said[-1]) == (0, "3 passed, 0 failed, 0 skipped")


def test_one_that_fails_fails_and_the_next_one_is_run(checkout: Path) -> None:
    status, said = run(checkout, "bad", "good")
    assert (status, said[-1]) == (1, "2 passed, 1 failed, 0 skipped")


def test_what_there_is_no_time_for_is_named_and_counts_as_skipped(checkout: Path) -> None:
    status, said = run(checkout, "slow", "good", seconds=5)
    assert (status, said[-1]) == (0, "1 passed, 0 failed, 2 skipped")
    assert [line for line in said if "left out" in line] == [
        f"-- skipped: qemu-ram-device:exhaustive / {name}: left out, as the time was used up" for name in NAMES]


def test_what_make_check_finds_ends_it(checkout: Path) -> None:
    (checkout / "make").write_text(MAKE.replace(' OK "ok', ' FAIL "not ok') + "exit 1\n")
    status, said = run(checkout)
    assert (status, said[-1]) == (1, "0 passed, 1 failed, 0 skipped")


def test_a_build_that_fails_fails(checkout: Path) -> None:
    (checkout / "ninja").write_text("#!/bin/sh\nexit 1\n")
    status, said = run(checkout)
    assert status == 1 and said[-1].startswith("0 passed, 1 failed")
