# SPDX-License-Identifier: Apache-2.0
"""Thousands of rollouts that go wrong, across gateways: is a failure budget ever exceeded?

`python -m bench.rollout_failures [ROLLOUTS]`. Devices fail their trial or a gate, die during the transfer, or were
dead before. Gateways are offline at times, and in one rollout of ten one of them is dishonest. A failure is beyond
the budget if it comes after the one that stops the rollout. One further rollout has fifty gateways with two hundred
devices each.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from reconciler.model import FailureBudget, Wave
from tests.plan.example_fleet import EVERYWHERE
from tests.plan.gateway_simulation import GatewaySimulation, SimulationSettings

ROLLOUTS = 2000
FAULTS = (0.05, 0.15, 0.4)
LARGE = SimulationSettings(
    gateways=50,
    devices=200,
    faults=0.02,
    rollout=replace(
        EVERYWHERE,
        waves=(Wave("canary", count=50, soak_s=120), Wave("tenth", percent=10, soak_s=60), Wave("half", percent=50)),
        failure_budget=FailureBudget(percent=10),
    ),
)
LARGE_TICKS = 150


def setting_of(seed: int) -> SimulationSettings:
    """Choose how large a rollout is and how much goes wrong."""
    dishonest = 1 if seed % 10 == 0 else 0
    return SimulationSettings(gateways=2 + seed % 4, devices=2 + seed % 7, faults=FAULTS[seed % 3], dishonest=dishonest)


def run(seed: int) -> tuple[str, int]:
    """Run one rollout; return its outcome, and the number of devices that failed beyond its budget."""
    simulation = GatewaySimulation(seed, setting_of(seed))
    ended = simulation.run()
    stopped = any(memory.stopped for gateway in simulation.gateways for memory in gateway.memory.values())
    if not ended:
        return "deadlock", simulation.failed_beyond
    return (
        "stopped" if stopped else "not stopped by failures" if simulation.failed else "without failures"
    ), simulation.failed_beyond


def run_large() -> tuple[float, int, float, float]:
    """Run the large rollout; return the share done, failures beyond the budget, simulated minutes, seconds per pass."""
    simulation = GatewaySimulation(7, LARGE)
    begin, ticks = time.perf_counter(), 0
    good = [name for name, fate in simulation.fates.items() if fate.value == "good"]
    while ticks < LARGE_TICKS and not all(gateway.memory for gateway in simulation.gateways):
        simulation.tick()
        ticks += 1
    took = (time.perf_counter() - begin) / max(1, ticks) / len(simulation.gateways)
    done = sum(simulation.done(name) for name in good) / len(good)
    return done, simulation.failed_beyond, ticks, took


def main() -> None:
    """Run all rollouts and print how they ended."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else ROLLOUTS
    ends: Counter[str] = Counter()
    beyond = faulty = 0
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        large = pool.submit(run_large)  # one process runs it all the time; the others run the small ones
        for end, failed_beyond in pool.map(run, range(10 * wanted), chunksize=20):
            ends[end] += 1
            beyond += failed_beyond
            faulty += end in {"stopped", "not stopped by failures", "deadlock"}
            if faulty >= wanted:
                break
        pool.shutdown(wait=False, cancel_futures=True)
        done, large_beyond, minutes, pass_s = large.result()
    print(", ".join(f"{number} {end}" for end, number in sorted(ends.items())))
    print(f"50 gateways of 200 devices: {done:.1%} of the good devices done after {minutes} simulated minutes")
    print(f"faulty_rollouts={faulty}")
    print(f"deadlocks={ends['deadlock']}")
    print(f"failed_beyond_budget={beyond + large_beyond}")
    print(f"large_pass_ms={pass_s * 1000:.1f}")


if __name__ == "__main__":
    main()
