# SPDX-License-Identifier: Apache-2.0
"""What is wanted: models, where they come from, and the figures that they must reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.digests import Digest
from reconciler.model.names import Labels, ModelRef, Parameters


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model's file is, and which bytes it must have."""

    sha256: Digest
    path: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class TensorDescriptor:
    """One input or output: its shape, its type, and what it means."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model asks of a device, as far as it is known before a build."""

    operators: frozenset[str] = frozenset()
    slot_bytes: int = 0
    arena_bytes: int = 0


@dataclass(frozen=True, slots=True)
class QuantizeSpec:
    """How to make int8 of a float model."""

    scheme: str = "int8"
    representative: ModelSource | None = None
    samples: int = 100


@dataclass(frozen=True, slots=True)
class FeatureOf:
    """A statistic of one channel of a window."""

    statistic: str
    channel: int = 0


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """How to grow a forest from the rows of a model's source, the same on every gateway."""

    method: str
    trees: int
    samples: int = 256
    seed: int = 0
    max_depth: int = 12
    label: str = "label"
    channels: int = 1
    features: tuple[FeatureOf, ...] = ()  # none: a row's columns are the trees' inputs


class Decide(StrEnum):
    """How a network's output becomes a decision (docs/specs/pack.md, HEAD)."""

    ARGMAX = "argmax"
    RECONSTRUCTION = "reconstruction"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure that a build must reach: `metric` compared with a floor or a ceiling."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    data: ModelSource | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a model: its source, its shapes, and the bar it must clear."""

    ref: ModelRef
    source: ModelSource
    inputs: tuple[TensorDescriptor, ...] = ()
    outputs: tuple[TensorDescriptor, ...] = ()
    needs: Needs = Needs()
    quantize: QuantizeSpec | None = None
    train: TrainSpec | None = None  # None: the source is a model already
    decide: Decide | None = None  # None: a network's outputs are all there is
    gates: tuple[Gate, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)
