# SPDX-License-Identifier: Apache-2.0
"""The time to stop: from the failed trial of the canary to the stopped rollout in the remote's status ref.

`python -m bench.rollout_stop [ROLLOUTS]` runs the real daemon with the shipped configuration, a broker with TLS, and
twenty virtual devices whose trials fail. The clock starts when the canary reports on its control socket that its trial
has failed, which is before the gateway learns of it. Of several rollouts, each of another version, the slowest counts.
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.fleet_site import LargeSite
from demo.site import model, rollout, tell
from demo.world import NotObservedError, World, threshold_model
from reconciler.report.rollout_file import read_rollout_file

DEVICES = 20
ROLLOUTS = 5
LOOK_S = 0.01
WITHIN_S = 60.0
WEIGHTS = [3, -5, 2] * 20
WAVES = [{"name": "canary", "count": 1, "soak": "1m"}, {"name": "half", "percent": 50}]
FILE = "rollouts/vibration.yaml"
SHIPPED = re.compile(r"\[status\]\ninterval = .*\n")  # the test site sets another one: remove it


def main() -> None:
    """Run all rollouts and print the slowest time."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends its processes too
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROLLOUTS
    with tempfile.TemporaryDirectory(prefix="stop-") as folder, World(Path(folder)) as world:
        large = LargeSite(world, DEVICES)
        with large.running():
            toml = world.folder / "gateway.toml"
            toml.write_text(SHIPPED.sub("", toml.read_text()))
            gateway = large.site.start_gateway()
            large.await_version("1.0.0", within_s=WITHIN_S)
            large.tell_devices("fault * golden=1")
            took = [stop_one(large, f"1.{number}.0", 900 + number) for number in range(1, count + 1)]
            gateway.stop()  # before its broker
    print(f"stops_s={' '.join(f'{each:.2f}' for each in took)}")
    print(f"time_to_stop_s={max(took):.2f}")


def stop_one(large: LargeSite, version: str, threshold: int) -> float:
    """Roll out a model that fails; return after how many seconds the status ref shows that the rollout has stopped."""
    world = large.world
    data = threshold_model(WEIGHTS, threshold)
    before = failures(large)
    world.commit(version, {"rollout.yaml": rollout(version, waves=WAVES), **model(version, data)})
    await_fact(f"a failed trial of {version}", lambda: failures(large) != before)
    began = time.monotonic()
    await_fact(f"the stop of {version}", lambda: has_stopped(world, version))
    took = time.monotonic() - began
    ordered = failures(large) ^ before
    if len(ordered) > 1 + 1:  # the line of the canary before, and its line now
        raise SystemExit(f"more devices than the canary tried {version}")
    return took


def failures(large: LargeSite) -> frozenset[tuple[str, str, str]]:
    """Return the devices that report a failed trial: name, highest order, error."""
    said = tell(large.world.folder / "control-0", "status *")
    found = re.findall(r"^(\S+) .* sequence=(\d+) .* error=(-\d+) ", said, re.MULTILINE)
    return frozenset((name, sequence, error) for name, sequence, error in found)


def has_stopped(world: World, version: str) -> bool:
    """Return whether the status ref in the remote shows the stop."""
    data = world.status_files().get(FILE)
    facts = read_rollout_file(data).facts if data is not None else None
    return facts is not None and facts.model == f"vibration@{version}" and bool(facts.report.stopped)


def await_fact(what: str, condition: Callable[[], bool]) -> None:
    """Wait, and poll often enough for a figure in hundredths of a second."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise NotObservedError(f"waited {WITHIN_S:.0f} s in vain for {what}")
        time.sleep(LOOK_S)  # neither devices nor the remote notify anyone of a change


if __name__ == "__main__":
    main()
