# SPDX-License-Identifier: Apache-2.0
"""The figures of a training as its status file, the page and `tinyfleet training` show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.model import ContestId, TrainingId
from reconciler.report.figured_file import text_of, time_of
from reconciler.training.selection import RowCounts

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class TrainedFigures:
    """One of the best models of a run."""

    model: str
    trial: int
    objective: float
    false_alarms: float  # in the unit of the metric
    detection: float | None  # percent; None: there was no anomalous window
    threshold: float | None
    pack_bytes: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return how it was made, in one line."""
        made = self.settings
        parts = [f"{made[name]} {name}" for name in ("trees", "samples", "maxDepth", "epochs") if name in made]
        features = ", ".join(made.get("features", ())) or made.get("source", "")
        return ", ".join((str(made.get("method", "")), *parts, *([f"of {features}"] if features else [])))


@dataclass(frozen=True, slots=True)
class TrainingFigures:
    """One training."""

    training: TrainingId
    contest: ContestId
    model: str
    metric: str
    state: str
    result: str  # of the last run
    began_at: datetime | None  # the last run
    until: datetime | None  # from then on, time alone may change the state
    done: int  # trials of the last run
    trials: int
    failed: int
    new_windows: int  # since the last run began
    wanted_windows: int
    counts: RowCounts | None  # of the last run
    best: tuple[TrainedFigures, ...]


def training_figures_as_dict(figures: TrainingFigures) -> dict[str, Any]:
    """Return the fields of a training under their names in files and JSON."""
    counts = figures.counts
    return {
        "training": str(figures.training),
        "contest": str(figures.contest),
        "model": figures.model,
        "metric": figures.metric,
        "state": figures.state,
        "result": figures.result,
        "beganAt": text_of(figures.began_at),
        "until": text_of(figures.until),
        "trials": {"done": figures.done, "of": figures.trials, "failed": figures.failed},
        "newWindows": {"count": figures.new_windows, "of": figures.wanted_windows},
        "windows": None
        if counts is None
        else {
            "trainedNormal": counts.trained_normal,
            "trainedAnomalous": counts.trained_anomalous,
            "evaluatedNormal": counts.evaluated_normal,
            "evaluatedAnomalous": counts.evaluated_anomalous,
        },
        "best": [
            {
                "model": each.model,
                "trial": each.trial,
                "objective": round(each.objective, _DIGITS),
                "falseAlarms": round(each.false_alarms, _DIGITS),
                "detection": None if each.detection is None else round(each.detection, _DIGITS),
                "threshold": each.threshold,
                "packBytes": each.pack_bytes,
                "settings": dict(each.settings),
            }
            for each in figures.best
        ],
    }


def training_figures_from_dict(fields: Mapping[str, Any]) -> TrainingFigures:
    """Read the result of `training_figures_as_dict`."""
    windows, trials, new = fields["windows"], fields["trials"], fields["newWindows"]
    names = ("trainedNormal", "trainedAnomalous", "evaluatedNormal", "evaluatedAnomalous")
    return TrainingFigures(
        training=TrainingId(fields["training"]),
        contest=ContestId(fields["contest"]),
        model=fields["model"],
        metric=fields["metric"],
        state=fields["state"],
        result=fields["result"],
        began_at=time_of(fields["beganAt"]),
        until=time_of(fields["until"]),
        done=int(trials["done"]),
        trials=int(trials["of"]),
        failed=int(trials["failed"]),
        new_windows=int(new["count"]),
        wanted_windows=int(new["of"]),
        counts=None if windows is None else RowCounts(*(int(windows[name]) for name in names)),
        best=tuple(_trained(each) for each in fields["best"]),
    )


def _trained(each: Mapping[str, Any]) -> TrainedFigures:
    return TrainedFigures(
        each["model"],
        int(each["trial"]),
        float(each["objective"]),
        float(each["falseAlarms"]),
        None if each["detection"] is None else float(each["detection"]),
        None if each["threshold"] is None else float(each["threshold"]),
        int(each["packBytes"]),
        dict(each["settings"]),
    )
