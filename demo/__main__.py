# SPDX-License-Identifier: Apache-2.0
"""The walking skeleton: a commit becomes a model that a device has confirmed, and the outcome is a commit again.

One device behind one gateway, everything real: signed commits in a Git repository, the daemon, the device agent in C
on a 2400-baud line, keys made for this run. Exits 0 only if each scene was observed.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

from demo.site import MODEL, SerialLine, Site, model, rollout
from demo.world import NotObservedError, World, threshold_model

DEVICE = "pump-1"
BAUD = 2400
NEXT = threshold_model([3, -4, 2] * 40, 800)


def say(text: str) -> None:
    """Tell what happens."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def story(world: World) -> None:
    """Tell it; every line is read from what runs."""
    site = Site(world, (DEVICE,), SerialLine(BAUD))
    say("keys: an offline root, a gateway key that it delegates to")
    say(f"device: {DEVICE} on a {BAUD}-baud line, provisioned with the pre-baked model {MODEL}@1.0.0")
    site.set_up()
    site.start_devices()
    first = world.commit("Begin with what the devices were made with", site.first_files())
    say(f"commit {first[:12]}: the fleet, and a rollout of {MODEL}@1.0.0")
    site.start_gateway()
    world.wait_for("1.0.0 in the status ref", lambda: site.are_ready("1.0.0"), within_s=60)
    say(f"status/bench: {DEVICE} runs {MODEL}@1.0.0 and is ready")
    second = world.commit("Roll out 1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", NEXT)})
    say(f"commit {second[:12]}: roll out {MODEL}@1.1.0")
    world.wait_for("1.1.0 in the status ref", lambda: site.are_ready("1.1.0"), within_s=90)
    say(f"status/bench: the device has received, checked, tried and confirmed {MODEL}@1.1.0\n")
    say(world.status_file("README.md") or "")


def main() -> None:
    """Run the demo."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    with tempfile.TemporaryDirectory(prefix="tinyfleet-demo-") as folder, World(Path(folder)) as world:
        try:
            story(world)
        except NotObservedError as missed:
            sys.exit(f"demo: {missed}")
    say("scenes=2/2")


if __name__ == "__main__":
    main()
