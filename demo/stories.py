# SPDX-License-Identifier: Apache-2.0
"""The stories of the demo: `make demo STORY=<name>`. A story is a fleet, and scenes that are played on it in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from demo import contest_scenes, failure_scenes, operation_scenes, pipeline_scenes, rollout_scenes
from demo.contest_fleet import ContestFleet
from demo.narrator import Narrator
from demo.operation_fleet import OperationFleet
from demo.pipeline_fleet import PipelineFleet
from demo.rollout_fleet import RolloutFleet
from demo.scene_context import StoryContext
from demo.world import World

Scene = Callable[[Any], None]  # of the context that the fleet's set-up returns


class StoryFleet(Protocol):
    """The devices and processes of a story."""

    def set_up(self, narrator: Narrator) -> StoryContext:
        """Create everything and start it."""
        ...

    def stop(self) -> None:
        """Stop what is not a separate process."""
        ...


@dataclass(frozen=True)
class Story:
    """Scenes with a name. The first line of a scene's docstring is its heading."""

    name: str
    summary: str
    fleet: Callable[[World], StoryFleet]
    scenes: tuple[Scene, ...]
    to_try: tuple[str, ...]  # while it keeps running


DEFAULT_STORY = "rollout"
STORIES = {
    story.name: story
    for story in (
        Story(
            "rollout",
            "a rollout, a bad model, a power cut, an unsigned commit, a device without updates",
            RolloutFleet,
            (
                rollout_scenes.rollout_in_waves,
                rollout_scenes.bad_model_rolled_back,
                failure_scenes.power_cut_during_transfer,
                failure_scenes.unsigned_commit,
                rollout_scenes.device_without_updates,
                rollout_scenes.status_branch,
            ),
            (
                "edit rollouts/fleet.yaml (another version, other waves), or a parameter in models/",
                "tinyfleet rollout show fleet --watch --config {config}",
                "tinyfleet explain mill-01 --config {config}",
            ),
        ),
        Story(
            "contest",
            "a machine wears in and its model raises false alarms: a gateway proposes a better one, a pump learns one",
            ContestFleet,
            (
                contest_scenes.new_pumps_are_quiet,
                contest_scenes.worn_in_pumps_raise_false_alarms,
                contest_scenes.a_proposal_appears,
                contest_scenes.a_person_merges_it,
                contest_scenes.a_pump_teaches_itself,
            ),
            (
                "edit contests/pumps.yaml (other rules), or a parameter in models/",
                "tinyfleet contest show pumps --config {config}",
                "tinyfleet contest samples pumps --config {config}",
            ),
        ),
        Story(
            "operations",
            "a program calls a function from Git through the broker; a bad function and a crash do little harm",
            OperationFleet,
            (
                operation_scenes.a_merged_function_answers,
                operation_scenes.wrong_data_is_refused,
                operation_scenes.a_function_runs_away,
                operation_scenes.items_outlive_a_crash,
                operation_scenes.a_commit_replaces_a_function,
            ),
            (
                "edit functions/rms.wat and its sha256, or its placement",
                "tinyfleet node list --config {config}",
                "tinyfleet function list --config {config}",
                "tinyfleet storage list vibration --config {config}",
            ),
        ),
        Story(
            "pipeline",
            "a model that no camera can hold runs on three, and answers while one of them is dead",
            PipelineFleet,
            (
                pipeline_scenes.too_large_for_a_camera,
                pipeline_scenes.three_cameras_answer_together,
                pipeline_scenes.a_camera_dies_during_an_inference,
                pipeline_scenes.the_camera_returns,
            ),
            (
                "edit pipeline.yaml (objective: throughput, or an `end` in each stage)",
                "tinyfleet pipeline cut line .",
                "tinyfleet pipeline show line --config {config}",
            ),
        ),
    )
}
