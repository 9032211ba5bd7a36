# SPDX-License-Identifier: Apache-2.0
"""From `git push` to every device confirmed and the status commit in place, over a real mosquitto with TLS.

Virtual devices run the real agent in C; the daemon is the one that a gateway runs; the broker checks certificates and
rights as `tinyfleet pki broker-config` writes them. Figures: seconds, the daemon's peak memory and its idle share of
a processor, and status commits while nothing happens. Those without a size in their name are of 1,000 devices.
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("sizes", type=int, nargs="*", default=[USUAL])
    for size in arguments.parse_args().sizes:
        with tempfile.TemporaryDirectory(prefix="fleet-") as folder, World(Path(folder)) as world:
            measure(LargeSite(world, size))


def measure(large: LargeSite) -> None:
    """Bring a fleet from one model to the next."""
    size = large.size
    with large.running():
        tell(f"{size} devices provisioned")
        gateway = large.site.start_gateway()
        large.await_version("1.0.0", within_s=60 + size / 10)
        tell("all run what they were made with")
        load, began = os.getloadavg()[0], time.monotonic()
        large.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", NEXT)})
        large.await_version("1.1.0", within_s=60 + size / 5)
        took_s, commits = time.monotonic() - began, large.status_commits()
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


def tell(text: str) -> None:
    """Say how far it is."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
