# SPDX-License-Identifier: Apache-2.0
"""A CycloneDX 1.6 bill of materials of a model, with a model card, from chains that hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid5

from reconciler.model import Decide, Model, TensorDescriptor
from reconciler.provenance.chain import Chain
from reconciler.provenance.statement import ArtifactStatement
from signing.identifiers import NAMESPACE

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"  # an identifier
SPEC_VERSION = "1.6"
_TASKS = {
    Decide.ARGMAX: "classification",
    Decide.RECONSTRUCTION: "anomaly detection by reconstruction",
    Decide.THRESHOLD: "decision by a threshold",
}
_METHODS = {
    "isolation-forest": ("anomaly detection", "unsupervised"),
    "random-forest": ("classification", "supervised"),
    "extra-trees": ("classification", "supervised"),
}

Fields = dict[str, Any]


def bill_of_materials(chains: Sequence[Chain]) -> Fields:
    """Describe the artifacts of one model. The same chains give the same bill, with the same serial number."""
    found = [(chain, chain.statement) for chain in chains if chain.statement is not None]
    parts = {item["bom-ref"]: item for _, statement in found for item in _files(statement)}
    for chain, _ in found:
        parts |= {item["bom-ref"]: item for item in _snapshot(chain)}
    models = [_model_component(chain, statement) for chain, statement in found]
    content = [*models, *parts.values()]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE, json.dumps(content, sort_keys=True))}",
        "version": 1,
        "metadata": {"tools": {"components": [*_tools(statement for _, statement in found)]}},
        "components": content,
        "dependencies": [
            {"ref": _reference(statement), "dependsOn": _refs_of(chain, statement)} for chain, statement in found
        ],
    }


def _model_component(chain: Chain, statement: ArtifactStatement) -> Fields:
    name, _, version = statement.model.rpartition("@")
    return {
        "type": "machine-learning-model",
        "bom-ref": _reference(statement),
        "name": name,
        "version": version,
        "description": f"the pack of {statement.model} for device type {statement.type}",
        "hashes": _hashes(statement.pack_sha256),
        "modelCard": _model_card(chain, statement),
        "properties": _properties(
            ("tinyfleet:deviceType", statement.type),
            ("tinyfleet:commit", statement.commit),
            ("tinyfleet:recipe", statement.recipe_sha256),
            ("tinyfleet:builder", statement.builder),
        ),
    }


def _model_card(chain: Chain, statement: ArtifactStatement) -> Fields:
    model = chain.model
    parameters: Fields = {}
    task, approach = _task(model, chain.training)
    if approach:
        parameters["approach"] = {"type": approach}
    if task:
        parameters["task"] = task
    data = _data_refs(chain, statement)
    if data:
        parameters["datasets"] = [{"ref": ref} for ref in data]
    if model is not None and model.inputs:
        parameters["inputs"] = [{"format": _format(item)} for item in model.inputs]
    if model is not None and model.outputs:
        parameters["outputs"] = [{"format": _format(item)} for item in model.outputs]
    card: Fields = {"modelParameters": parameters}
    card["quantitativeAnalysis"] = {"performanceMetrics": [*_metrics(chain, statement)]}
    return card


def _task(model: Model | None, training: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return what a model is for and how it learned, as far as the documents say."""
    if training is not None:
        return _METHODS.get(str(training.get("trial", {}).get("method", "")), ("", ""))
    if model is not None and model.train is not None:
        return _METHODS.get(model.train.method, ("", ""))
    return (_TASKS[model.decide], "") if model is not None and model.decide is not None else ("", "")


def _format(item: TensorDescriptor) -> str:
    shape = "x".join(map(str, item.shape))
    return f"{item.name}: {item.dtype}[{shape}]" + (f", {item.description}" if item.description else "")


def _metrics(chain: Chain, statement: ArtifactStatement) -> Iterator[Fields]:
    for gate in statement.gates:
        yield {"type": gate.metric, "value": f"{gate.value:.6g}", "slice": f"gate of the build: {gate.limit}"}
    score = chain.training.get("score", {}) if chain.training is not None else {}
    for name in ("falseAlarms", "detection"):
        if isinstance(score.get(name), (int, float)):
            kind = f"{name} ({score.get('metric')})" if name == "falseAlarms" else name
            yield {"type": kind, "value": f"{score[name]:.6g}", "slice": "windows held out by the training"}


def _files(statement: ArtifactStatement) -> Iterator[Fields]:
    for file in statement.dependencies:
        yield {
            "type": "data" if _is_data(statement, file.role) else "file",
            "bom-ref": f"sha256:{file.sha256}",
            "name": file.place,
            "hashes": _hashes(file.sha256),
            "properties": _properties(("tinyfleet:role", file.role)),
        }


def _snapshot(chain: Chain) -> Iterator[Fields]:
    """Yield the windows that a training used: they stay on the gateway, and only their digest leaves it."""
    if chain.training is not None:
        snapshot = chain.training["snapshot"]
        yield {
            "type": "data",
            "bom-ref": f"sha256:{snapshot['sha256']}",
            "name": f"windows of training {chain.training['training']}, on gateway {chain.training['gateway']}",
            "hashes": _hashes(snapshot["sha256"]),
            "properties": _properties(("tinyfleet:role", "snapshot")),
        }


def _is_data(statement: ArtifactStatement, role: str) -> bool:
    return role in {"representative", "gate"} or (role == "source" and statement.recipe.get("train") is not None)


def _data_refs(chain: Chain, statement: ArtifactStatement) -> list[str]:
    files = [f"sha256:{each.sha256}" for each in statement.dependencies if _is_data(statement, each.role)]
    return [*dict.fromkeys([*files, *(item["bom-ref"] for item in _snapshot(chain))])]


def _refs_of(chain: Chain, statement: ArtifactStatement) -> list[str]:
    files = [f"sha256:{each.sha256}" for each in statement.dependencies]
    return [*dict.fromkeys([*files, *(item["bom-ref"] for item in _snapshot(chain))])]


def _tools(statements: Iterable[ArtifactStatement]) -> Iterator[Fields]:
    for name, version in sorted({item for each in statements for item in each.tools.items()}):
        yield {"type": "application", "name": name, "version": version}


def _reference(statement: ArtifactStatement) -> str:
    return f"{statement.model}/{statement.type}/{statement.pack_sha256}"


def _hashes(sha256: str) -> list[Fields]:
    return [{"alg": "SHA-256", "content": sha256}]


def _properties(*pairs: tuple[str, str]) -> list[Fields]:
    return [{"name": name, "value": value} for name, value in pairs]
