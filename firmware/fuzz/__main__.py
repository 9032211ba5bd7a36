# SPDX-License-Identifier: Apache-2.0
"""`make fuzz SECONDS=…`: run every target for that many seconds."""

from __future__ import annotations

import argparse
import sys

from firmware.fuzz.targets import fuzz_all
from firmware.powercut.driver import FIRMWARE


def main() -> int:
    """Print crashes, and the executions of each target on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    outcomes = fuzz_all(FIRMWARE / "build" / "fuzz", parser.parse_args().seconds)
    crashes = [outcome for outcome in outcomes if outcome.crash is not None]
    for outcome in crashes:
        print(f"{outcome.target}: {outcome.crash}")
    print(" ".join(f"{outcome.target}={outcome.executions}" for outcome in outcomes), f"crashes={len(crashes)}")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
