# SPDX-License-Identifier: Apache-2.0
"""From `git push` to every device confirmed and the status commit in place, over a real mosquitto with TLS.

Virtual devices run the real agent in C, the daemon is the one that a gateway runs, and the broker checks certificates
and access rights as `tinyfleet pki broker-config` configures them. Figures: seconds, the daemon's peak memory and its
processor share when idle, and status commits while nothing happens. Figures without a size in their name are for 1,000
devices.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.fleet_site import LargeSite, idle_percent, peak_mib
from demo.site import model, rollout
from demo.world import World, threshold_model

NEXT = threshold_model([3, -4, 2] * 40, 800)
IDLE_S = 30
USUAL = 1000


def main() -> None:
    """Measure fleets of the sizes given."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all started processes end
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("sizes", type=int, nargs="*", default=[USUAL])
    for size in arguments.parse_args().sizes:
        with tempfile.TemporaryDirectory(prefix="fleet-") as folder, World(Path(folder)) as world:
            measure(LargeSite(world, size))


def measure(large: LargeSite) -> None:
    """Update a fleet from one model to the next."""
    size = large.size
    with large.running():
        show(f"{size} devices provisioned")
        gateway = large.site.start_gateway()
        large.await_version("1.0.0", within_s=60 + size / 10)
        show("all run their pre-baked model")
        load, started = os.getloadavg()[0], time.monotonic()
        large.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", NEXT)})
        large.await_version("1.1.0", within_s=60 + size / 5)
        took_s, commits = time.monotonic() - started, large.status_commits()
        idle = idle_percent(gateway, IDLE_S)
        of_size = "" if size == USUAL else f"_{size}"
        sys.stdout.write(
            f"load_before_{size}={load:.1f}\n"
            f"fleet_{size}_s={took_s:.1f}\n"
            f"daemon_rss_mib{of_size}={peak_mib(gateway):.0f}\n"
            f"idle_cpu_percent{of_size}={idle:.1f}\n"
            f"status_commits_when_idle{of_size}={large.status_commits() - commits}\n"
        )
        sys.stdout.flush()


def show(text: str) -> None:
    """Show progress."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
