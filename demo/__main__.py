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

from demo.narrator import Narrator
from demo.scene_context import StoryContext
from demo.stories import DEFAULT_STORY, STORIES, Story, StoryFleet
from demo.world import NotObservedError, World


def play(story: Story, fleet: StoryFleet, narrator: Narrator) -> StoryContext:
    """Play all scenes of a story."""
    narrator.heading("Set-up: keys, certificates, a fleet repository, devices")
    context = fleet.set_up(narrator)
    for number, scene in enumerate(story.scenes, start=1):
        narrator.heading(f"{number}/{len(story.scenes)} {(scene.__doc__ or '').splitlines()[0]}")
        scene(context)
    return context


def keep(story: Story, context: StoryContext) -> None:
    """Leave everything running, and show what to try."""
    config = context.world.folder / "gateway.toml"
    with contextlib.suppress(KeyboardInterrupt):
        context.narrator.heading("The demo keeps running. In another terminal:")
        for line in (
            f"cd {context.world.work}",
            "git commit -am 'My change'; git push        (the clone signs commits)",
            f"tinyfleet status --watch --config {config}",
            *(line.format(config=config) for line in story.to_try),
            "git fetch; git show origin/status/bench:README.md",
            "Press Ctrl-C here to stop everything.",
        ):
            context.narrator.line(f"  {line}")
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
        fleet = story.fleet(world)
        try:
            context = play(story, fleet, narrator)
            if arguments.keep:
                keep(story, context)
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
