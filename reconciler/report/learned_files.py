# SPDX-License-Identifier: Apache-2.0
"""What the proposal of a forest that a device has grown writes into Git: its document, and the commit message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.contest.evidence import CandidateComparison
from reconciler.model import Candidate, ContestId, DeviceId, GatewayId, ModelRef
from reconciler.report.training_files import pack_document

_HEAD = b"# Grown on a device; provenance.json says on which, from how many of its windows.\n"


@dataclass(frozen=True, slots=True)
class LearnedFigures:
    """A forest that a device has grown, and how it compares with the champion."""

    contest: ContestId
    gateway: GatewayId
    model: ModelRef
    device: DeviceId
    starter: ModelRef
    rows: int
    anomalous: int
    sha256: str
    pack_bytes: int
    threshold: float | None
    champion: Candidate
    comparison: CandidateComparison

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Return where the model comes from: digests and counts, no windows."""
        found = self.comparison
        return {
            "format": "tinyfleet-provenance/1",
            "contest": str(self.contest),
            "gateway": str(self.gateway),
            "device": str(self.device),
            "starter": str(self.starter),
            "forest": self.sha256,
            "rows": {"grownFrom": self.rows, "anomalous": self.anomalous},
            "evaluatedOn": {"decided": found.decided, "normal": found.normals, "weighted": found.windows},
            "score": {
                "threshold": self.threshold,
                "falseAlarms": found.false_alarms,
                "missed": found.missed,
                "championFalseAlarms": found.champion_false_alarms,
                "championMissed": found.champion_missed,
            },
        }


def learned_document(
    ref: ModelRef, sha256: str, needs: Mapping[str, Any], parameters: Mapping[str, int | float]
) -> bytes:
    """Render the document of a grown forest."""
    return _HEAD + pack_document(ref, sha256, needs, parameters)


def learned_message(figures: LearnedFigures) -> str:
    """Write the message of the commit, with trailers for programs. A forge shows it as the text of the review."""
    found = figures.comparison
    grown = f"The device grew it from {figures.rows} of its own windows while {figures.starter} decided; "
    on = f"{found.decided} windows that the pool has decided, {found.normals} of them from the logs of normal ones"
    return "\n".join((
        f"{figures.model.name}: add a version that {figures.device} has grown",
        "",
        f"{grown}{figures.anomalous} of them are anomalous to it.",
        f"This gateway grew the same bytes from the same rows. On {on}:",
        "",
        "    false alarms   missed   model",
        f"    {found.false_alarms:12d} {found.missed:8d}   {figures.model}",
        f"    {found.champion_false_alarms:12d} {found.champion_missed:8d}   {figures.champion}, the champion",
        "",
        f"Both are weighted by how many windows each one stands for. The pack has {figures.pack_bytes} bytes.",
        f"The contest {figures.contest} evaluates it as a candidate once it is merged. Merging changes no device.",
        "",
        f"Contest: {figures.contest}",
        f"Device: {figures.device}",
        f"Gateway: {figures.gateway}",
        f"Forest: sha256:{figures.sha256}",
    ))  # fmt: skip
