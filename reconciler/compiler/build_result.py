# SPDX-License-Identifier: Apache-2.0
"""The result of a build: the pack, and a report with the figure of every gate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reconciler.model import Artifact, Digest, ModelRef, TypeId, Version

ORACLE_STEP = "compare with TensorFlow Lite"  # the step of a build that runs the model in the oracle


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """A gate with the figure that was measured."""

    metric: str
    value: float
    limit: str
    passed: bool


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The build report. The same recipe with the same tools gives the same report."""

    model: str
    type: str
    recipe: str  # digest
    digest: str  # of the pack
    pack_bytes: int
    arena_bytes: int
    operators: tuple[str, ...]
    gates: tuple[GateOutcome, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)  # versions of what took part; empty in older artifacts

    def to_json(self) -> bytes:
        """Return the report as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A pack and its report."""

    pack: bytes
    report: BuildReport

    @property
    def artifact(self) -> Artifact:
        """The artifact, as planning sees it."""
        name, _, version = self.report.model.rpartition("@")
        return Artifact(
            model=ModelRef(name, Version(version)),
            type=TypeId(self.report.type),
            digest=Digest(self.report.digest),
            pack_bytes=self.report.pack_bytes,
            arena_bytes=self.report.arena_bytes,
            operators=frozenset(self.report.operators),
        )

    @property
    def intact(self) -> bool:
        """Whether the pack is the one that the report describes."""
        return hashlib.sha256(self.pack).hexdigest() == self.report.digest


def report_from_json(data: bytes) -> BuildReport:
    """Read a report from JSON."""
    raw: dict[str, Any] = json.loads(data)
    return BuildReport(
        **{
            **raw,
            "operators": tuple(raw["operators"]),
            "gates": tuple(GateOutcome(**gate) for gate in raw["gates"]),
            "notes": tuple(raw["notes"]),
        }
    )
