# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "plan.py"


def test_the_bench_runs_and_checks_its_plans() -> None:
    """It checks the plans that it times, and fails if they are not the expected ones."""
    done = subprocess.run([sys.executable, str(BENCH), "300"], check=True, capture_output=True, text=True)
    measured = dict(line.split("=") for line in done.stdout.split())
    assert {"cold_ms", "unchanged_ms", "device_ms", "rollout_ms", "rss_mib"} <= measured.keys()
    assert all(float(value) > 0 for value in measured.values())
