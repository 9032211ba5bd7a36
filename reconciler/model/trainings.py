# SPDX-License-Identifier: Apache-2.0
"""Desired state: trainings, which make new versions of a model of what a contest has collected (docs/training.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.contests import Persistence
from reconciler.model.models import Decide, FeatureOf, ModelSource
from reconciler.model.names import ContestId, Labels, TrainingId


@dataclass(frozen=True, slots=True)
class TrainingTrigger:
    """When a training runs."""

    every_s: int = 604_800
    new_windows: int = 1000  # windows that must have arrived since the run before
    on_no_successor: bool = True  # without waiting for `every_s`, if the contest has no successor


class TruthSource(StrEnum):
    """Who says what a window is."""

    PERSON = "person"
    POOL = "pool"


class WindowLabel(StrEnum):
    """What a window is."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"


class UndecidedUse(StrEnum):
    """What a window counts as on which the pool does not agree."""

    NORMAL = "normal"
    OMIT = "omit"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Of which windows of the knowledge base the models are made."""

    labels: tuple[WindowLabel, ...] = (WindowLabel.NORMAL,)  # on which the models are trained
    by: tuple[TruthSource, ...] = (TruthSource.PERSON, TruthSource.POOL)
    last_s: int = 5_184_000  # how old a window may be
    holdout: float = 30.0  # percent of the windows of each kind, the newest, on which models are only evaluated
    undecided: UndecidedUse = UndecidedUse.NORMAL  # what windows without a truth count as
    persistence: Persistence | None = None  # None: that of the contest


class TrainingMethod(StrEnum):
    """How a model is trained."""

    ISOLATION_FOREST = "isolation-forest"
    RANDOM_FOREST = "random-forest"
    EXTRA_TREES = "extra-trees"
    KERAS = "keras"


CLASSIFIERS = frozenset({TrainingMethod.RANDOM_FOREST, TrainingMethod.EXTRA_TREES})
FORESTS = CLASSIFIERS | {TrainingMethod.ISOLATION_FOREST}


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """From which features each trial chooses, and how many."""

    of: tuple[FeatureOf, ...]
    choose: tuple[int, ...] = ()  # empty: all of them


class ForestScheme(StrEnum):
    """The integers in which a forest compares."""

    INT8 = "int8"
    INT16 = "int16"


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """A method with the values that trials choose from. Forests and networks have no setting in common."""

    method: TrainingMethod
    trees: tuple[int, ...] = (10, 20, 50)
    samples: tuple[int, ...] = (256,)  # rows of each tree of an isolation forest
    max_depth: tuple[int, ...] = (12,)  # of each tree of a classifier
    scheme: tuple[ForestScheme, ...] = (ForestScheme.INT8,)
    features: FeatureChoice | None = None  # None: the values of a sample, for forests
    source: ModelSource | None = None  # of a network: its architecture and first weights
    decide: Decide | None = None  # how the output of the network becomes a decision
    epochs: tuple[int, ...] = (30,)  # how often a network sees all windows
    batch_size: tuple[int, ...] = (32,)  # windows of one step
    learning_rate: tuple[float, ...] = (0.001,)  # of Adam


class ObjectiveMetric(StrEnum):
    """What a training makes small."""

    FALSE_ALARMS_PER_DAY = "false-alarms-per-day"  # of one device
    FALSE_ALARMS_PER_1000 = "false-alarms-per-1000"  # windows


@dataclass(frozen=True, slots=True)
class Objective:
    """By what the models of a training are compared."""

    metric: ObjectiveMetric = ObjectiveMetric.FALSE_ALARMS_PER_DAY
    detection: float = 95.0  # percent of the anomalous windows that a model must find
    per_pack_byte: float = 0.0001  # what a byte of the pack adds to the metric


class TrainingPlace(StrEnum):
    """Where the trials of a training run; the models are the same."""

    GATEWAY = "gateway"
    CLUSTER = "cluster"  # the Dask cluster of the gateway's configuration


class TrainingProposal(StrEnum):
    """How the models get into Git."""

    BRANCH = "branch"  # as a branch, which a person merges
    NEVER = "never"  # only the status names them


@dataclass(frozen=True, slots=True)
class Training:
    """Trains new versions of a model on the windows of a contest, which evaluates them as candidates."""

    name: TrainingId
    contest: ContestId
    model: str  # of which versions are added; a candidate of the contest
    try_: tuple[SearchSpace, ...]
    when: TrainingTrigger = TrainingTrigger()
    data: TrainingData = TrainingData()
    trials: int = 40
    seed: int = 1
    objective: Objective = Objective()
    keep: int = 1
    where: TrainingPlace = TrainingPlace.GATEWAY
    propose: TrainingProposal = TrainingProposal.BRANCH
    suspend: bool = False
    labels: Labels = field(default_factory=dict)
