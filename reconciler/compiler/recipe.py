# SPDX-License-Identifier: Apache-2.0
"""Everything that decides a build's outcome, as one value with one digest: the key of the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.pack_format import FORMAT_VERSION
from reconciler.model import Decide, DeviceType, FeatureOf, Model, ModelSource, TrainSpec

# Raise it whenever the same recipe would give other bytes: old artifacts are then built anew.
BUILDER_VERSION = 1
CLOCK_LABEL = "clock-mhz"  # of a device type, for estimates of time


@dataclass(frozen=True, slots=True)
class File:
    """A file by its digest; the name tells its kind."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class GateSpec:
    """One figure and its limits."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    data: File | None = None


@dataclass(frozen=True, slots=True)
class BuildTarget:
    """What of a device type matters to a build."""

    name: str
    architecture: str
    slot_bytes: int
    arena_bytes: int
    operators: tuple[str, ...]
    pack_format: int = FORMAT_VERSION
    clock_mhz: float | None = None


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
    input_shapes: tuple[tuple[int, ...], ...] = ()  # as the model's document has them; none: not said
    output_shapes: tuple[tuple[int, ...], ...] = ()

    def files(self) -> tuple[File, ...]:
        """All files that the build reads."""
        gates = [gate.data for gate in self.gates if gate.data]
        return (self.source, *([self.representative] if self.representative else []), *gates)

    def to_json(self) -> bytes:
        """Write the canonical form."""
        content = {**asdict(self), "builder": BUILDER_VERSION, "format": FORMAT_VERSION}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @property
    def digest(self) -> str:
        """What identifies this build: the same digest, the same bytes."""
        return hashlib.sha256(self.to_json()).hexdigest()


def recipe_of(model: Model, kind: DeviceType) -> Recipe:
    """Take what matters of a model and a device type."""
    quantize = model.quantize
    return Recipe(
        model=str(model.ref),
        source=_file(model.source),
        target=target_of(kind),
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
    )


def target_of(kind: DeviceType) -> BuildTarget:
    """Take what matters of a device type."""
    operators = tuple(sorted(kind.operators))
    clock = kind.labels.get(CLOCK_LABEL)
    try:
        clock_mhz = float(clock) if clock is not None else None
    except ValueError as error:
        raise BuildFailed(f"{kind.name}: the label {CLOCK_LABEL} is {clock!r}, not a number of MHz") from error
    return BuildTarget(
        kind.name, kind.architecture, kind.slot_bytes, kind.arena_bytes, operators, kind.pack_format, clock_mhz
    )


def _file(source: ModelSource) -> File:
    place = source.path or source.url or ""
    return File(place.rsplit("/", 1)[-1], source.sha256)


def recipe_from_json(data: bytes) -> Recipe:
    """Read the canonical form: between our own processes."""
    raw: dict[str, Any] = json.loads(data)
    train = raw["train"]
    if train is not None:
        train = TrainSpec(**{**train, "features": tuple(FeatureOf(**feature) for feature in train["features"])})
    return Recipe(
        model=raw["model"],
        source=File(**raw["source"]),
        target=BuildTarget(**{**raw["target"], "operators": tuple(raw["target"]["operators"])}),
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
    )
