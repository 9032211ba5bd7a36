# SPDX-License-Identifier: Apache-2.0
"""All devices of a fleet lose their power at once, in the midst of an update, again and again.

usage: python -m bench.fleet_soak [DEVICES] [--rounds N]. Each round ends when Git's status says that all run what was
merged in it. Figures: the slowest round, and what the daemon's memory grew by from the first round to the last.
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
            version, began = f"1.{number}.0", time.monotonic()
            weights = threshold_model([3, -4, number] * 40, 800)
            large.world.commit(version, {"rollout.yaml": rollout(version), **model(version, weights)})
            some = large.size * number // (rounds + 1)  # another moment in each round
            large.world.wait_for("a part of it", partial(updated, large, some), within_s=within_s)
            large.tell_devices("restart *")
            large.await_version(version, within_s)
            took_s.append(time.monotonic() - began)
            memory_mib.append(peak_mib(gateway))
            sys.stderr.write(f"{version}: {took_s[-1]:.1f} s\n")
    sys.stdout.write(
        f"soak_rounds={rounds}\nsoak_slowest_s={max(took_s):.1f}\n"
        f"soak_rss_growth_mib={memory_mib[-1] - memory_mib[0]:.0f}\n"
    )


def updated(large: LargeSite, least: int) -> bool:
    """Tell whether so many updates were confirmed since the last commit was fetched."""
    said = (large.world.folder / "gateway.log").read_text(errors="replace")
    return said[said.rindex("was fetched and is allowed") :].count(": Confirmed") >= least


if __name__ == "__main__":
    main()
