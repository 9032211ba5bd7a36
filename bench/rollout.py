# SPDX-License-Identifier: Apache-2.0
"""All benches of rollouts; the figures that have a limit come last.

`python -m bench.rollout`. Each part prints more when it runs on its own.
"""

from __future__ import annotations

import re
import subprocess
import sys

PARTS = ("bench.rollout_failures", "bench.rollout_pr", "bench.rollout_stop")
LIMITED = ("plan_10k_pr_cpu_s", "plan_100k_pr_s", "failed_beyond_budget", "time_to_stop_s")


def main() -> None:
    """Run the parts one after another, each in its own process, and collect their figures."""
    found: dict[str, str] = {}
    for part in PARTS:
        with subprocess.Popen([sys.executable, "-m", part], stdout=subprocess.PIPE, text=True) as running:
            for line in running.stdout or ():
                sys.stdout.write(line)
                sys.stdout.flush()
                found |= dict(re.findall(r"^(\w+)=(.*)$", line))
        if running.returncode != 0:
            raise SystemExit(f"{part} ended with status {running.returncode}")
    for name in LIMITED:
        sys.stdout.write(f"{name}={found[name]}\n")


if __name__ == "__main__":
    main()
