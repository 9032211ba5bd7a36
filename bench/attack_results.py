# SPDX-License-Identifier: Apache-2.0
"""How many forged results a gateway obeys: a man in the middle answers the orders to each device in a way of its own.

The real daemon, a serial line on a socket, and virtual devices. Each device is under one attack until two of its orders
were answered. Then the man in the middle gives up, and all devices must converge. A gateway obeys when it quarantines a
pack, counts a device as done that does not run the pack, or stops the rollout.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from demo.site import MODEL, SerialLine, Site, model, rollout
from demo.world import World, threshold_model
from reconciler.devices.messages import DONE, Offer, Stage
from reconciler.report.rollout_file import read_rollout_file
from tests.devices.man_in_the_middle import Attack, answering
from tests.system.attacked_line import AttackedLine

BAUD = 115_200
WITHIN_S = 120.0
TRIES = 2
VERSION, DATA = "1.1.0", threshold_model([3, -4, 2] * 40, 800)
REFUSALS = (-16, -24, -74, -85, -87)
ATTACKS: Mapping[str, Attack] = {
    f"{kind.__name__.lower()}-{'refused' if code < 0 else 'feigned'}-{abs(code)}": answering(kind, code, withheld=True)
    for kind in (Offer, Stage)
    for code in (*REFUSALS, DONE)
}


def forged_results_obeyed() -> int:
    """Play all attacks; return how many results the gateway obeyed."""
    with tempfile.TemporaryDirectory(prefix="forged") as folder, World(Path(folder)) as world:
        site = Site(world, tuple(ATTACKS), SerialLine(BAUD))
        site.set_up()
        with AttackedLine.of(site, ATTACKS) as line:
            return _play(site, line)


def _play(site: Site, line: AttackedLine) -> int:
    world = site.world
    site.start_devices("--infer-every", "0")
    world.commit("Begin", site.first_files())
    gateway = site.start_gateway()
    world.wait_for("1.0.0", lambda: site.are_ready("1.0.0"), within_s=WITHIN_S)
    world.commit(VERSION, {"rollout.yaml": rollout(VERSION), **model(VERSION, DATA)})
    world.wait_for("all attacks", lambda: _all_answered(line) or _obeyed(site), within_s=WITHIN_S)
    obeyed = _obeyed(site)
    line.give_up()
    if not obeyed:
        world.wait_for("all devices to converge", lambda: site.are_ready(VERSION), within_s=WITHIN_S)
    gateway.stop()
    return obeyed


def _all_answered(line: AttackedLine) -> bool:
    return all(line.forged[address] >= TRIES for address in range(1, len(ATTACKS) + 1))


def _obeyed(site: Site) -> int:
    statuses = [site.world.device_status(device) for device in ATTACKS]
    reasons = [condition["reason"] for status in statuses for condition in status.get("conditions", ())]
    data = site.world.status_files().get(f"rollouts/{MODEL}.yaml")
    stopped = data is not None and read_rollout_file(data).facts.report.stopped != ""
    return reasons.count("Quarantined") + sum(site.is_ready(device, VERSION) for device in ATTACKS) + stopped


if __name__ == "__main__":
    sys.stdout.write(f"forged_results_obeyed={forged_results_obeyed()}\n")
