# SPDX-License-Identifier: Apache-2.0
"""The stories of the demo: `make demo STORY=<name>`. A story is a list of scenes, played in order on one fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from demo import failure_scenes, rollout_scenes
from demo.scene_context import SceneContext

Scene = Callable[[SceneContext], None]


@dataclass(frozen=True)
class Story:
    """A list of scenes with a name. The first line of a scene's docstring is its heading."""

    name: str
    summary: str
    scenes: tuple[Scene, ...]


DEFAULT_STORY = "rollout"
STORIES = {
    story.name: story
    for story in (
        Story(
            "rollout",
            "a rollout, a bad model, a power cut, an unsigned commit, a device without updates",
            (
                rollout_scenes.rollout_in_waves,
                rollout_scenes.bad_model_rolled_back,
                failure_scenes.power_cut_during_transfer,
                failure_scenes.unsigned_commit,
                rollout_scenes.device_without_updates,
                rollout_scenes.status_branch,
            ),
        ),
    )
}
