# SPDX-License-Identifier: Apache-2.0
"""`make attack`: attack the core on every kind of flash, and hunt all bugs of the link, with one process per core."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from firmware.attack.campaign import Attacks, Seeds, Tally
from firmware.powercut.driver import FIRMWARE, locked, read_bugs
from firmware.powercut.scripts import FLASHES

FOLDER: Final = FIRMWARE / "build" / "attack"
PORTIONS: Final = 8
SEEDS: Final = 500  # of a portion


def main() -> int:
    """Print the breaches, and the figures on the last line."""
    begun = time.monotonic()
    bugs = read_bugs(link=True)
    with locked(FOLDER / "turn"):
        attacks = Attacks(FOLDER)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            portions = [Seeds(1 + SEEDS * portion, SEEDS) for portion in range(PORTIONS)]
            played = [pool.submit(attacks.play, flash, seeds) for flash in FLASHES for seeds in portions]
            hunted = [pool.submit(attacks.hunt, bug) for bug in bugs]
            tally = sum((future.result() for future in played), Tally())
            shown = [future.result() for future in hunted]
    for problem in tally.problems:
        print(f"BREACH {problem}")
    for bug, how in zip(bugs, shown, strict=True):
        print(f"{bug.name}: {how or 'NOT FOUND'}")
    found = sum(how is not None for how in shown)
    print(
        f"messages={tally.messages} accepted={tally.accepted} cuts={tally.cuts} breaches={tally.breaches} "
        f"seeded_found={found}/{len(bugs)} seconds={time.monotonic() - begun:.0f}"
    )
    return 0 if tally.breaches == 0 and found == len(bugs) else 1


if __name__ == "__main__":
    sys.exit(main())
