# SPDX-License-Identifier: Apache-2.0
"""Identifiers, and the values that name or describe things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

DeviceId = NewType("DeviceId", str)
GatewayId = NewType("GatewayId", str)
RolloutId = NewType("RolloutId", str)
ContestId = NewType("ContestId", str)
TrainingId = NewType("TrainingId", str)
PipelineId = NewType("PipelineId", str)
FunctionId = NewType("FunctionId", str)
TypeId = NewType("TypeId", str)
Version = NewType("Version", str)
Commit = NewType("Commit", str)

Labels = Mapping[str, str]
Parameters = Mapping[str, int | float]  # such as a decision threshold


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of one model."""

    name: str
    version: Version

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


ArtifactKey = tuple[ModelRef, TypeId]  # an artifact is built of a model for a device type
