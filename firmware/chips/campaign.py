# SPDX-License-Identifier: Apache-2.0
"""Power cuts at chosen flash operations of linked firmware, its drivers included: the old or the new model then runs.

A device with one installed model receives another one. The update is played once to count its flash operations, then
again for each cut. What the cut leaves of the operation is drawn from a fixed seed, and RAM then holds anything. The
device starts, must report one of the two models, and the update is repeated to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.chips.device import ChipDevice
from firmware.chips.models import make
from reconciler.devices.conversation import Confirmed
from reconciler.devices.transfer import TransferJob
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.talk import digest16, job, report_of, update

ADDRESS: Final = 7
PREBAKED, OLD, NEW = make_pack(1), make_pack(2, inputs=700), make_pack(3, inputs=3700)


class UpdateFailedError(Exception):
    """The update fails already without a power cut."""


@dataclass(frozen=True)
class Board:
    """A chip with its firmware, and where the provisioned region is."""

    chip: str
    elf: Path
    provisioned: int


@dataclass(frozen=True)
class Cut:
    """What a cut at one flash operation led to. No problem: the device recovered, and the update completed."""

    operation: int
    cuts: int
    violations: tuple[str, ...]
    problem: str | None


class Campaign:
    """One update on one board. ``operations`` is the number of flash operations that it takes."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._bench = Bench("plant")
        self._made: Made = self._bench.device("pump-1", address=ADDRESS)
        self._old = self._start(0)
        self._install(self._old, OLD, "the first update")
        device = self._copy(0)
        begun = device.core.chip.flash.operations
        self._install(device, NEW, "the update without a cut")
        self.operations = device.core.chip.flash.operations - begun
        self.violations = (*self._old.core.chip.violations, *device.core.chip.violations)

    def play(self, operations: Iterable[int]) -> Iterator[Cut]:
        """Play the update with a cut at each of these operations, counted from 1."""
        for operation in operations:
            device = self._copy(operation)
            flash = device.core.chip.flash
            before = report_of(device, self._made)
            flash.cut_at = flash.operations + operation
            try:
                problem = self._update_twice(device, self._job(before.sequence + 1, NEW, device))
            except AssertionError as failed:
                problem = f"no answer: {failed}"
            yield Cut(operation, device.cuts, tuple(device.core.chip.violations), problem)

    def _update_twice(self, device: ChipDevice, work: TransferJob) -> str | None:
        update(device, self._made, work)  # a gateway that is cut off in the middle; its outcome is anything
        running = report_of(device, self._made).running
        if running not in {digest16(OLD), digest16(NEW)}:
            return "neither the old nor the new model runs"
        outcome, _ = update(device, self._made, work)
        if not isinstance(outcome, Confirmed) or report_of(device, self._made).running != digest16(NEW):
            return f"the repeated update ends with {outcome}"
        return None

    def _install(self, device: ChipDevice, pack: bytes, what: str) -> None:
        try:
            before = report_of(device, self._made)
        except AssertionError as failed:
            raise UpdateFailedError(f"no answer before {what}") from failed
        outcome, _ = update(device, self._made, self._job(before.sequence + 1, pack, device))
        if not isinstance(outcome, Confirmed):
            raise UpdateFailedError(f"{what} ends with {outcome}")

    def _job(self, sequence: int, pack: bytes, device: ChipDevice) -> TransferJob:
        return job(self._made, self._bench.install(self._made, pack, sequence), pack, report_of(device, self._made))

    def _start(self, seed: int) -> ChipDevice:
        region = {self._board.provisioned: self._made.region(PREBAKED)}
        return ChipDevice(make(self._board.chip, self._board.elf, region, seed), ADDRESS)

    def _copy(self, seed: int) -> ChipDevice:
        """Return a device that has installed the old model, and has just been switched on."""
        device = self._start(seed)
        device.core.chip.flash.restore(self._old.core.chip.flash)
        return device
