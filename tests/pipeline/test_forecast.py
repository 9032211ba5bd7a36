# SPDX-License-Identifier: Apache-2.0
"""What is predicted of a pipeline follows from the figures of its builds, its devices and its document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import (
    DeviceId,
    ModelRef,
    Pipeline,
    PipelineFallback,
    PipelineId,
    PipelineStage,
    PipelineTarget,
    Recovery,
    StagePlace,
    TypeId,
    Version,
)
from reconciler.pipeline.anatomy import Segment
from reconciler.pipeline.forecast import GATEWAY, MERGED, BuiltStage, PipelineForecast, built_stage, forecast
from reconciler.pipeline.stage_time import StageSpeed, stage_time

CAMS = tuple(DeviceId(f"cam-{number}") for number in range(1, 5))
REF = ModelRef("net", Version("1.0.0"))
DOCUMENT = Pipeline(PipelineId("line"), REF, (PipelineStage(CAMS[:1]), PipelineStage(CAMS[1:3])))
PLACE = StagePlace(TypeId("board"), "cortex-m4", 8192, 4096, ("STAGE",), 1, "10")


def built(first: int, end: int, instructions: int, *, taken: int = 100, given: int = 100) -> BuiltStage:
    figures = {
        "first_operator": first, "end_operator": end, "instructions": instructions,
        "input_tensor_0": 0, "output_tensor_0": 1, "input_0_bytes": taken, "output_0_bytes": given,
    }  # fmt: skip
    found = built_stage(5000, 3000, figures)
    assert found is not None
    return found


STAGES = [built(0, 3, 1_000_000, given=2000), built(3, 9, 3_000_000, taken=2000)]


def predicted(document: Pipeline = DOCUMENT, places: tuple[StagePlace, ...] = (PLACE, PLACE)) -> PipelineForecast:
    return forecast(document, places, STAGES, 1.5)


def test_latency_is_the_sum_and_the_period_is_the_slowest_stage() -> None:
    found = predicted()
    busy_us = [stage.time.busy_us for stage in found.stages]
    assert found.latency_ms == sum(busy_us) / 1000
    assert found.period_ms == max(busy_us) / 1000 == busy_us[1] / 1000
    assert 450_000 < busy_us[1] < 460_000  # 3 M instructions of 1.5 cycles at 10 MHz, tags, and two messages


def test_a_prediction_says_which_bounds_it_exceeds() -> None:
    found = predicted()
    in_time = PipelineTarget(int(found.latency_ms) + 1, int(found.period_ms) + 1)
    assert predicted(replace(DOCUMENT, target=in_time)).missed == ()
    late = PipelineTarget(int(found.latency_ms), int(found.period_ms) + 1)
    assert predicted(replace(DOCUMENT, target=late)).missed == (f"the latency is above {late.latency_ms} ms",)


def test_stages_on_one_line_share_its_time() -> None:
    slow = replace(PLACE, line="ttyS0", baud=9600)
    found = predicted(places=(slow, slow))
    assert found.period_ms == sum(stage.time.line_us for stage in found.stages) / 1000
    assert found.period_ms > max(stage.time.busy_us for stage in found.stages) / 1000


def test_a_line_costs_the_bytes_and_the_turns_of_its_pieces() -> None:
    part = Segment(0, 1, 0, 0, (1024, 1), (1025,), frozenset(), 0)
    time = stage_time(part, StageSpeed(100.0, 10_000), 1.0)
    assert time.line_us == (1024 + 1 + 1025 + 36 * (2 + 2 * 2)) * 1000 + 4000 * 4


def test_the_death_of_each_device_has_a_price() -> None:
    def taken_by(*recovery: Recovery, fallback: PipelineFallback | None = None) -> list[str | None]:
        return [loss.taken_by for loss in predicted(replace(DOCUMENT, recovery=recovery, fallback=fallback)).losses]

    assert taken_by(Recovery.SPARE, Recovery.STAND_IN) == [GATEWAY, "cam-3"]
    assert taken_by(Recovery.STAND_IN) == [GATEWAY, GATEWAY]
    assert taken_by(Recovery.SPARE) == [None, "cam-3"]
    assert taken_by() == [None, None]
    small = PipelineFallback(ModelRef("tiny", Version("2")), CAMS[3:])
    assert taken_by(Recovery.FALLBACK, fallback=small) == ["tiny@2", "tiny@2"]
    losses = predicted(replace(DOCUMENT, recovery=(Recovery.FALLBACK,), fallback=small)).losses
    assert not any(loss.exact for loss in losses)
    assert losses[1].gap_ms == pytest.approx(3 * predicted().stages[1].time.busy_us / 1000)


def test_without_the_figures_of_all_stages_nothing_is_predicted() -> None:
    assert not forecast(DOCUMENT, (PLACE, PLACE), [STAGES[0], None], 1.5).is_built
    assert built_stage(1, 1, {"instructions": 5}) is None  # as builds before reported it


def test_the_death_of_a_device_is_paid_by_the_other_stages_if_they_may_merge() -> None:
    merging = replace(DOCUMENT, recovery=(Recovery.SPARE, Recovery.MERGE))
    first, second = predicted(merging).losses
    assert (first.taken_by, first.exact) == (MERGED, True)
    assert first.gap_ms > 1000 * merging.heal_after_s
    assert second.taken_by == CAMS[2]  # it has a spare
    alone = replace(merging, stages=merging.stages[:1])
    found = forecast(alone, (PLACE,), STAGES[:1], 1.5)
    assert [loss.taken_by for loss in found.losses] == [None]
