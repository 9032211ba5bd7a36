# SPDX-License-Identifier: Apache-2.0
"""Everything that determines a build's bytes, as one value; its digest is the key of the artifact store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.pack_format import FORMAT_VERSION
from reconciler.model import (
    CLOCK_LABEL,
    AutomaticCut,
    Decide,
    DeviceType,
    FeatureOf,
    LayerSplit,
    LearnSpec,
    Model,
    ModelSource,
    PipelineObjective,
    Runtime,
    StageModel,
    StageOf,
    StagePlace,
    TrainSpec,
)

# Raise it whenever the same recipe would give different bytes: existing artifacts are then built again.
BUILDER_VERSION = 1


@dataclass(frozen=True, slots=True)
class File:
    """A file, identified by its digest; the suffix of its name gives its type."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class GateSpec:
    """A gate: one figure with its limits."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    data: File | None = None


@dataclass(frozen=True, slots=True)
class BuildTarget:
    """The fields of a device type that affect a build."""

    name: str
    architecture: str
    slot_bytes: int
    arena_bytes: int
    operators: tuple[str, ...]
    pack_format: int = FORMAT_VERSION
    clock_mhz: float | None = None
    runtime: Runtime = Runtime.C


@dataclass(frozen=True, slots=True)
class Recipe:
    """The inputs of a build."""

    model: str
    source: File
    target: BuildTarget
    train: TrainSpec | None = None
    decide: Decide | None = None
    scheme: str = "int8"
    representative: File | None = None
    samples: int = 100
    gates: tuple[GateSpec, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    input_shapes: tuple[tuple[int, ...], ...] = ()  # as the model's document states them; empty: not stated
    output_shapes: tuple[tuple[int, ...], ...] = ()
    stage: StageOf | None = None  # None: all of the network
    learn: LearnSpec | None = None  # None: devices do not learn
    cut: AutomaticCut | None = None  # a stage whose part of the network the build decides

    def files(self) -> tuple[File, ...]:
        """Return all files that the build reads."""
        gates = [gate.data for gate in self.gates if gate.data]
        return (self.source, *([self.representative] if self.representative else []), *gates)

    def to_json(self) -> bytes:
        """Return the canonical JSON."""
        content = {**asdict(self), "builder": BUILDER_VERSION, "format": FORMAT_VERSION}
        for name in ("stage", "learn", "cut"):
            if content[name] is None:
                del content[name]  # recipes without one keep their digest
        if self.cut is not None and not self.cut.split:
            del content["cut"]["split"]
        if self.target.runtime is Runtime.C:
            del content["target"]["runtime"]  # recipes of packs keep the digests from before there was another runtime
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @property
    def digest(self) -> str:
        """The identity of this build: the same digest means the same bytes."""
        return hashlib.sha256(self.to_json()).hexdigest()


def recipe_of(model: Model, device_type: DeviceType) -> Recipe:
    """Make the recipe of a model for a device type."""
    quantize = model.quantize
    return Recipe(
        model=str(model.ref),
        source=_file(model.source),
        target=target_of(device_type),
        train=model.train,
        decide=model.decide,
        scheme=quantize.scheme if quantize else "int8",
        representative=_file(quantize.representative) if quantize and quantize.representative else None,
        samples=quantize.samples if quantize else 100,
        gates=tuple(
            GateSpec(gate.metric, gate.at_least, gate.at_most, _file(gate.data) if gate.data else None)
            for gate in model.gates
        ),
        parameters={name: float(value) for name, value in model.parameters.items()},
        input_shapes=tuple(item.shape for item in model.inputs),
        output_shapes=tuple(item.shape for item in model.outputs),
        stage=model.stage,
        learn=model.learn,
        cut=model.cut if isinstance(model, StageModel) else None,
    )


def target_of(device_type: DeviceType) -> BuildTarget:
    """Return the build target of a device type."""
    operators = tuple(sorted(device_type.operators))
    clock = device_type.labels.get(CLOCK_LABEL)
    try:
        clock_mhz = float(clock) if clock is not None else None
    except ValueError as error:
        raise BuildFailed(
            f"device type {device_type.name}: the label {CLOCK_LABEL} is {clock!r}, which is not a number of MHz"
        ) from error
    return BuildTarget(
        device_type.name,
        device_type.architecture,
        device_type.slot_bytes,
        device_type.arena_bytes,
        operators,
        device_type.pack_format,
        clock_mhz,
        device_type.runtime,
    )


def _file(source: ModelSource) -> File:
    location = source.path or source.url or ""
    return File(location.rsplit("/", 1)[-1], source.sha256)


def recipe_from_json(data: bytes) -> Recipe:
    """Read the canonical JSON. It only passes between processes of this program, so it is trusted."""
    raw: dict[str, Any] = json.loads(data)
    train = raw["train"]
    if train is not None:
        train = TrainSpec(**{**train, "features": tuple(FeatureOf(**feature) for feature in train["features"])})
    return Recipe(
        model=raw["model"],
        source=File(**raw["source"]),
        target=_target_from_json(raw["target"]),
        train=train,
        decide=Decide(raw["decide"]) if raw["decide"] else None,
        scheme=raw["scheme"],
        representative=File(**raw["representative"]) if raw["representative"] else None,
        samples=raw["samples"],
        gates=tuple(
            GateSpec(**{**gate, "data": File(**gate["data"]) if gate["data"] else None}) for gate in raw["gates"]
        ),
        parameters=raw["parameters"],
        input_shapes=tuple(tuple(shape) for shape in raw["input_shapes"]),
        output_shapes=tuple(tuple(shape) for shape in raw["output_shapes"]),
        stage=StageOf(**raw["stage"]) if "stage" in raw else None,
        learn=LearnSpec(**raw["learn"]) if "learn" in raw else None,
        cut=_cut_from_json(raw["cut"]) if "cut" in raw else None,
    )


def _cut_from_json(raw: Mapping[str, Any]) -> AutomaticCut:
    places = tuple(StagePlace(**{**place, "operators": tuple(place["operators"])}) for place in raw["places"])
    split = tuple(map(LayerSplit, raw.get("split", ())))
    return AutomaticCut(raw["number"], places, PipelineObjective(raw["objective"]), split)


def _target_from_json(raw: Mapping[str, Any]) -> BuildTarget:
    runtime = Runtime(raw.get("runtime", Runtime.C))
    return BuildTarget(**{**raw, "operators": tuple(raw["operators"]), "runtime": runtime})
