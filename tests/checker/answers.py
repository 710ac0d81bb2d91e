# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways in which a request of any device can end."""

from __future__ import annotations

import signal
from collections.abc import Callable

from checker.findings import IO_ERROR, LOST_DEVICE, LOST_EMULATOR, NO_ANSWER, Answer
from checker.machine import Machine
from drivers.request import DeviceNeedsReset, NoAnswer, RequestFailed
from machines.qtest_client import EmulatorError


def answer(machine: Machine, request: Callable[[], str]) -> Answer:
    """Make the request; its own verdict counts if it is answered well."""
    said, ended, message = len(machine.messages()), "", ""
    try:
        verdict = request()
    except DeviceNeedsReset:
        verdict = LOST_DEVICE
    except RequestFailed as failed:
        verdict, message = IO_ERROR, str(failed)
    except (NoAnswer, TimeoutError) as none:
        verdict, message = NO_ANSWER, str(none)
    except EmulatorError as gone:  # perhaps before or after the transfer itself
        verdict, message = LOST_EMULATOR, f"{gone}; {machine.emulator.state()}"
        if number := machine.emulator.ended_by_signal():
            ended = signal.Signals(number).name
    return Answer(verdict, machine.messages()[said:].strip() or message, ended)
