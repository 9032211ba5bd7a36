# SPDX-License-Identifier: Apache-2.0
"""Translates the pack of an isolation forest into a package, and proves on examples that both decide alike."""

from __future__ import annotations

import base64
import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reconciler.compiler.errors import RuntimeUnsupported
from reconciler.compiler.micropython.feature_code import feature_code, template
from reconciler.compiler.pack.features_section import FeatureWindow, decode_features
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.forest_section import Forest, Leaf, Split, Tree, decode_forest
from reconciler.compiler.pack.io_section import Descriptor
from reconciler.compiler.pack.pack_format import PackKind, SectionId, disassemble
from reconciler.compiler.pack.package_format import (
    CODE,
    CONFIG,
    FEATURES,
    ISOLATION_SCORE,
    MODEL,
    assemble_package,
    disassemble_package,
)
from reconciler.compiler.pack.tunable_parameters_section import decode_parameters, name_hash
from reconciler.compiler.reference.golden_vectors import DEFAULT_SEEDS
from reconciler.compiler.reference.interpreter import ReferenceInterpreter, generate_inputs
from reconciler.model.samples import SAMPLE_EVERY
from signing.identifiers import PACKAGE_FORMAT

THRESHOLD = "threshold"
_LEAF = 255
_NOISE = (0, 1, 40, 2000, 32767)  # the largest samples of the windows on which both are compared
_KINDS = {PackKind.THRESHOLD: "a threshold model", PackKind.NEURAL_NETWORK: "a neural network"}
_MODES = {ForestMode.CLASSIFICATION: "a forest that classifies", ForestMode.REGRESSION: "a regression forest"}
_NODE_BYTES = 1 + 2 + 2  # feature, value, right

Infer = Callable[[Sequence[int], Sequence[int]], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """What a device stores, and the memory that it needs to run it; with MicroPython, that of the arrays alone."""

    data: bytes
    arena_bytes: int


def translate(pack: bytes) -> DeviceModel:
    """Make the package of a pack; raise RuntimeUnsupported unless it is an isolation forest."""
    sections = disassemble(pack)
    if sections.kind is not PackKind.TREE_ENSEMBLE:
        raise _unsupported(_KINDS[sections.kind])
    window = decode_features(sections.section(SectionId.FEATURES))
    forest = decode_forest(sections.section(SectionId.FOREST), len(window.features))
    if forest.mode is not ForestMode.ISOLATION:
        raise _unsupported(_MODES[forest.mode])
    parameters = decode_parameters(sections.section(SectionId.PARAMETERS))
    if [entry.name_hash for entry in parameters] != [name_hash(THRESHOLD)]:
        raise RuntimeUnsupported(
            f"MicroPython devices keep no samples, and take one parameter, {THRESHOLD}: remove {SAMPLE_EVERY}"
        )
    (entry,) = parameters
    limits = {"default": entry.default, "least": entry.minimum, "most": entry.maximum}
    known = {"encoding": ISOLATION_SCORE, "name": THRESHOLD, "subsample": forest.subsample, "trees": len(forest.trees)}
    reference = ReferenceInterpreter(pack)
    config = {
        "format": PACKAGE_FORMAT,
        "golden": [_golden(reference, seed) for seed in DEFAULT_SEEDS],
        "parameters": [limits | known],
        "window": {"channels": window.channels, "samples": window.samples},
    }
    data = assemble_package(
        {
            MODEL: _json(_model(forest)),
            CODE: template(CODE).encode(),
            CONFIG: _json(config),
            FEATURES: feature_code(window, forest.threshold_bits),
        }
    )
    _compare(data, reference, reference.inputs)
    return DeviceModel(data, _arena_bytes(forest, window))


def _unsupported(what: str) -> RuntimeUnsupported:
    return RuntimeUnsupported(
        f"{what} can't run on a device type with runtime micropython: it runs isolation forests. "
        "Choose one, or a device type with the agent in C"
    )


def _json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _golden(reference: ReferenceInterpreter, seed: int) -> dict[str, int]:
    result = reference.run(generate_inputs(seed, reference.inputs))
    return {"seed": seed, "decision": result.decision, "score": result.score}


def _model(forest: Forest) -> dict[str, object]:
    trees = [_flat(tree) for tree in forest.trees]
    feature, value, right = (np.concatenate([tree[i] for tree in trees]) for i in range(3))
    if int(right.max(initial=0)) > 0xFFFF or forest.features >= _LEAF:  # noqa: PLR2004 - the width of the arrays
        raise RuntimeUnsupported("a tree has more nodes than a package can hold: lower spec.train.samples")
    return {
        "kind": "isolation-forest",
        "bits": forest.threshold_bits,
        "features": forest.features,
        "nodes": [len(tree[0]) for tree in trees],
        "feature": _base64(feature.astype("<u1")),
        "value": _base64(value.astype("<u2")),
        "right": _base64(right.astype("<u2")),
        "table": _base64(forest.table.astype("<i2")),
    }


def _flat(tree: Tree) -> tuple[list[int], list[int], list[int]]:
    """Return feature, value and the distance to the right child of each node, in pre-order."""
    feature: list[int] = []
    value: list[int] = []
    right: list[int] = []
    pending: list[tuple[Tree, int | None]] = [(tree, None)]  # a node, and the split whose right child it is
    while pending:
        node, parent = pending.pop()
        if parent is not None:
            right[parent] = len(feature) - parent
        right.append(0)
        match node:
            case Leaf(row):
                feature.append(_LEAF)
                value.append(row)
            case Split(at, threshold, less, more):
                feature.append(at)
                value.append(threshold)
                pending += [(more, len(feature) - 1), (less, None)]
    return feature, value, right


def _base64(array: np.ndarray[tuple[int, ...], np.dtype[np.integer]]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _arena_bytes(forest: Forest, window: FeatureWindow) -> int:
    nodes = sum(len(_flat(tree)[0]) for tree in forest.trees)
    return nodes * _NODE_BYTES + 2 * forest.table.size + 2 * window.samples * window.channels


def _compare(data: bytes, reference: ReferenceInterpreter, inputs: Sequence[Descriptor]) -> None:
    """Run the package next to the pack; a difference is a bug of the compiler."""
    infer = run_package(data)
    rng = np.random.default_rng(len(data))
    (window,) = inputs
    noise = [rng.integers(-spread, spread + 1, window.elements) for spread in _NOISE]
    windows = [generate_inputs(seed, inputs)[0] for seed in DEFAULT_SEEDS] + [x.astype("<i2").tobytes() for x in noise]
    defaults = [entry.default for entry in reference.parameters]
    for each in windows:
        wanted = reference.run([each])
        if infer(np.frombuffer(each, "<i2").tolist(), defaults) != (wanted.decision, wanted.score):
            raise AssertionError("the package does not decide like its pack: a bug of the compiler")


def run_package(data: bytes) -> Infer:
    """Return the function `infer` of a package, run by this Python from memory."""
    files = disassemble_package(data)
    model = json.loads(files[MODEL])
    features = types.ModuleType("features")
    exec(compile(files[FEATURES], FEATURES, "exec"), features.__dict__)  # noqa: S102 - text that this module generated
    source = files[CODE].decode().replace("from .features import features\n", "")
    code = types.ModuleType("package")
    code.__dict__["features"] = features.features
    exec(compile(source, CODE, "exec"), code.__dict__)  # noqa: S102 - as above
    infer: Infer = code.FlatForest(model).infer
    return infer
