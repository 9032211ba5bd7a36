# SPDX-License-Identifier: Apache-2.0
"""The condition of a device that grows a forest of its own."""

from __future__ import annotations

import pytest

from reconciler.model import LearningProgress, LearningStage
from reconciler.report.conditions import Status
from reconciler.report.learning import LearningFacts, learning_state


def progress(stage: LearningStage, rows: int = 0, **more: int) -> LearningFacts:
    return LearningFacts(
        LearningProgress(stage, rows, more.get("tree", 0), more.get("size", 0), more.get("odd", 0)), 600
    )


@pytest.mark.parametrize(
    ("facts", "status", "reason", "part"),
    [
        (LearningFacts(None, 600), Status.UNKNOWN, "LearningNotReported", "not said yet"),
        (progress(LearningStage.WAITING), Status.TRUE, "LearningWaits", "on trial"),
        (progress(LearningStage.ERASING_ROWS), Status.TRUE, "CollectingRows", "0% of 600"),
        (progress(LearningStage.COLLECTING, 299), Status.TRUE, "CollectingRows", "40% of 600"),
        (progress(LearningStage.COLLECTING, 300), Status.TRUE, "CollectingRows", "50% of 600"),
        (progress(LearningStage.GROWING, 600, tree=7), Status.TRUE, "GrowingForest", "from 600 rows"),
        (progress(LearningStage.GROWN, 600, size=4000, odd=3), Status.TRUE, "ForestGrown", "of which 3 are anomalous"),
        (progress(LearningStage.DISCARDED, 600, odd=90), Status.FALSE, "ForestDiscarded", "90 of its 600 rows"),
    ],
)
def test_each_stage_is_explained(facts: LearningFacts, status: Status, reason: str, part: str) -> None:
    found = learning_state(facts)
    assert found[:2] == (status, reason)
    assert part in found[2]


def test_a_row_alone_changes_no_status() -> None:
    messages = {learning_state(progress(LearningStage.COLLECTING, rows)) for rows in range(600)}
    assert len(messages) == 10
