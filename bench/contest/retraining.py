# SPDX-License-Identifier: Apache-2.0
"""What a training makes of the windows that each contest has collected.

It has what a gateway has: the windows that travelled, and the votes of the pool. Which windows are those of a healthy
machine is used for the figures alone. If no trial reaches the objective, nothing is proposed, and the champion stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import fmean

import numpy as np

from bench.bearings.sampling import WINDOW
from bench.contest.experiment import FAILING_BEARINGS
from bench.contest.forests import SUBSAMPLE, TREES, Bools, decisions
from bench.contest.our_rules import CONTEST, STARTED, as_candidate, collected_windows
from bench.contest.play import FAILING_LIFE, FROM_LIFE, HEALTHY_LIFE, Setting
from reconciler.compiler.training.forest_trial import ForestTrials
from reconciler.compiler.training.snapshot import Snapshot, SnapshotLayout
from reconciler.contest.eligibility import ChampionFaults, shortcoming
from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.evidence import gather
from reconciler.contest.facts import ContestFacts
from reconciler.model import (
    Candidate,
    Contest,
    ContestId,
    FeatureChoice,
    FeatureOf,
    ModelRef,
    Objective,
    ObjectiveMetric,
    Persistence,
    SearchSpace,
    Training,
    TrainingData,
    TrainingId,
    TrainingMethod,
    Version,
)
from reconciler.training.objective import ScoredTrial, best_trials
from reconciler.training.selection import select
from reconciler.training.trials import draw_trials

CHOICES = ("kurtosis", "skewness", "mean", "rms", "crest", "std")
LASTING = Persistence(3, 1800)
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
    data=TrainingData(last_s=31_536_000, persistence=LASTING),
    trials=24,
    objective=Objective(ObjectiveMetric.FALSE_ALARMS_PER_1000, detection=90),
)
TRAINED = Candidate(ModelRef("bearing", Version("trained")))


@dataclass(frozen=True)
class Rates:
    """How often a model is wrong, and right."""

    false_alarms_per_1000: float  # windows of the healthy machine
    detected: float  # of the windows at the end of life


@dataclass(frozen=True)
class Retrained:
    """What became of one contest: which of its windows the champion after the training calls anomalous."""

    setting: Setting
    reached: bool  # a model finds enough of what the pool calls anomalous, so it is proposed
    accepted: bool  # the rules of the contest prefer it to the champion, where each anomaly counts
    accepted_lasting: bool  # and where only those count that last
    proposed: Rates  # of the best model, or of the champion if there is none
    champion: Rates  # at the end, where only those count
    pool: float  # of 1,000 windows of the healthy machine, those that the pool calls anomalous


def retrain(setting: Setting, training: Training = TRAINING, contest: Contest = CONTEST) -> Retrained:
    """Train on what one contest has collected, and have the contest compare the best model with its champion."""
    run = setting.run
    windows = run.windows[setting.bearing]
    play, known = collected_windows(setting, contest)
    last = play.last_champion
    mine = Rates(setting.false_alarms_per_1000(last), setting.detected(last))
    rows = select(known, training.data, STARTED + timedelta(minutes=float(run.minutes[-1])))
    data = b"".join(windows[row.number].astype("<i2").tobytes() for row in rows)
    trials = ForestTrials(Snapshot(SnapshotLayout(WINDOW, 1, 1.0), rows, data), training.objective)
    outcomes = {trial.number: trials.run(trial) for trial in draw_trials(training)}
    scored = [ScoredTrial(number, each.score) for number, each in outcomes.items() if each.score is not None]
    healthy = (run.life > FROM_LIFE) & (run.life < HEALTHY_LIFE)
    pool = 1000 * float(_pool(setting, contest)[healthy].mean())
    best = best_trials(scored, 1)
    if not best:
        return Retrained(
            setting, reached=False, accepted=False, accepted_lasting=False, proposed=mine, champion=mine, pool=pool
        )
    called = decisions(outcomes[best[0].number].pack, windows)
    trained = Rates(1000 * float(called[healthy].mean()), float(called[run.life > FAILING_LIFE].mean()))
    seen = [replace(row.sample, votes={**row.sample.votes, TRAINED: bool(called[row.number])}) for row in known]
    lasting = replace(contest, pool=replace(contest.pool, persistence=LASTING))
    each, lasts = (_accepted(rules, as_candidate(last), setting, seen) for rules in (contest, lasting))
    champion = trained if lasts else mine
    return Retrained(
        setting, reached=True, accepted=each, accepted_lasting=lasts, proposed=trained, champion=champion, pool=pool
    )


def _accepted(contest: Contest, champion: Candidate, setting: Setting, rows: Sequence[EvaluatedSample]) -> bool:
    """Return whether a trained model may succeed a champion that raises too many false alarms."""
    voters = frozenset(map(as_candidate, setting.votes))
    evidence = gather(contest, ContestFacts(champion, (TRAINED,), voters, STARTED, STARTED), rows)
    faults = ChampionFaults(false_positives=True, missed=False)
    return shortcoming(evidence.comparisons[TRAINED], contest.replace, faults) is None


def _pool(setting: Setting, contest: Contest) -> Bools:
    """Return which windows as many forests call anomalous as the pool has to agree."""
    votes = np.stack(list(setting.votes.values()))
    return np.asarray(100 * votes.sum(axis=0) >= contest.pool.agreement * len(votes))


def retraining_figures(settings: Sequence[Setting]) -> dict[str, float]:
    """Return what retraining comes to over all contests."""
    with ProcessPoolExecutor() as processes:
        found = list(processes.map(retrain, settings))
    detected = {
        f"retrained_detects_failing_b{bearing + 1}": min(
            each.proposed.detected for each in found if each.setting.bearing == bearing
        )
        for bearing in FAILING_BEARINGS
    }
    alarms = [each.proposed.false_alarms_per_1000 for each in found]
    return {
        "retrained_proposed": sum(each.reached for each in found),
        "retrained_accepted": sum(each.accepted for each in found),
        "retrained_accepted_lasting": sum(each.accepted_lasting for each in found),
        "false_alarms_per_1000_accepted": fmean(each.champion.false_alarms_per_1000 for each in found),
        "false_alarms_per_1000_pool": fmean(each.pool for each in found),
        "false_alarms_per_1000_retrained": fmean(alarms),
        "retrained_false_alarms_max": max(alarms),
        **detected,
    }
