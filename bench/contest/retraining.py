# SPDX-License-Identifier: Apache-2.0
"""What a training makes of what each contest has collected: the same bearings, with a model that knows them.

It sees what a gateway sees: the windows that travelled, and what the pool says of them. Which of them are of the
healthy machine, it is never told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import fmean

from bench.bearings.sampling import WINDOW
from bench.contest.experiment import FAILING_BEARINGS
from bench.contest.forests import SUBSAMPLE, TREES, decisions
from bench.contest.our_rules import STARTED, judged_rows
from bench.contest.play import FAILING_LIFE, FROM_LIFE, HEALTHY_LIFE, Setting
from reconciler.compiler.training.forest_trial import ForestTrials
from reconciler.compiler.training.snapshot import Snapshot, SnapshotLayout
from reconciler.model import (
    ContestId,
    FeatureChoice,
    FeatureOf,
    Objective,
    ObjectiveMetric,
    SearchSpace,
    Training,
    TrainingData,
    TrainingId,
    TrainingMethod,
)
from reconciler.training.objective import ScoredTrial, closest
from reconciler.training.selection import select
from reconciler.training.trials import draw_trials

CHOICES = ("kurtosis", "skewness", "mean", "rms", "crest", "std")
TRAINING = Training(
    TrainingId("bearings"),
    ContestId("bearings"),
    "bearing",
    (
        SearchSpace(
            TrainingMethod.ISOLATION_FOREST,
            trees=TREES,
            samples=(64, SUBSAMPLE, 256),
            features=FeatureChoice(tuple(FeatureOf(name) for name in CHOICES), (3,)),
        ),
    ),
    data=TrainingData(last_s=31_536_000),
    trials=12,
    objective=Objective(ObjectiveMetric.FALSE_ALARMS_PER_1000, detection=99),
)


@dataclass(frozen=True)
class Retrained:
    """What the best model of a training decides on one bearing."""

    setting: Setting
    false_alarms_per_1000: float  # windows of the healthy machine
    detected: float  # of the windows at the end of life


def retrain(setting: Setting, training: Training = TRAINING) -> Retrained:
    """Train on what one contest has collected, and measure the best model on all windows of its bearing."""
    run = setting.run
    windows = run.windows[setting.bearing]
    rows = select(judged_rows(setting), training.data, STARTED + timedelta(minutes=float(run.minutes[-1])))
    data = b"".join(windows[row.number].astype("<i2").tobytes() for row in rows)
    trials = ForestTrials(Snapshot(SnapshotLayout(WINDOW, 1, 1.0), rows, data), training.objective)
    outcomes = {trial.number: trials.run(trial) for trial in draw_trials(training)}
    best = closest(ScoredTrial(number, each.score) for number, each in outcomes.items() if each.score is not None)
    if best is None:
        raise SystemExit("no trial of a training succeeded")
    called = decisions(outcomes[best.number].pack, windows)
    healthy = (run.life > FROM_LIFE) & (run.life < HEALTHY_LIFE)
    return Retrained(setting, 1000 * float(called[healthy].mean()), float(called[run.life > FAILING_LIFE].mean()))


def retraining_figures(settings: Sequence[Setting]) -> dict[str, float]:
    """Return what retraining comes to over all contests."""
    found = [retrain(setting) for setting in settings]
    detected = {
        f"retrained_detects_failing_b{bearing + 1}": min(
            each.detected for each in found if each.setting.bearing == bearing
        )
        for bearing in FAILING_BEARINGS
    }
    alarms = [each.false_alarms_per_1000 for each in found]
    return {"false_alarms_per_1000_retrained": fmean(alarms), "retrained_false_alarms_max": max(alarms), **detected}
