# SPDX-License-Identifier: Apache-2.0
"""From `git push` to every device confirmed and the status commit in place, over a real mosquitto with TLS.

Virtual devices run the real agent in C, the daemon is the one that a gateway runs, and the broker checks certificates
and access rights as `tinyfleet pki broker-config` configures them. Figures: how fast the machine is, the seconds of an
update, the daemon's peak memory and its processor time, at work and when idle, how soon a restarted daemon has planned,
and status commits at rest. Figures without a size in their name are for 1,000 devices. Idle is measured over whole
intervals of `reportEvery`, in each of which every device is asked once.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench import mqtt_round_trip
from bench.fleet_site import LargeSite, await_rest, cpu_s, idle_percent, peak_mib
from bench.machine import machine_figures
from demo.site import model, rollout
from demo.world import World, threshold_model

NEXT = threshold_model([3, -4, 2] * 40, 800)
REPORT_EVERY_S = 300  # the default of a fleet
USUAL = 1000
AFTER_RESTART_S = 10


def main() -> None:
    """Measure fleets of the sizes given."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all started processes end
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("sizes", type=int, nargs="*", default=[USUAL])
    arguments.add_argument(
        "--idle-intervals", type=float, default=2.0, help="how many intervals of reportEvery to measure idle (2)"
    )
    given = arguments.parse_args()
    show_figures(machine_figures())
    for size in given.sizes:
        with tempfile.TemporaryDirectory(prefix="fleet-") as folder, World(Path(folder)) as world:
            measure(LargeSite(world, size), given.idle_intervals * REPORT_EVERY_S)
    show_figures({"mqtt_round_trip_ms_p50": f"{statistics.median(mqtt_round_trip.measured_ms()):.2f}"})


def measure(large: LargeSite, idle_s: float) -> None:
    """Update a fleet from one model to the next, leave it alone, and restart its daemon."""
    size = large.size
    with large.running():
        show(f"{size} devices provisioned")
        gateway = large.site.start_gateway()
        large.await_version("1.0.0", within_s=60 + size / 10)
        show("all run their pre-baked model")
        await_rest(gateway)
        load, used_s, started = os.getloadavg()[0], cpu_s(gateway), time.monotonic()
        large.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", NEXT)})
        large.await_version("1.1.0", within_s=60 + size / 5)
        took_s, used_s, commits = time.monotonic() - started, cpu_s(gateway) - used_s, large.status_commits()
        show(f"all run the next model after {took_s:.1f} s; now idle for {idle_s:.0f} s")
        idle = idle_percent(gateway, idle_s)
        idle_commits = large.status_commits() - commits
        memory = peak_mib(gateway)
        planned_s, questions = large.restart_daemon(AFTER_RESTART_S)
        of_size = "" if size == USUAL else f"_{size}"
        show_figures(
            {
                f"load_before_{size}": f"{load:.1f}",
                f"fleet_{size}_s": f"{took_s:.1f}",
                f"daemon_cpu_ms_per_device{of_size}": f"{1e3 * used_s / size:.1f}",
                f"daemon_rss_mib{of_size}": f"{memory:.0f}",
                f"idle_cpu_percent{of_size}": f"{idle:.1f}",
                f"status_commits_when_idle{of_size}": f"{idle_commits}",
                f"restart_{size}_s": f"{planned_s:.1f}",
                f"restart_questions_in_{AFTER_RESTART_S}_s{of_size}": f"{questions}",
            }
        )


def show_figures(figures: Mapping[str, str]) -> None:
    """Print figures, one a line."""
    sys.stdout.writelines(f"{name}={figure}\n" for name, figure in figures.items())
    sys.stdout.flush()


def show(text: str) -> None:
    """Show progress."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
