# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries cases out, each come what may, on as few inner machines as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from drivers.request import ANSWER_SECONDS, DeviceNeedsReset, NoAnswer, RequestFailed
from machines.qtest_client import EmulatorError
from matrix import others, storage
from matrix.cases import expected_of_stock
from matrix.dimensions import (
    IO_ERROR,
    LOST_DEVICE,
    LOST_EMULATOR,
    NO_ANSWER,
    RAM_TO_UPPER,
    RNG,
    STORAGE_DEVICES,
    Case,
    Disk,
)
from matrix.images import Image
from matrix.jobs import Job, Outcome
from matrix.machine import DIRECT, STOCK, Bars, Machine, Variant, machine

# The wait for what may well give none.
UNANSWERED_SECONDS = 3.0


@dataclass
class Runner:
    """Where cases are carried out. On the host `bars` aren't assigned, but the test device's.

    `images` gives the file or device for the image of each storage device, in a given store.
    """

    scratch: Path
    messages_folder: Path
    images: Callable[[str, str], Path]
    bars: Bars = None
    _differences: list[str] = field(default_factory=list)

    def run(self, job: Job) -> Iterator[Outcome]:
        """The outcome of each of the job's cases."""
        if job.disk is None:
            return self._others(job.variant, job.cases)
        return self._storage(job.variant, job.disk, job.cases)

    def take_differences(self) -> list[str]:
        """What wasn't as it must be when machines had ended, in their whole memory and on their whole disks."""
        found, self._differences = self._differences, []
        return found

    def _storage(self, variant: Variant, disk: Disk, cases: Sequence[Case]) -> Iterator[Outcome]:
        """The cases on this disk; after a failure that isn't just an answer the machine is started afresh."""
        left = list(cases)
        while left:
            images = {
                device: Image(self.images(disk.store, device), disk.format, device.replace(", ", "-"), self.scratch)
                for device in STORAGE_DEVICES
            }
            options = storage.options(disk, images)
            with machine(variant, options, self.messages(variant), repr(disk), self.bars) as running:
                devices: dict[str, storage.StorageDevice] = {}
                usable = True
                while left and usable:
                    case = left.pop(0)
                    carry_out = partial(self._on_storage, variant, case, devices, images, running)
                    outcome, usable = self._attempt(variant, case, running, carry_out)
                    if outcome.verdict == LOST_DEVICE:
                        devices.pop(case.device)
                    yield outcome
                if usable:
                    where = f"{variant.name}, {disk}: "
                    self._differences += [where + text for text in running.board.all_differences()]
                    running.emulator.quit()
                    for image in images.values():
                        self._differences += [where + text for text in image.all_differences(self.scratch)]

    def _others(self, variant: Variant, cases: Sequence[Case]) -> Iterator[Outcome]:
        """The cases of devices that aren't storage."""
        left = list(cases)
        while left:
            surroundings = others.Surroundings(self.scratch)
            options, descriptors = surroundings.options(), surroundings.descriptors()
            with machine(variant, options, self.messages(variant), "others", self.bars, descriptors) as running:
                devices: dict[str, others.OtherDevice] = {}
                usable = True
                while left and usable:
                    case = left.pop(0)
                    carry_out = partial(self._on_other, variant, case, devices, surroundings, running)
                    outcome, usable = self._attempt(variant, case, running, carry_out)
                    if outcome.verdict == LOST_DEVICE:
                        devices.pop(case.device)
                        # The entropy that it had taken is lost, nobody knows how much that was.
                        usable = case.device != RNG
                    yield outcome
                if usable:
                    where = f"{variant.name}, devices that aren't storage: "
                    self._differences += [where + text for text in running.board.all_differences()]
            surroundings.close()

    def messages(self, variant: Variant) -> Path:
        """Where all that the variant's emulators say is kept."""
        return self.messages_folder / f"{variant.name.replace(' ', '-')}.messages"

    def _on_storage(
        self,
        variant: Variant,
        case: Case,
        devices: dict[str, storage.StorageDevice],
        images: dict[str, Image],
        running: Machine,
    ) -> tuple[str, str]:
        if case.device not in devices:
            function = running.function(storage.SLOTS[case.device])
            devices[case.device] = storage.StorageDevice(
                storage.driver(case.device, function, running.window, running.pages),
                running.board,
                images[case.device],
                running.pages,
            )
        return storage.carry_out(case, devices[case.device], self._patience(variant, case))

    def _on_other(
        self,
        variant: Variant,
        case: Case,
        devices: dict[str, others.OtherDevice],
        surroundings: others.Surroundings,
        running: Machine,
    ) -> tuple[str, str]:
        if case.device not in devices:
            devices[case.device] = others.device(case.device, running, surroundings)
        return others.carry_out(case, devices[case.device], running.board, self._patience(variant, case))

    def _patience(self, variant: Variant, case: Case) -> float:
        """How long to wait for the answer.

        Linux may do O_DIRECT as far as a BAR that it refuses to pin, and QEMU ask for the rest without end.
        """
        if variant.name == STOCK:
            has_none = expected_of_stock(case) == NO_ANSWER
        else:
            has_none = variant.name == DIRECT and case.place == RAM_TO_UPPER and self.bars is not None
        return UNANSWERED_SECONDS if has_none else ANSWER_SECONDS

    def _attempt(
        self, variant: Variant, case: Case, running: Machine, carry_out: Callable[[], tuple[str, str]]
    ) -> tuple[Outcome, bool]:
        """The outcome, and whether the machine can serve further cases."""
        emulator = running.emulator
        said, reason, usable = len(emulator.messages()), "", True
        try:
            verdict, reason = carry_out()
        except DeviceNeedsReset:
            verdict = LOST_DEVICE
        except RequestFailed as failed:
            verdict, reason = IO_ERROR, str(failed)
        except NoAnswer as none:
            verdict, reason, usable = NO_ANSWER, str(none), False
        except EmulatorError as gone:
            verdict, reason, usable = LOST_EMULATOR, f"{gone}; {emulator.state()}", False
        message = "\n".join(filter(None, [reason, emulator.messages()[said:].strip()]))
        return Outcome(variant.name, case, verdict, message), usable
