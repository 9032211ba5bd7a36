# SPDX-License-Identifier: Apache-2.0
"""What passes between a gateway and the processes in which trials run, on this machine or another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reconciler.compiler.sandbox import BuildLimits
from reconciler.model import Decide, FeatureOf, ForestScheme, Objective, ObjectiveMetric, TrainingMethod
from reconciler.training.objective import TrialScore
from reconciler.training.trials import ForestSettings, NetworkSettings, Trial


@dataclass(frozen=True, slots=True)
class TrialJob:
    """Some trials on one snapshot, which any executor can run."""

    snapshot: bytes
    trials: tuple[Trial, ...]
    objective: Objective
    limits: BuildLimits = field(default_factory=BuildLimits)
    files: Mapping[str, bytes] = field(default_factory=dict)  # that the trials name, by SHA-256


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What one trial made."""

    trial: Trial
    score: TrialScore | None  # None: it failed
    pack: bytes = b""
    figures: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


def job_to_json(job: TrialJob) -> bytes:
    """Return all of a job but its snapshot and its files."""
    return json.dumps({"trials": [asdict(each) for each in job.trials], "objective": asdict(job.objective)}).encode()


def job_from_json(data: bytes, snapshot: bytes, files: Mapping[str, bytes]) -> TrialJob:
    """Read the result of `job_to_json`."""
    raw = json.loads(data)
    objective = {**raw["objective"], "metric": ObjectiveMetric(raw["objective"]["metric"])}
    return TrialJob(snapshot, tuple(map(_trial, raw["trials"])), Objective(**objective), files=files)


def outcome_to_json(outcome: TrialOutcome) -> bytes:
    """Return all of an outcome but its pack."""
    score = asdict(outcome.score) if outcome.score is not None else None
    document = {
        "trial": asdict(outcome.trial),
        "score": score,
        "figures": dict(outcome.figures),
        "error": outcome.error,
    }
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def outcome_from_json(data: bytes, pack: bytes) -> TrialOutcome:
    """Read the result of `outcome_to_json`."""
    raw = json.loads(data)
    score = TrialScore(**raw["score"]) if raw["score"] is not None else None
    return TrialOutcome(_trial(raw["trial"]), score, pack, raw["figures"], raw["error"])


def _trial(raw: Mapping[str, Any]) -> Trial:
    method = TrainingMethod(raw["method"])
    settings = _network(raw["made_of"]) if method is TrainingMethod.KERAS else _forest(raw["made_of"])
    return Trial(raw["number"], method, settings, raw["seed"])


def _forest(raw: Mapping[str, Any]) -> ForestSettings:
    features = tuple(FeatureOf(**each) for each in raw["features"])
    return ForestSettings(**{**raw, "scheme": ForestScheme(raw["scheme"]), "features": features})


def _network(raw: Mapping[str, Any]) -> NetworkSettings:
    return NetworkSettings(**{**raw, "decide": Decide(raw["decide"])})
