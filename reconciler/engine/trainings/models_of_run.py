# SPDX-License-Identifier: Apache-2.0
"""The best models of a run, as the files that a training proposes: documents, packs, provenance. No data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from reconciler.automation_scope import trained_source
from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.run_folder import RunRecord
from reconciler.engine.proposals.proposer import WantedModels, training_branch
from reconciler.model import THRESHOLD, GatewayId, ModelRef, Training, TrainingMethod
from reconciler.model.samples import SAMPLE_EVERY, SAMPLE_WINDOWS
from reconciler.report.training_figures import TrainedFigures
from reconciler.report.training_files import model_document, training_message
from reconciler.training.identity import versions
from reconciler.training.objective import ScoredTrial, best_trials, closest

_PACKAGES = ("tinyfleet", "numpy", "scikit-learn")
_PACKAGES_OF_NETWORKS = ("tinyfleet", "numpy", "tensorflow", "keras")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """One of the best models of a run."""

    ref: ModelRef
    outcome: TrialOutcome

    @property
    def figures(self) -> TrainedFigures:
        """Return what the status says of it."""
        score = self.outcome.score
        if score is None:
            raise ValueError("a trial without a score is never among the best")
        return TrainedFigures(
            str(self.ref),
            self.outcome.trial.number,
            score.objective,
            score.false_alarms,
            score.detection,
            score.threshold,
            score.pack_bytes,
            self.outcome.trial.settings,
        )


def best_models(training: Training, record: RunRecord, outcomes: Iterable[TrialOutcome]) -> tuple[TrainedModel, ...]:
    """Return the models of a run that are proposed, the best first."""
    by_number = {each.trial.number: each for each in outcomes}
    kept = best_trials(_scored(by_number), training.keep)
    names = versions(training, record.digest, record.newest, len(kept))
    return tuple(TrainedModel(ref, by_number[each.number]) for ref, each in zip(names, kept, strict=True))


def closest_model(training: Training, record: RunRecord, outcomes: Iterable[TrialOutcome]) -> TrainedModel | None:
    """Return the model that comes closest to the objective, reached or not."""
    by_number = {each.trial.number: each for each in outcomes}
    found = closest(_scored(by_number))
    (ref,) = versions(training, record.digest, record.newest, 1)
    return TrainedModel(ref, by_number[found.number]) if found is not None else None


def wanted_models(
    training: Training, record: RunRecord, models: tuple[TrainedModel, ...], gateway: GatewayId
) -> WantedModels:
    """Return the proposal of these models."""
    files: dict[str, bytes] = {}
    for rank, model in enumerate(models, 1):
        source = trained_source(model.ref, hashlib.sha256(model.outcome.pack).hexdigest())
        path = source.path or ""
        folder = path.rpartition("/")[0]
        provenance = _provenance(training, record, model, rank, gateway)
        files[path] = model.outcome.pack
        files[f"{folder}/provenance.json"] = json.dumps(provenance, indent=1, sort_keys=True).encode() + b"\n"
        files[f"{folder}/model.yaml"] = _document(model, source.sha256)
    message = training_message(training, gateway, record.counts, [each.figures for each in models], record.snapshot)
    return WantedModels(training_branch(training.name), tuple(each.ref for each in models), files, message)


def _document(model: TrainedModel, sha256: str) -> bytes:
    # They need numpy, and a daemon without trainings does without it.
    from reconciler.compiler.pack.checker import operator_numbers  # noqa: PLC0415
    from reconciler.compiler.pack.operators import NAMES  # noqa: PLC0415
    from reconciler.compiler.pack.pack_format import disassemble  # noqa: PLC0415

    pack = model.outcome.pack
    score = model.outcome.score
    threshold = score.threshold if score is not None else None
    parameters = {**({THRESHOLD: threshold} if threshold is not None else {}), SAMPLE_EVERY: 0, SAMPLE_WINDOWS: 1}
    operators = [NAMES[number] for number in operator_numbers(pack)]
    needs = {"operators": operators, "slotBytes": len(pack), "arenaBytes": disassemble(pack).arena_bytes}
    return model_document(model.ref, sha256, needs, parameters)


def _provenance(
    training: Training, record: RunRecord, model: TrainedModel, rank: int, gateway: GatewayId
) -> Mapping[str, Any]:
    """Return where a model comes from: digests, settings, scores and counts."""
    figures, counts = model.figures, record.counts
    is_network = model.outcome.trial.method is TrainingMethod.KERAS
    packages = _PACKAGES_OF_NETWORKS if is_network else _PACKAGES
    return {
        "format": "tinyfleet-provenance/1",
        "training": str(training.name),
        "contest": str(training.contest),
        "gateway": str(gateway),
        "run": record.digest,
        "snapshot": {
            "sha256": record.snapshot,
            "newest": _text_of(record.newest),
            "trainedOn": {"normal": counts.trained_normal, "anomalous": counts.trained_anomalous},
            "evaluatedOn": {
                "normal": counts.evaluated_normal,
                "anomalous": counts.evaluated_anomalous,
                "normalWeighted": record.exposure.windows,
                "deviceDays": round(record.exposure.device_days, 6),
            },
        },
        "trial": {"number": figures.trial, "of": record.trials, "rank": rank, **figures.settings},
        "score": {
            "metric": training.objective.metric.value,
            "objective": figures.objective,
            "falseAlarms": figures.false_alarms,
            "detection": figures.detection,
            "threshold": figures.threshold,
            "packBytes": figures.pack_bytes,
        },
        "pack": hashlib.sha256(model.outcome.pack).hexdigest(),
        "versions": {name: found for name in packages if (found := _version(name)) is not None},
    }


def _scored(outcomes: Mapping[int, TrialOutcome]) -> list[ScoredTrial]:
    return [ScoredTrial(number, each.score) for number, each in outcomes.items() if each.score is not None]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _text_of(at: datetime) -> str:
    return at.strftime(_TIME)
