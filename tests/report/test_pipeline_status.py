# SPDX-License-Identifier: Apache-2.0
"""The conditions of a pipeline for each state of its stages, and that inputs alone change no status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import Commit, DeviceId, PipelineId, PipelineTarget
from reconciler.report.conditions import Status
from reconciler.report.device_status import PassStamp
from reconciler.report.pipeline_figures import PipelineFigures, PipelineStageFigures
from reconciler.report.pipeline_status import (
    InvalidPipelineStatus,
    PipelineReport,
    pipeline_file,
    pipeline_status,
    read_pipeline_file,
)
from reconciler.report.pipeline_table import pipeline_section
from tests.training.documents import NOON

CAM_1, CAM_2, CAM_3 = (DeviceId(f"cam-{number}") for number in (1, 2, 3))
FIRST = PipelineStageFigures(1, 3, (CAM_1,), "cam-1", moved_bytes=512, predicted_ms=12.5, ran_by={"cam-1": 7})
SECOND = PipelineStageFigures(2, 9, (CAM_2, CAM_3), "cam-2", measured_ms=4.2, ran_by={"cam-2": 6, "gateway": 1})
FIGURES = PipelineFigures(PipelineId("line"), "net@1.0.0", (FIRST, SECOND), 20.0, 12.5, 7, 1, 2)
STAMP = PassStamp(NOON, Commit("a" * 40))


def with_second(**changes: object) -> PipelineReport:
    return PipelineReport(replace(FIGURES, stages=(FIRST, replace(SECOND, **changes))))  # type: ignore[arg-type]  # fields of the figures


@pytest.mark.parametrize(
    ("report", "ready", "serving", "words"),
    [
        (PipelineReport(FIGURES), "Ready", "Serving", "every stage is run by its first device"),
        (PipelineReport(replace(FIGURES, stages=())), "Cutting", "Cutting", "being built"),
        (
            PipelineReport(replace(FIGURES, stages=()), ("NoPlacement", "no cut fits")),
            "NoPlacement",
            "Cutting",
            "no cut fits",
        ),
        (with_second(preparing=(CAM_3,)), "Preparing", "Serving", "cam-3 does not hold stage 2 yet"),
        (with_second(runs_on="gateway", preparing=(CAM_2,)), "Preparing", "StoodIn", "cam-2 does not hold stage 2 yet"),
        (with_second(runs_on="gateway", failed=(CAM_2,)), "StoodIn", "StoodIn", "so the gateway runs it"),
        (with_second(runs_on="cam-3", failed=(CAM_2,)), "OnSpare", "OnSpare", "so cam-3 runs it"),
        (with_second(runs_on="cam-9", exact=False, failed=(CAM_2,)), "FallenBack", "FallenBack", "cam-9 answers"),
        (with_second(runs_on=None, failed=(CAM_2,)), "Stopped", "Stopped", "nothing may run it"),
        (PipelineReport(replace(FIGURES, without=(2,))), "Merged", "Merged", "Stage 2 is lost, so the network is cut"),
    ],
)
def test_each_state_has_its_reason(report: PipelineReport, ready: str, serving: str, words: str) -> None:
    status = pipeline_status(report, STAMP, None)
    assert status.ready.reason == ready
    assert (status.ready.status is Status.TRUE) == (ready == "Ready")
    assert status.conditions[-1].reason == serving
    assert words.lower() in status.ready.message.lower()


@pytest.mark.parametrize(
    ("target", "measured", "reason", "words"),
    [
        (PipelineTarget(20, 13), (None, 0.0), "MeetsTarget", "as predicted"),
        (PipelineTarget(19), (None, 0.0), "TooSlow", "As predicted, the latency is above 19 ms."),
        (PipelineTarget(20, 13), (21.0, 14.0), "TooSlow", "latency is above 20 ms and the period is above 13 ms"),
        (PipelineTarget(19, 12), (18.0, 12.0), "MeetsTarget", "as measured"),
    ],
)
def test_a_target_is_compared_with_the_best_that_is_known(
    target: PipelineTarget, measured: tuple[float | None, float], reason: str, words: str
) -> None:
    latency_ms, period_ms = measured
    figures = replace(FIGURES, target=target, measured_latency_ms=latency_ms, measured_period_ms=period_ms)
    status = pipeline_status(PipelineReport(figures), STAMP, None)
    meets = next(each for each in status.conditions if each.type == "MeetsTarget")
    assert (meets.reason, meets.status is Status.TRUE) == (reason, reason == "MeetsTarget")
    assert words in meets.message
    assert status.ready.status is Status.TRUE  # results are right
    assert read_pipeline_file(pipeline_file(status)) == status


def test_without_a_target_there_is_no_condition_for_it() -> None:
    status = pipeline_status(PipelineReport(FIGURES), STAMP, None)
    assert [each.type for each in status.conditions] == ["Ready", "Cut", "Delivered", "Serving"]


def test_inputs_alone_change_no_status() -> None:
    before = pipeline_status(PipelineReport(FIGURES), STAMP, None)
    later = replace(STAMP, now=NOON + timedelta(hours=1))
    more = with_second(ran_by={"cam-2": 900}, measured_ms=5.0)
    assert pipeline_status(more, later, before) is before
    lost = pipeline_status(with_second(runs_on="gateway", failed=(CAM_2,)), later, before)
    assert lost.conditions[-1].since == later.now
    assert lost.conditions[1].since == NOON  # it is cut as before


def test_a_status_file_is_read_as_it_was_written() -> None:
    report = with_second(runs_on="gateway", failed=(CAM_2,))
    status = pipeline_status(replace(report, figures=replace(report.figures, without=(1, 3))), STAMP, None)
    assert read_pipeline_file(pipeline_file(status)) == status
    with pytest.raises(InvalidPipelineStatus):
        read_pipeline_file(b"kind: PipelineStatus\nstatus: {}\n")


def test_the_readme_has_a_row_for_each_pipeline() -> None:
    assert pipeline_section([]) == []
    rows = pipeline_section([pipeline_status(PipelineReport(FIGURES), STAMP, None)])
    assert any(row.startswith("| line | net@1.0.0 | 2 | ") for row in rows)


def test_runs_are_counted_without_names_of_devices() -> None:
    stage = replace(SECOND, ran_by={"cam-2": 6, "cam-3": 2, "gateway": 1})
    assert stage.ran_by_kind() == {"first": 6, "other": 2, "gateway": 1}
