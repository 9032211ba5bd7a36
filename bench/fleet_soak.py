# SPDX-License-Identifier: Apache-2.0
"""All devices of a fleet lose power at once in the middle of an update, repeatedly.

usage: python -m bench.fleet_soak [DEVICES] [--rounds N]. Each round ends when the status in Git shows that all devices
run the merged version. Figures: the slowest round, and the growth of the daemon's memory from the first to the last.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.fleet_site import LargeSite, peak_mib
from demo.site import model, rollout
from demo.world import World, threshold_model


def main() -> None:
    """Soak a fleet of the size given."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("devices", type=int, nargs="?", default=1000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder, World(Path(folder)) as world:
        soak(LargeSite(world, given.devices), given.rounds)


def soak(large: LargeSite, rounds: int) -> None:
    """Run the rounds."""
    within_s = 120 + large.size / 5
    with large.running():
        gateway = large.site.start_gateway()
        large.await_version("1.0.0", within_s)
        took_s, memory_mib = [], []
        for number in range(1, rounds + 1):
            version, started = f"1.{number}.0", time.monotonic()
            weights = threshold_model([3, -4, number] * 40, 800)
            large.world.commit(version, {"rollout.yaml": rollout(version), **model(version, weights)})
            some = large.size * number // (rounds + 1)  # at another point in each round
            large.world.wait_for("some updates", partial(updated, large, some), within_s=within_s)
            large.tell_devices("restart *")
            large.await_version(version, within_s)
            took_s.append(time.monotonic() - started)
            memory_mib.append(peak_mib(gateway))
            sys.stderr.write(f"{version}: {took_s[-1]:.1f} s\n")
    sys.stdout.write(
        f"soak_rounds={rounds}\nsoak_slowest_s={max(took_s):.1f}\n"
        f"soak_rss_growth_mib={memory_mib[-1] - memory_mib[0]:.0f}\n"
    )


def updated(large: LargeSite, minimum: int) -> bool:
    """Return whether at least this many updates were confirmed since the last commit was fetched."""
    log = (large.world.folder / "gateway.log").read_text(errors="replace")
    return log[log.rindex("was fetched and is allowed") :].count(": Confirmed") >= minimum


if __name__ == "__main__":
    main()
