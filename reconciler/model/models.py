# SPDX-License-Identifier: Apache-2.0
"""Desired state: models, their sources and their gates."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.digests import Digest
from reconciler.model.names import GatewayId, Labels, ModelRef, Parameters
from reconciler.model.pipelines import AutomaticCut, StageOf


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The location of a file, and the digest that it must have."""

    sha256: Digest
    path: str | None = None
    url: str | None = None
    signature: str | None = None  # path of a bundle of model-signing in the repository


@dataclass(frozen=True, slots=True)
class TensorDescriptor:
    """An input or output: its shape, its type, and its meaning."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model needs of a device, as far as that is known before a build."""

    operators: frozenset[str] = frozenset()
    slot_bytes: int = 0
    arena_bytes: int = 0


@dataclass(frozen=True, slots=True)
class QuantizeSpec:
    """How to quantize a model."""

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
    """How to train a forest on the rows of a model's source, with the same result on every gateway."""

    method: str
    trees: int
    samples: int = 256
    seed: int = 0
    max_depth: int = 12
    label: str = "label"
    channels: int = 1
    features: tuple[FeatureOf, ...] = ()  # empty: the columns of a row are the inputs of the trees


@dataclass(frozen=True, slots=True)
class LearnSpec:
    """How a device grows a forest of its own (docs/learning.md); the model decides until it has."""

    rows: int = 600
    every: int = 1
    seed: int = 1
    most_anomalous: float = 5.0  # percent of its own rows


class Decide(StrEnum):
    """How the output of a network becomes a decision (docs/specs/pack.md, HEAD)."""

    ARGMAX = "argmax"
    RECONSTRUCTION = "reconstruction"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate on a build: limits on one metric."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    data: ModelSource | None = None


@dataclass(frozen=True, slots=True)
class FollowedReference:
    """A reference in a registry that moves, and the gateway that proposes a new version when it does."""

    url: str
    gateway: GatewayId


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a model: its source, its inputs and outputs, and its gates."""

    ref: ModelRef
    source: ModelSource
    inputs: tuple[TensorDescriptor, ...] = ()
    outputs: tuple[TensorDescriptor, ...] = ()
    needs: Needs = Needs()
    quantize: QuantizeSpec | None = None
    train: TrainSpec | None = None  # None: the source is a trained model
    learn: LearnSpec | None = None  # None: devices keep the model that they get
    decide: Decide | None = None  # None: a network returns its outputs without a decision
    gates: tuple[Gate, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    stage: StageOf | None = None  # None: all of the network
    pool_only: bool = False  # it evaluates on a gateway and is never built for a device
    follow: FollowedReference | None = None  # None: people add new versions
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageModel(Model):
    """The model of a stage whose pipeline leaves it open where its network is cut."""

    cut: AutomaticCut | None = None
