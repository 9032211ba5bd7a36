# SPDX-License-Identifier: Apache-2.0
"""Loads tests/vectors/envelope.json for verifiers that are callable from Python, including the one in C."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signing.delegation import Delegation
from signing.identifiers import EnvelopeTarget
from signing.verify import DeviceState

VECTORS = Path(__file__).parents[1] / "vectors" / "envelope.json"


@dataclass(frozen=True)
class Vector:
    name: str
    state: DeviceState
    verdict: str
    accepted: dict[str, Any] | None
    envelope: bytes


def load_vectors() -> Iterator[Vector]:
    document = json.loads(VECTORS.read_text(encoding="utf-8"))
    states = {name: _state(state) for name, state in document["states"].items()}
    for row in document["vectors"]:
        envelope = bytes.fromhex(row["envelope"])
        yield Vector(row["name"], states[row["state"]], row["verdict"], row["accepted"], envelope)


def _state(state: dict[str, Any]) -> DeviceState:
    vendor = bytes.fromhex(state["vendor"])
    held = state["held"]
    return DeviceState(
        root_key=bytes.fromhex(state["root"]),
        target=EnvelopeTarget(vendor, bytes.fromhex(state["class"]), bytes.fromhex(state["device"])),
        slot_bytes=state["slot_bytes"],
        sequence=state["sequence"],
        held=held and Delegation(bytes.fromhex(held["key"]), vendor, held["epoch"], held["not_after"]),
        running=state["running"] and bytes.fromhex(state["running"]),
        now=state["now"],
    )
