# SPDX-License-Identifier: Apache-2.0
"""Prints the branch coverage of each package and fails below the minimum. Reads the output of `coverage json`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

BARS = {"reconciler": 95.0, "signing": 100.0, "plan": 100.0}  # percent of branches
LONGEST_LIST = 15


def main(report: Path) -> int:
    """Print the table, the files with the most missing branches, and the figures that have a minimum."""
    files: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["files"]
    branches: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for name, file in files.items():
        for package in _packages(name):
            branches[package] += file["summary"]["num_branches"]
            taken[package] += file["summary"]["covered_branches"]
    for package in sorted(branches):
        sys.stdout.write(f"{package:24} {taken[package]:5} of {branches[package]:5} branches\n")
    lacking = sorted(files, key=lambda name: -files[name]["summary"]["missing_branches"])
    for name in lacking[:LONGEST_LIST]:
        if files[name]["summary"]["missing_branches"]:
            sys.stdout.write(f"{name:44} lacks {files[name]['missing_branches']}\n")
    reached = {
        "reconciler": _percent(taken, branches, "reconciler"),
        "signing": _percent(taken, branches, "signing"),
        "plan": _percent(taken, branches, "reconciler/plan"),
    }
    for name, percent in reached.items():
        sys.stdout.write(f"branch_coverage_{name}={percent:.2f}\n")
    return int(any(reached[name] < bar for name, bar in BARS.items()))


def _packages(name: str) -> list[str]:
    """Return the top-level package of a file, and the package below it."""
    parts = Path(name).parts
    return [parts[0]] if len(parts) == 2 else [parts[0], "/".join(parts[:2])]  # noqa: PLR2004 - a file of the top level


def _percent(taken: Counter[str], branches: Counter[str], package: str) -> float:
    return 100.0 * taken[package] / branches[package] if branches[package] else 0.0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
