# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the series' qtests and other tests with an emulator that has ASan and UBSan, and counts what these report.

    run_suites.py --build FOLDER --work FOLDER --python PROGRAM [--tests PATH ...]

The emulator goes on after a report, so that a test sees what it would see otherwise; the reports stay in the folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sanitized import reports

TESTS = Path(__file__).resolve().parents[1]
EMULATOR = "qemu-system-aarch64"
DEFAULT = ["pool", "revoked", "matrix/test_on_host.py", "matrix/test_unpinnable.py"]


def last_line(printed: str) -> str:
    """How many tests have passed, as pytest says it, or a program that numbers them."""
    lines = [line for line in printed.splitlines() if line.startswith("ok ") or " passed" in line]
    return lines[-1] if lines else "nothing has passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="where the emulator and the qtests were built")
    parser.add_argument("--work", type=Path, required=True, help="folder for the reports")
    parser.add_argument("--python", type=Path, required=True, help="a Python with pytest")
    parser.add_argument("--tests", nargs="+", default=DEFAULT,
                        help="files and folders of tests (%(default)s)")  # fmt: skip
    given = parser.parse_args()
    build, folder = given.build.resolve(), given.work.resolve() / "reports"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = os.environ | reports.options(folder) | {"RAM_DEVICE_PATCHED": str(build / EMULATOR)}
    programs = sorted((build / "tests/qtest").glob("ram-device-*test"))
    commands = {program.name: [str(program), "-k"] for program in programs}
    commands |= {name: [str(given.python.absolute()), "-m", "pytest", "-q", str(TESTS / name)] for name in given.tests}
    environment |= {"QTEST_QEMU_BINARY": str(build / EMULATOR), "QTEST_QEMU_IMG": shutil.which("qemu-img") or ""}
    failed = []
    for name, command in commands.items():
        done = subprocess.run(command, cwd=build, env=environment, text=True, capture_output=True, check=False)
        print(f"-- {name}: {last_line(done.stdout)}", flush=True)
        if done.returncode:
            print(done.stdout, done.stderr, flush=True)
            failed.append(name)
    found = reports.found(folder)
    for report in found:
        print(report)
    print(f"{len(commands)} programs and folders of tests, failed: {', '.join(failed) or 'none'}; "
          f"{len(found)} reports of ASan and UBSan")  # fmt: skip
    return 1 if failed or found else 0


if __name__ == "__main__":
    sys.exit(main())
