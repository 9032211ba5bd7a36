# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pipeline explain` says who runs each stage, why, and what to do, from the files of a status branch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler.cli import cli
from reconciler.report.pipeline_status import PipelineReport, pipeline_file, pipeline_status
from reconciler.review.pipeline_explanation import PipelineExplanation, explain_pipeline
from tests.report.test_pipeline_status import CAM_2, CAM_3, FIGURES, STAMP, with_second
from tests.review.changes import fleet_history


def explained(report: PipelineReport) -> PipelineExplanation:
    return explain_pipeline(report.figures, pipeline_status(report, STAMP, None).conditions)


def test_a_pipeline_that_serves_needs_nothing() -> None:
    found = explained(PipelineReport(FIGURES))
    assert [(stage.number, stage.runs_on) for stage in found.stages] == [(1, "cam-1"), (2, "cam-2")]
    assert found.causes == ()
    assert found.next == ("nothing needs to be done",)


@pytest.mark.parametrize(
    ("report", "runs_on", "why", "step"),
    [
        (with_second(runs_on="gateway", failed=(CAM_2,)), "gateway", "cam-2 does not answer; the results are the same",
         "check the power and the link of cam-2"),
        (with_second(runs_on="cam-3", preparing=(CAM_2,)), "cam-3", "cam-2 does not hold it yet",
         "tinyfleet explain cam-2 says what its update waits for"),
        (with_second(runs_on="cam-9", exact=False, failed=(CAM_2, CAM_3)), "cam-9", "results of another model",
         "check the power and the link of cam-3"),
        (with_second(runs_on=None, failed=(CAM_2, CAM_3)), None, "recovery allows nothing else", "Stopped: look at"),
    ],
)  # fmt: skip
def test_a_stage_that_is_lost_has_a_cause_and_a_step(
    report: PipelineReport, runs_on: str | None, why: str, step: str
) -> None:
    found = explained(report)
    stage = found.stages[1]
    assert stage.runs_on == runs_on
    assert why in stage.why
    assert any(step in each for each in found.next)
    assert {each.type for each in found.causes} <= {"Delivered", "Serving"}
    assert found.causes


def test_a_pipeline_without_stages_says_why_it_has_none() -> None:
    found = explained(PipelineReport(replace(FIGURES, stages=()), ("NoPlacement", "no cut fits")))
    assert found.stages == ()
    assert found.next[0].startswith("NoPlacement: add a stage")


def test_the_command_reads_a_clone(tmp_path: Path) -> None:
    status = pipeline_status(with_second(runs_on="gateway", failed=(CAM_2,)), STAMP, None)
    history = fleet_history(tmp_path)
    history.commit({})
    history.status({"pipelines/line.yaml": pipeline_file(status)})
    text = CliRunner().invoke(cli, ["pipeline", "explain", "line", str(history.path)])
    assert text.exit_code == 0, text.output
    assert "check the power and the link of cam-2" in text.output
    answer = CliRunner().invoke(cli, ["pipeline", "explain", "line", str(history.path), "--output", "json"])
    (found,) = json.loads(answer.output)
    assert (found["pipeline"], found["stages"][1]["runsOn"]) == ("line", "gateway")
    assert found["stages"][1]["devices"] == [
        {"device": "cam-2", "state": "did not answer when it was last asked"},
        {"device": "cam-3", "state": "holds the stage"},
    ]
    assert [each["reason"] for each in found["causes"]] == ["StoodIn"]
