# SPDX-License-Identifier: Apache-2.0
"""The phases of a model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import RolloutId, TypeId
from reconciler.report.conditions import Status
from reconciler.report.device_status import PassStamp
from reconciler.report.model_status import (
    PRIORITY,
    BuiltPack,
    InvalidModelStatus,
    ModelFacts,
    model_file,
    model_path,
    model_status,
    read_model_file,
)
from reconciler.report.remedies import REMEDIES

NOW = datetime(2026, 11, 29, tzinfo=UTC)
STAMP = PassStamp(NOW, "c" * 40)
PACK = BuiltPack(TypeId("m4"), 2412, 256, "int16", ("auc 0.981 (at least 0.95)",))
RUNNING = ModelFacts(
    "forest@1.2.0",
    (RolloutId("pumps"),),
    (PACK,),
    devices=12,
    running=12,
    configured=12,
    parameters={"threshold": 0.69},
    reporting=12,
    alarms=6,
    device_seconds=12 * 43_200.0,
)


def conditions(facts: ModelFacts) -> dict[str, tuple[Status, str, str]]:
    return {each.type: (each.status, each.reason, each.message) for each in model_status(facts, STAMP, None).conditions}


def test_each_phase_that_is_done_has_its_figure() -> None:
    found = conditions(RUNNING)
    assert all(status is Status.TRUE for status, _, _ in found.values())
    assert [found[phase][2] for phase in PRIORITY] == [
        "Numbers: int16 for m4.",
        "Golden vectors match; auc 0.981 (at least 0.95).",
        "2,412 bytes and 256 of RAM for m4.",
        "12 of 12 devices run it.",
        "threshold 0.69 on 12 of 12 devices.",
        "1.00 alarms a day on each of 12 devices.",
    ]


@pytest.mark.parametrize(
    ("facts", "phase", "status", "reason", "words"),
    [
        (replace(RUNNING, packs=()), "Packaged", Status.UNKNOWN, "NotBuilt", "any type"),
        (replace(RUNNING, missing=(TypeId("rv"),)), "Verified", Status.UNKNOWN, "NotBuilt", "not built for rv"),
        (
            replace(RUNNING, failures={TypeId("m4"): "BuildGateFailed: auc 0.9"}),
            "Adapted",
            Status.FALSE,
            "BuildFailed",
            "for m4: BuildGateFailed: auc 0.9",
        ),
        (replace(RUNNING, running=3, configured=3), "Released", Status.FALSE, "NotReleased", "3 of 12"),
        (replace(RUNNING, rollouts=()), "Released", Status.UNKNOWN, "NotReleased", "no rollout"),
        (replace(RUNNING, configured=7), "Configured", Status.FALSE, "NotConfigured", "7 of 12"),
        (replace(RUNNING, running=0), "Configured", Status.UNKNOWN, "NotConfigured", "no device"),
        (replace(RUNNING, reporting=0), "Monitored", Status.UNKNOWN, "NotMonitored", "no device"),
    ],
)
def test_a_phase_that_is_not_done_says_what_is_missing(
    facts: ModelFacts, phase: str, status: Status, reason: str, words: str
) -> None:
    found = conditions(facts)
    assert found[phase][:2] == (status, reason)
    assert words in found[phase][2]
    assert found["Ready"][1] == next(found[each][1] for each in PRIORITY if found[each][0] is not Status.TRUE)
    assert reason in REMEDIES


def test_a_status_file_is_read_back_unchanged() -> None:
    status = model_status(RUNNING, STAMP, None)
    assert read_model_file(model_file(status)) == status
    assert model_path(status.model) == "models/forest/1.2.0.yaml"


def test_figures_alone_do_not_change_a_status() -> None:
    before = model_status(RUNNING, STAMP, None)
    later = PassStamp(NOW + timedelta(hours=1), "d" * 40)
    assert model_status(replace(RUNNING, alarms=900), later, before) is before
    assert model_status(replace(RUNNING, running=11, configured=11), later, before) != before


@pytest.mark.parametrize("data", [b"", b"kind: ContestStatus", b"kind: ModelStatus\nstatus: {}", b"\xff"])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidModelStatus):
        read_model_file(data)
