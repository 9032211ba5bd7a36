# SPDX-License-Identifier: Apache-2.0
"""Desired state: contests, which evaluate the model of a rollout and propose a better one (docs/contests.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.names import ContestId, GatewayId, Labels, ModelRef, RolloutId

THRESHOLD = "threshold"  # the parameter that a candidate may set


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with the threshold in force; the champion of a contest is the one that its rollout names."""

    model: ModelRef
    threshold: float | None = None  # None: the model has no such parameter

    def __str__(self) -> str:
        return str(self.model) if self.threshold is None else f"{self.model} at {self.threshold:g}"

    def __lt__(self, other: Candidate) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[str, str, bool, float]:
        return self.model.name, self.model.version, self.threshold is not None, self.threshold or 0.0


@dataclass(frozen=True, slots=True)
class SampleCollection:
    """Which windows travel from devices to the gateway, and how much of a link they may take."""

    every_s: int = 30  # how often a device is asked
    normal: int = 120  # one in this many windows that the champion calls normal; 0: none
    windows: bool = True  # the windows too, else their features alone
    line_share: float = 15.0  # percent of a serial line's time
    bytes_per_hour: int = 200_000  # of one device over MQTT


@dataclass(frozen=True, slots=True)
class KnowledgeBounds:
    """How much a gateway keeps: what is too old is deleted, what is too much is thinned, labelled samples last."""

    windows: int = 200_000
    bytes: int = 536_870_912
    age_s: int = 31_536_000


class VoteRule(StrEnum):
    """How the pool decides whether a window is anomalous."""

    MAJORITY = "majority"  # strictly more than half of the votes
    ANY = "any"
    ALL = "all"
    AT_LEAST = "at-least"
    WEIGHTED = "weighted"  # each vote counts as much as its model agrees with the labels of people


class Tie(StrEnum):
    """What an equal number of votes for both sides means."""

    UNDECIDED = "undecided"
    ANOMALY = "anomaly"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Persistence:
    """How many windows of a device a fault makes anomalous, and within which time."""

    windows: int
    within_s: int = 3600


@dataclass(frozen=True, slots=True)
class ModelPool:
    """The models that vote on the windows on the gateway, and how their votes count."""

    models: tuple[ModelRef, ...] = ()
    candidates: bool = True  # candidates vote too
    vote: VoteRule = VoteRule.MAJORITY
    agreement: float = 66.0  # percent of the votes that must agree, with MAJORITY and WEIGHTED
    at_least: int | None = None  # votes for an anomaly, with `VoteRule.AT_LEAST`
    tie: Tie = Tie.UNDECIDED
    local: bool = False  # forests that devices of the rollout have grown themselves vote too
    quorum: int = 3  # votes without which a window stays undecided; abstentions do not count
    persistence: Persistence | None = None  # fewer anomalies stay undecided; None: each one counts


@dataclass(frozen=True, slots=True)
class ThresholdRange:
    """The thresholds that candidates may have: from `least` to `most`, in steps."""

    least: float
    most: float
    step: float

    def values(self) -> tuple[float, ...]:
        """Return the thresholds, rounded so that 0.55 + 0.05 is 0.6."""
        count = int((self.most - self.least) / self.step + 1e-9) + 1
        return tuple(round(self.least + index * self.step, 9) for index in range(count))


@dataclass(frozen=True, slots=True)
class CandidateRules:
    """What may replace the champion: versions of these models, with these thresholds."""

    models: tuple[str, ...]
    thresholds: ThresholdRange | None = None  # None: a candidate keeps the threshold that the rollout sets


@dataclass(frozen=True, slots=True)
class ReplacementLimit:
    """How many replacements a period may have; beyond that, a person decides."""

    count: int = 3
    within_s: int = 2_592_000


@dataclass(frozen=True, slots=True)
class ReplacementRules:
    """When the champion is not sound, and what a successor must have shown."""

    false_positives: int = 5
    false_negatives: int = 5
    within_s: int = 86_400
    on_devices: int = 1  # how many devices must each reach one of the two counts
    tenure_s: int = 86_400  # how long a champion stays at least, from its confirmation on
    decided: int = 50  # decided windows without which nothing is replaced
    normals: int = 20  # of which normal, by the truth of the pool
    margin: float = 20.0  # percent by which a successor's rate of false alarms is below the champion's
    not_again_for_s: int = 604_800  # how long a champion that was replaced cannot return
    at_most: ReplacementLimit = ReplacementLimit()


class ProposalMode(StrEnum):
    """How a successor gets into Git."""

    BRANCH = "branch"  # as a branch, which a person merges
    DIRECT = "direct"  # as a commit, where the gateway's configuration allows it as well
    NEVER = "never"  # only the status names it


@dataclass(frozen=True, slots=True)
class Contest:
    """Evaluates the champion of a rollout by a pool of models, and proposes a successor."""

    name: ContestId
    rollout: RolloutId
    candidates: CandidateRules
    gateway: GatewayId | None = None  # who evaluates; None: the only gateway that serves the rollout
    collect: SampleCollection = SampleCollection()
    knowledge: KnowledgeBounds = KnowledgeBounds()
    pool: ModelPool = ModelPool()
    replace: ReplacementRules = ReplacementRules()
    propose: ProposalMode = ProposalMode.BRANCH
    suspend: bool = False
    labels: Labels = field(default_factory=dict)
