#!/usr/bin/env -S python3 -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a running QEMU whether DMA of its emulated devices into passed-through memory works. It changes nothing there.

    doctor.py --qmp SOCKET [--json] [--timeout SECONDS]
    doctor.py --virsh DOMAIN [--json] [--timeout SECONDS]

SOCKET is one that QEMU serves QMP on (-qmp unix:SOCKET,server=on,wait=off), and that no other client holds. DOMAIN is a
VM of libvirt's, which marks it as tainted by custom-monitor, and logs that.

Python 3.9 or newer with nothing but its standard library, and the folder running_qemu beside this file, are all that it
takes: both can be copied to the host. QEMU is asked query-version, qom-list and qom-get only.

Exit status: 0 all is well, or the VM is not concerned; 1 it is: the lines say by what, and what to do; 2 it could not
be asked, for the reason given.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from running_qemu import machine, report, verdict
from running_qemu.monitor import CannotAsk, Monitor, QmpSocket, Virsh

FINE, CONCERNED, NOT_ASKED = 0, 1, 2
ANSWER_SECONDS, LONGEST_SECONDS = 15.0, 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--qmp", metavar="SOCKET", help="the path of a Unix socket that QEMU serves QMP on")
    which.add_argument("--virsh", metavar="DOMAIN", help="the name of a VM of libvirt's")
    parser.add_argument("--json", action="store_true", help="print all that was found, as JSON")
    parser.add_argument("--timeout", type=float, default=ANSWER_SECONDS, metavar="SECONDS", help="for each answer")
    chosen = parser.parse_args()
    if not 0 < chosen.timeout <= LONGEST_SECONDS:
        parser.error(f"--timeout is from 0 to {LONGEST_SECONDS:g} seconds")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have what the terminal's encoding lacks
    try:
        with monitor(chosen) as asked:
            found = machine.look(asked)
        findings = verdict.findings(found)
        status = CONCERNED if any(finding.is_concerned for finding in findings) else FINE
        if chosen.json:
            told = {**asdict(found), "findings": [asdict(finding) for finding in findings], "status": status}
            print(json.dumps(told, indent=2), flush=True)
        else:
            print(report.text(found, findings), flush=True)
    except CannotAsk as why:
        return not_asked(str(why))
    except BrokenPipeError:  # who reads this has gone, and Python would complain once more as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_ASKED
    except KeyboardInterrupt:
        return not_asked("interrupted")
    except Exception as error:  # Python's own status would be 1, which is "concerned"
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(at.filename).name}:{at.lineno}"
        return not_asked(f"something unexpected, which says nothing of QEMU: {error!r} in {place}")
    return status


def monitor(chosen: argparse.Namespace) -> Monitor:
    """The one that the command line names."""
    if chosen.virsh is not None:
        return Virsh(chosen.virsh, chosen.timeout)
    return QmpSocket(chosen.qmp, chosen.timeout)


def not_asked(why: str) -> int:
    """Say so; the exit status that means it."""
    print(f"doctor: {why}", file=sys.stderr)
    return NOT_ASKED


if __name__ == "__main__":
    sys.exit(main())
