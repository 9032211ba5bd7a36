# SPDX-License-Identifier: Apache-2.0
"""Rollouts that go wrong, thousands of them, over gateways that know only each other's past: is a budget ever exceeded?

`python -m bench.rollout_failures [ROLLOUTS]`. Devices fail their trial or a gate, die on the way, or were dead before;
gateways are cut off, and in one rollout of ten one of them lies. Beyond the budget is a failure above the one that
stops the rollout. Beside that, once, fifty gateways with two hundred devices each.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from reconciler.model import FailureBudget, Wave
from tests.plan.fabric import Fabric, Setting
from tests.plan.example_fleet import EVERYWHERE

ROLLOUTS = 2000
FAULTS = (0.05, 0.15, 0.4)
LARGE = Setting(
    gateways=50,
    devices=200,
    faults=0.02,
    rollout=replace(
        EVERYWHERE,
        waves=(Wave("canary", count=50, soak_s=120), Wave("tenth", percent=10, soak_s=60), Wave("half", percent=50)),
        budget=FailureBudget(percent=10),
    ),
)
LARGE_TICKS = 150


def setting_of(seed: int) -> Setting:
    """Choose how large a rollout is and how much goes wrong."""
    liars = 1 if seed % 10 == 0 else 0
    return Setting(gateways=2 + seed % 4, devices=2 + seed % 7, faults=FAULTS[seed % 3], liars=liars)


def play(seed: int) -> tuple[str, int]:
    """Play one rollout; say how it ended, and how many failed beyond its budget."""
    fabric = Fabric(seed, setting_of(seed))
    ended = fabric.run()
    stopped = any(memory.stopped for site in fabric.sites for memory in site.memory.values())
    faulty = bool(fabric.failed)
    if not ended:
        return "deadlock", fabric.failed_beyond
    return ("stopped" if stopped else "in spite of failures" if faulty else "nobody failed"), fabric.failed_beyond


def play_large() -> tuple[float, int, float, float]:
    """Play the large one; return the share that is done, failures beyond, simulated minutes, seconds a pass."""
    fabric = Fabric(7, LARGE)
    begin, ticks = time.perf_counter(), 0
    good = [name for name, fate in fabric.fates.items() if fate.value == "good"]
    while ticks < LARGE_TICKS and not all(site.memory for site in fabric.sites):
        fabric.tick()
        ticks += 1
    took = (time.perf_counter() - begin) / max(1, ticks) / len(fabric.sites)
    done = sum(fabric.done(name) for name in good) / len(good)
    return done, fabric.failed_beyond, ticks, took


def main() -> None:
    """Play all and print what came of them."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else ROLLOUTS
    ends: Counter[str] = Counter()
    beyond = played = 0
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        large = pool.submit(play_large)  # one process is at it all the time; the others play the small ones
        for end, failed_beyond in pool.map(play, range(10 * wanted), chunksize=20):
            ends[end] += 1
            beyond += failed_beyond
            played += end in {"stopped", "in spite of failures", "deadlock"}
            if played >= wanted:
                break
        pool.shutdown(wait=False, cancel_futures=True)
        done, large_beyond, minutes, pass_s = large.result()
    print(", ".join(f"{number} {end}" for end, number in sorted(ends.items())))
    print(f"50 gateways of 200 devices: {done:.1%} of the good devices done after {minutes} simulated minutes")
    print(f"faulty_rollouts={played}")
    print(f"deadlocks={ends['deadlock']}")
    print(f"failed_beyond_budget={beyond + large_beyond}")
    print(f"large_pass_ms={pass_s * 1000:.1f}")


if __name__ == "__main__":
    main()
