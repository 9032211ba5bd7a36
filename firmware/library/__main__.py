# SPDX-License-Identifier: Apache-2.0
"""`make library`: write the source library and its archives to firmware/build/library."""

from __future__ import annotations

import argparse
from pathlib import Path

from firmware.library.archives import write
from firmware.library.contents import FIRMWARE
from firmware.tools.fetch_third_party import fetch


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=FIRMWARE / "build" / "library")
    third_party = FIRMWARE / "build" / "third_party"
    fetch(third_party)
    for path in write(parser.parse_args().into, third_party):
        print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
