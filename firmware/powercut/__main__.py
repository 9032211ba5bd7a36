# SPDX-License-Identifier: Apache-2.0
"""`make powercut`: run the whole campaign and hunt all seeded bugs, with one process per core."""

from __future__ import annotations

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from firmware.powercut.campaign import Campaign, Tally, all_runs
from firmware.powercut.driver import FIRMWARE, locked, read_bugs

# Scripts stay here, so that a problem can be reproduced.
FOLDER: Final = FIRMWARE / "build" / "powercut"


def main() -> int:
    """Print the problems, and the figures on the last line."""
    begun = time.monotonic()
    with locked(FOLDER / "turn"):
        shutil.rmtree(FOLDER / "scripts", ignore_errors=True)
        tally, found, seeded = _run(FOLDER)
    seconds = time.monotonic() - begun
    print(
        f"cuts={tally.cuts} torn={tally.torn} recoveries={tally.recoveries} learn_cuts={tally.learn_cuts} "
        f"bricks={tally.bricks} "
        f"resent_blocks_max={tally.resent_blocks_max} seeded_found={found}/{seeded} seconds={seconds:.0f}"
    )
    return 0 if tally.bricks == 0 and tally.resent_blocks_max <= 1 and found == seeded else 1


def _run(folder: Path) -> tuple[Tally, int, int]:
    campaign = Campaign(folder)
    bugs = read_bugs(link=False)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        played = [pool.submit(campaign.play, run) for run in all_runs()]
        hunted = [pool.submit(campaign.hunt, bug) for bug in bugs]
        tally = sum((future.result() for future in played), Tally())
        shown = [future.result() for future in hunted]
    for problem in tally.problems:
        print(f"BRICK {problem}")
    for bug, how in zip(bugs, shown, strict=True):
        print(f"{bug.name}: {how or 'NOT FOUND'}")
    return tally, sum(how is not None for how in shown), len(bugs)


if __name__ == "__main__":
    sys.exit(main())
