# SPDX-License-Identifier: Apache-2.0
"""What a training writes into Git: the document of a model, and the message of the commit that adds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.model import GatewayId, ModelRef, ObjectiveMetric, Training
from reconciler.report.quoted_yaml import quoted_yaml
from reconciler.report.training_figures import TrainedFigures
from reconciler.training.selection import RowCounts

UNITS = {
    ObjectiveMetric.FALSE_ALARMS_PER_DAY: "false alarms a day",
    ObjectiveMetric.FALSE_ALARMS_PER_1000: "false alarms per 1,000 windows",
}


def model_document(
    ref: ModelRef, sha256: str, needs: Mapping[str, Any], parameters: Mapping[str, int | float]
) -> bytes:
    """Render the document of a trained model."""
    head = b"# Trained on a gateway; provenance.json says on what, and how good it is.\n"
    return head + pack_document(ref, sha256, needs, parameters)


def pack_document(ref: ModelRef, sha256: str, needs: Mapping[str, Any], parameters: Mapping[str, int | float]) -> bytes:
    """Render the document of a model whose source is a pack that a gateway commits."""
    document = {
        "apiVersion": "tinyfleet/v1alpha1",
        "kind": "Model",
        "metadata": {"name": ref.name},
        "spec": {
            "version": str(ref.version),
            "source": {"path": f"models/{ref.name}/{ref.version}/model.pack", "sha256": sha256},
            "needs": dict(needs),
            "parameters": dict(parameters),
        },
    }
    return quoted_yaml(document)


def training_message(
    training: Training, gateway: GatewayId, counts: RowCounts, models: Sequence[TrainedFigures], snapshot: str
) -> str:
    """Write the message of the commit, with trailers for programs. A forge shows it as the text of the review."""
    versions = "a version" if len(models) == 1 else f"{len(models)} versions"
    on = f"{counts.trained_normal} normal and {counts.trained_anomalous} anomalous windows"
    others = f"{counts.evaluated_normal} and {counts.evaluated_anomalous} others, the newest among them"
    by = f"{UNITS[training.objective.metric]} and the bytes of the pack"
    return "\n".join((
        f"{training.model}: add {versions} trained by {training.name}",
        "",
        f"Trained on {on}, evaluated on {others}. The best of {training.trials} trials, by {by}:",
        "",
        *_table(models),
        "",
        f"The contest {training.contest} evaluates them as candidates once they are merged. Merging changes no device.",
        "",
        f"Training: {training.name}",
        f"Gateway: {gateway}",
        f"Snapshot: sha256:{snapshot}",
    ))  # fmt: skip


def _table(models: Sequence[TrainedFigures]) -> Iterator[str]:
    yield "    false alarms  detection   bytes  model"
    for each in models:
        detection = "       -" if each.detection is None else f"{each.detection:6.1f} %"
        yield f"    {each.false_alarms:12.2f}  {detection:>9}  {each.pack_bytes:6d}  {each.model}"
        yield f"        {each.text}"
