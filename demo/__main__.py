# SPDX-License-Identifier: Apache-2.0
"""A demo of tinyfleet in about two minutes. Everything in it is real, and every line is read from the running system.

It has signed commits in a Git repository, the daemon, mosquitto with TLS, twelve device agents in C, and one more on an
emulated Cortex-M4 at the end of a 2400-baud line. Exits with 0 only if every scene was observed.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from demo.demo_fleet import BAUD, DEVICES, ON_BROKER, PRESS, DemoFleet
from demo.narrator import Narrator
from demo.rollout_scenes import initial_state
from demo.scene_context import SceneContext
from demo.stories import DEFAULT_STORY, STORIES, Story
from demo.world import NotObservedError, World


def set_up(fleet: DemoFleet, narrator: Narrator) -> SceneContext:
    """Create everything and start it."""
    narrator.heading("Set-up: keys, certificates, a fleet repository, devices")
    fleet.make_keys()
    narrator.observe("created an offline root key, a delegated gateway key and certificates; mosquitto runs with TLS")
    fleet.make_repository()
    with narrator.bar("tinyfleet provision", len(DEVICES)) as advance:
        fleet.provision(advance)
    narrator.observe(f"provisioned {len(DEVICES)} devices: {len(ON_BROKER)} virtual devices behind the broker,")
    narrator.observe(f"and {PRESS}, an emulated Cortex-M4 on a {BAUD}-baud line")
    context = SceneContext(fleet, narrator, fleet.start())
    context.commit("Create the fleet, with a rollout of the pre-baked model", {})
    initial_state(context)
    return context


def play(story: Story, fleet: DemoFleet, narrator: Narrator) -> SceneContext:
    """Play all scenes of a story."""
    context = set_up(fleet, narrator)
    for number, scene in enumerate(story.scenes, start=1):
        narrator.heading(f"{number}/{len(story.scenes)} {(scene.__doc__ or '').splitlines()[0]}")
        scene(context)
    return context


def keep(context: SceneContext) -> None:
    """Leave everything running, and show what to try."""
    config = context.world.folder / "gateway.toml"
    context.narrator.heading("The demo keeps running. In another terminal:")
    for line in (
        f"cd {context.world.work}",
        "edit rollouts/fleet.yaml (another version, other waves), or a parameter in models/",
        "git commit -am 'My change'; git push        (the clone signs commits)",
        f"tinyfleet status --watch --config {config}",
        f"tinyfleet rollout show fleet --watch --config {config}",
        f"tinyfleet explain mill-01 --config {config}",
        "git fetch; git show origin/status/bench:README.md",
        "Press Ctrl-C here to stop everything.",
    ):
        context.narrator.line(f"  {line}")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def story_named(name: str) -> Story:
    """Find a story for the command line."""
    if name not in STORIES:
        known = "\n".join(f"  {each.name:10} {each.summary}" for each in STORIES.values())
        raise argparse.ArgumentTypeError(f"no story named {name!r}; the stories are:\n{known}")
    return STORIES[name]


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="stories:\n" + "\n".join(f"  {each.name:10} {each.summary}" for each in STORIES.values()),
    )
    parser.add_argument("story", nargs="?", type=story_named, default=DEFAULT_STORY, help="default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="keep everything running at the end, until Ctrl-C")
    arguments = parser.parse_args()
    story: Story = arguments.story
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))  # so that `finally` stops everything
    narrator = Narrator()
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder, World(Path(folder)) as world:
        fleet = DemoFleet(world)
        try:
            context = play(story, fleet, narrator)
            if arguments.keep:
                keep(context)
        except NotObservedError as missed:
            sys.exit(f"demo: {missed}")
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # a second signal now would leave processes behind
            fleet.stop()
    narrator.line(f"scenes={len(story.scenes)}/{len(story.scenes)}")


if __name__ == "__main__":
    main()
