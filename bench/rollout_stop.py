# SPDX-License-Identifier: Apache-2.0
"""How long a bad model lives: from the canary's failed trial to the stopped rollout in the remote's status ref.

`python -m bench.rollout_stop [ROLLOUTS]`. The real daemon, a broker with TLS, twenty virtual devices whose trials fail,
and the configuration as it is shipped. The clock starts when the canary itself says, on its control socket, that its
trial has failed: before the gateway hears of it. The slowest of some rollouts counts, each of another version.
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
from demo.site import model, rollout, send_command
from demo.world import NotObservedError, World, threshold_model
from reconciler.report.rollout_file import read_rollout_file

DEVICES = 20
ROLLOUTS = 5
LOOK_S = 0.01
WITHIN_S = 60.0
WEIGHTS = [3, -5, 2] * 20
WAVES = [{"name": "canary", "count": 1, "soak": "1m"}, {"name": "half", "percent": 50}]
FILE = "rollouts/vibration.yaml"
SHIPPED = re.compile(r"\[status\]\ninterval = .*\n")  # a site for tests says another one: drop it


def main() -> None:
    """Run all and print the bar."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
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
            gateway.stop()  # before the broker that it talks to
    print(f"stops_s={' '.join(f'{each:.2f}' for each in took)}")
    print(f"time_to_stop_s={max(took):.2f}")


def stop_one(large: LargeSite, version: str, threshold: int) -> float:
    """Roll a model out that fails; return after how long the status ref said that its rollout has stopped."""
    world = large.world
    data = threshold_model(WEIGHTS, threshold)
    before = failures(large)
    world.commit(version, {"rollout.yaml": rollout(version, waves=WAVES), **model(version, data)})
    await_fact(f"a failed trial of {version}", lambda: failures(large) != before)
    began = time.monotonic()
    await_fact(f"the stop of {version}", lambda: has_stopped(world, version))
    took = time.monotonic() - began
    ordered = failures(large) ^ before
    if len(ordered) > 1 + 1:  # the canary's line of before, and its line now
        raise SystemExit(f"not so: {version} was tried by more than its canary")
    return took


def failures(large: LargeSite) -> frozenset[tuple[str, str, str]]:
    """Return which devices say that a trial failed: name, highest order, error."""
    said = send_command(large.world.folder / "control-0", "status *")
    found = re.findall(r"^(\S+) .* sequence=(\d+) .* error=(-\d+) ", said, re.MULTILINE)
    return frozenset((name, sequence, error) for name, sequence, error in found)


def has_stopped(world: World, version: str) -> bool:
    """Look at the remote, where everybody would look."""
    data = world.status_files().get(FILE)
    facts = read_rollout_file(data).facts if data is not None else None
    return facts is not None and facts.model == f"vibration@{version}" and bool(facts.report.stopped)


def await_fact(what: str, condition: Callable[[], bool]) -> None:
    """Wait, looking often enough for a figure in hundredths."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise NotObservedError(f"waited {WITHIN_S:.0f} s in vain for {what}")
        time.sleep(LOOK_S)  # neither the devices nor a remote tell anybody when something changes


if __name__ == "__main__":
    main()
