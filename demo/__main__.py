# SPDX-License-Identifier: Apache-2.0
"""A story of some two minutes: what is merged is what runs. Everything in it is real, and read from what runs.

Signed commits in a Git repository, the daemon, mosquitto with TLS, the device agent in C a dozen times, and once more
on an emulated Cortex-M4 at the end of a 2400-baud line. Exits 0 only if each scene was observed.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from demo import scenes, troubles
from demo.plant import BAUD, DEVICES, ON_BROKER, PRESS, Plant
from demo.stage import Stage
from demo.telling import Teller
from demo.world import NotObservedError, World

SCENES = (
    scenes.rollout_wave_by_wave,
    scenes.bad_model_taken_back,
    troubles.power_cut_in_mid_transfer,
    troubles.unsigned_commit,
    scenes.sealed_device,
    scenes.status_branch,
)


def set_up(plant: Plant, teller: Teller) -> Stage:
    """Make everything and start it."""
    teller.scene("Before: keys, certificates, a fleet repository, devices")
    plant.make_keys()
    teller.fact("an offline root key, a gateway key that it delegates to, certificates for all, mosquitto with TLS")
    plant.make_repository()
    with teller.bar("tinyfleet provision", len(DEVICES)) as advance:
        plant.provision(advance)
    teller.fact(f"{len(DEVICES)} devices made: {len(ON_BROKER)} virtual ones behind the broker,")
    teller.fact(f"and {PRESS}, an emulated Cortex-M4 on a line of {BAUD} baud")
    stage = Stage(plant, teller, plant.start())
    stage.commit("The fleet, and a rollout of what its devices were made with", {})
    scenes.beginning(stage)
    return stage


def play(plant: Plant, teller: Teller) -> Stage:
    """Play all scenes."""
    stage = set_up(plant, teller)
    for number, scene in enumerate(SCENES, start=1):
        teller.scene(f"{number}/{len(SCENES)} {(scene.__doc__ or '').splitlines()[0]}")
        scene(stage)
    return stage


def keep(stage: Stage) -> None:
    """Say how to play, and leave it running until it is ended."""
    config = stage.world.folder / "gateway.toml"
    stage.teller.scene("It goes on running. In another terminal:")
    for line in (
        f"cd {stage.world.work}",
        "edit rollouts/fleet.yaml (another version, other waves), or a parameter in models/",
        "git commit -am 'What I want'; git push        (commits are signed: the clone is set up for it)",
        f"tinyfleet status --watch --config {config}",
        f"tinyfleet rollout show fleet --watch --config {config}",
        f"tinyfleet explain mill-01 --config {config}",
        "git fetch; git show origin/status/bench:README.md",
        "Ctrl-C here ends it all.",
    ):
        stage.teller.last(f"  {line}")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def main() -> None:
    """Run the demo."""
    arguments = argparse.ArgumentParser(prog="python -m demo", description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--keep", action="store_true", help="leave it running at the end, until Ctrl-C")
    chosen = arguments.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda asked, _frame: sys.exit(128 + asked))  # so that what was started is ended
    teller = Teller()
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder, World(Path(folder)) as world:
        plant = Plant(world)
        try:
            stage = play(plant, teller)
            if chosen.keep:
                keep(stage)
        except NotObservedError as missed:
            sys.exit(f"demo: {missed}")
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # who is in a hurry now would leave processes behind
            plant.stop()
    teller.last(f"scenes={len(SCENES)}/{len(SCENES)}")


if __name__ == "__main__":
    main()
