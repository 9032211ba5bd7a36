# SPDX-License-Identifier: Apache-2.0
"""The condition of a device that grows a forest of its own (docs/learning.md)."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import LearningProgress, LearningStage
from reconciler.report.conditions import Status

LEARNING = "Learning"
_STEP = 10  # percent: a status says less than the device, so that it does not change with each row
_ALL = 100


@dataclass(frozen=True, slots=True)
class LearningFacts:
    """What is known of a device that runs a model that learns."""

    progress: LearningProgress | None  # None: it has not said
    rows_wanted: int


def learning_state(facts: LearningFacts) -> tuple[Status, str, str]:
    """Return the status, the reason and the message of the condition."""
    progress, wanted = facts.progress, facts.rows_wanted
    if progress is None or progress.stage is LearningStage.OFF:
        return Status.UNKNOWN, "LearningNotReported", "The device has not said yet how far it is with its own forest."
    meanwhile = "the model from Git decides until it has grown a forest of its own"
    match progress.stage:
        case LearningStage.WAITING:
            return Status.TRUE, "LearningWaits", f"The model is on trial: {meanwhile}."
        case LearningStage.ERASING_ROWS | LearningStage.COLLECTING:
            share = min(_ALL, progress.rows * _ALL // wanted) // _STEP * _STEP
            return Status.TRUE, "CollectingRows", f"It has collected {share}% of {wanted} rows: {meanwhile}."
        case LearningStage.ERASING_FOREST | LearningStage.GROWING | LearningStage.EVALUATING:
            return Status.TRUE, "GrowingForest", f"It grows a forest from {progress.rows} rows: {meanwhile}."
        case LearningStage.GROWN:
            grown = f"{progress.forest_bytes} bytes, grown from {progress.rows} of its own rows"
            return (
                Status.TRUE,
                "ForestGrown",
                f"Its own forest decides: {grown}, of which {progress.anomalous} are anomalous to it.",
            )
        case _:
            why = f"{progress.anomalous} of its {progress.rows} rows were anomalous to it"
            return (
                Status.FALSE,
                "ForestDiscarded",
                f"It discarded the forest that it grew, or could not grow one ({why}): the model from Git decides.",
            )
