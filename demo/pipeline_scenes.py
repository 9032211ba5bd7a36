# SPDX-License-Identifier: Apache-2.0
"""Scenes of a pipeline: a model that no camera can hold, a death in the middle of an inference, and a return."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from demo.pipeline_fleet import CAMERAS, MODEL, PIPELINE, VERSION, PipelineContext
from demo.world import GATEWAY, NotObservedError, document
from demo.world import TINYFLEET as PROGRAM

VICTIM = CAMERAS[1]
BEFORE, DURING, AFTER = 1, 2, 3  # seeds of inputs


def too_large_for_a_camera(context: PipelineContext) -> None:
    """The build refuses the network for a camera: it needs a larger slot than any of them has."""
    try:
        context.world.run(PROGRAM, "build", MODEL, context.world.work, "--for", "line-sensor")
    except NotObservedError as refused:
        reason = next(line for line in str(refused).splitlines() if "FAILED" in line)
    else:
        raise NotObservedError("the build of the whole model succeeded")
    context.require("the slot is too small", "the slot of device type line-sensor" in reason)
    context.observe(reason)


def three_cameras_answer_together(context: PipelineContext) -> None:
    """A pipeline over three cameras is merged. The build finds the best cuts, and the answer is that of the model."""
    spec = {
        "model": {"name": MODEL, "version": VERSION},
        "stages": [{"devices": [name]} for name in CAMERAS],
        "priority": 10,
        "healAfter": "1s",
        "deadline": "10m",  # also on a machine that is busy with something else
    }
    context.commit("Run the network on three cameras", {"pipeline.yaml": document("Pipeline", PIPELINE, spec)})
    context.wait("the stages to be delivered", lambda: context.condition_of("Ready").get("status") == "True")
    context.observe(f"status/{GATEWAY}: {context.condition_of('Cut')['message']}")
    for stage in context.shown()["stages"]:
        times = f"{stage['predictedMs']:.0f} ms predicted for a camera of 25 MHz"
        context.observe(f"stage {stage['number']} on {stage['runsOn']}: {stage['movedBytes']} bytes an input, {times}")
    _same_as_whole(context, _answered_by_all(context, BEFORE))


def a_camera_dies_during_an_inference(context: PipelineContext) -> None:
    """A camera is frozen while it has an input, then killed. The answer still comes, and is the same."""
    camera = context.fleet.cameras[VICTIM]
    os.kill(camera.pid, signal.SIGSTOP)  # it takes the input, and never answers
    before = _runs_of_first(context)
    run = context.begin(DURING)
    context.wait("the first stage to have run", lambda: _runs_of_first(context) > before)
    camera.kill()
    context.narrator.action(f"kill -9 {VICTIM}, which had the input of stage 2")
    result = context.result_of(run)
    context.require("the gateway took its place", result["ran"][1] == "gateway")
    _same_as_whole(context, result)
    context.wait("the status", lambda: context.condition_of("Serving").get("reason") == "StoodIn")
    context.observe(f"status/{GATEWAY}: {context.condition_of('Serving')['message']}")


def the_camera_returns(context: PipelineContext) -> None:
    """The camera is started again. It still holds its stage, and gets the next inputs."""
    context.fleet.start_camera(VICTIM)
    context.narrator.action(f"start {VICTIM}")
    _same_as_whole(context, _answered_by_all(context, AFTER))
    context.wait("the status", lambda: context.condition_of("Ready").get("status") == "True")
    context.observe(f"status/{GATEWAY}: {context.condition_of('Serving')['message']}")


def _answered_by_all(context: PipelineContext, seed: int) -> Mapping[str, Any]:
    """Run the same input until every camera runs its stage; all answers are the same."""
    results = [context.infer(seed)]

    def ran_on_cameras() -> bool:
        if results[-1]["ran"] != list(CAMERAS):
            results.append(context.infer(seed))
        return bool(results[-1]["ran"] == list(CAMERAS))

    context.wait("all cameras to run their stages", ran_on_cameras)
    context.require("all answers are equal", len({result["outputs"] for result in results}) == 1)
    return results[-1]


def _same_as_whole(context: PipelineContext, result: Mapping[str, Any]) -> None:
    context.require("the result is that of the model in one piece", result["equal"] and result["exact"])
    ran = ", ".join(result["ran"])
    context.observe(f"{result['outputs']} from {ran}: the same bytes as the model in one piece")


def _runs_of_first(context: PipelineContext) -> int:
    stages = next(each for each in context.query("pipeline", "list") if each["name"] == PIPELINE)["stages"]
    return sum(stages[0]["ran_by"].values())
