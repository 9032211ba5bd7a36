# SPDX-License-Identifier: Apache-2.0
"""`make powercut-board`: cut the power at every STEP-th flash operation of an update, and find all seeded bugs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from firmware.chips.build import build, driver_bugs, mutant
from firmware.chips.campaign import Board, Campaign, Cut, UpdateFailedError
from firmware.powercut.driver import FIRMWARE, Bug

PROVISIONED: Final = {"esp32c3": 0x3C040000, "nrf52840": 0x40000, "rp2040": 0x10040000, "stm32l4": 0x08040000}
_DRIVERS: Final = {
    "esp32c3": "esp32c3",
    "nrf52840": "nrf5",
    "rp2040": "rp2040",
    "stm32l4": "stm32l4",
}  # folders in firmware/ports
_FOLDER: Final = FIRMWARE / "build" / "chips"
_HUNTING_STEP: Final = 31


def board(chip: str, elf: Path | None = None) -> Board:
    """Return a chip with its firmware, which is built."""
    return Board(chip, elf or build(chip), PROVISIONED[chip])


def cuts(campaign: Campaign, step: int) -> Iterator[Cut]:
    """Cut the power at every `step`-th operation of the update."""
    return campaign.play(range(1, campaign.operations + 1, step))


def bugs_of(chip: str) -> list[Bug]:
    """Return the seeded bugs of a chip's drivers."""
    return driver_bugs(_DRIVERS[chip])


def hunt(unchanged: Board, bug: Bug) -> str | None:
    """Return how a bug of a driver was found, or None."""
    broken = board(unchanged.chip, mutant(unchanged.elf, bug, _FOLDER / bug.name))
    try:
        campaign = Campaign(broken)
    except UpdateFailedError as failed:
        return str(failed)
    if campaign.violations:
        return campaign.violations[0]
    for cut in cuts(campaign, _HUNTING_STEP):
        if cut.problem or cut.violations:
            return f"cut at operation {cut.operation}: {cut.problem or cut.violations[0]}"
    return None


def main() -> int:
    """Print problems, and the figures on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chip", choices=sorted(PROVISIONED))
    parser.add_argument("--step", type=int, default=40)
    given = parser.parse_args()
    begun = time.monotonic()
    unchanged = board(given.chip)
    campaign = Campaign(unchanged)
    played = list(cuts(campaign, given.step))
    for cut in played:
        if cut.problem:
            print(f"BRICK cut at operation {cut.operation}: {cut.problem}")
    violations = [*campaign.violations, *(violation for cut in played for violation in cut.violations)]
    for violation in violations:
        print(f"VIOLATION {violation}")
    bugs = bugs_of(given.chip)
    how = {}
    for bug in bugs:
        how[bug.name] = hunt(unchanged, bug)
        print(f"{bug.name}: {how[bug.name] or 'NOT FOUND'}", flush=True)
    bricks, seeded = sum(cut.problem is not None for cut in played), sum(found is not None for found in how.values())
    print(
        f"operations={campaign.operations} cuts={sum(cut.cuts for cut in played)} bricks={bricks} "
        f"violations={len(violations)} seeded_found={seeded}/{len(bugs)} seconds={time.monotonic() - begun:.0f}"
    )
    return 0 if bricks == 0 and not violations and seeded == len(bugs) else 1


if __name__ == "__main__":
    sys.exit(main())
