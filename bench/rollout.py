# SPDX-License-Identifier: Apache-2.0
"""All that rollouts are measured by; the bars come last.

`python -m bench.rollout`. Each part says more when it is run by itself.
"""

from __future__ import annotations

import re
import subprocess
import sys

PARTS = ("bench.rollout_failures", "bench.rollout_pr", "bench.rollout_stop")
BARS = ("plan_10k_pr_s", "failed_beyond_budget", "time_to_stop_s")


def main() -> None:
    """Run the parts one after another, as each would be alone, and gather what they found."""
    found: dict[str, str] = {}
    for part in PARTS:
        with subprocess.Popen([sys.executable, "-m", part], stdout=subprocess.PIPE, text=True) as running:
            for line in running.stdout or ():
                sys.stdout.write(line)
                sys.stdout.flush()
                found |= dict(re.findall(r"^(\w+)=(.*)$", line))
        if running.returncode != 0:
            raise SystemExit(f"not so: {part} ended with {running.returncode}")
    for bar in BARS:
        sys.stdout.write(f"{bar}={found[bar]}\n")


if __name__ == "__main__":
    main()
