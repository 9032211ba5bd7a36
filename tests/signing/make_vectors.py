# SPDX-License-Identifier: Apache-2.0
"""Writes envelope.json and rotation.json in tests/vectors: signed blobs with the code of each (`make vectors`).

Inputs are fixed. Private keys are generated here and discarded: only public keys and signed bytes are written.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.signing.envelope_vectors import accepted, attacks
from tests.signing.malformed_vectors import algorithms, components, frames, malformed, out_of_range
from tests.signing.parties import Parties
from tests.signing.rotation_vectors import rotations

FAMILIES = (accepted, attacks, out_of_range, algorithms, components, frames, malformed)
VECTORS = Path(__file__).parents[1] / "vectors" / "envelope.json"
ROTATIONS = VECTORS.with_name("rotation.json")


def write(path: Path = VECTORS) -> None:
    """Make all vectors with fresh keys."""
    parties = Parties()
    vectors = [vector for family in FAMILIES for vector in family(parties)]
    states = {
        name: {key.rstrip("_"): value for key, value in asdict(state).items()}
        for name, state in parties.states().items()
    }
    rows = [
        {"name": v.name, "state": v.state, "verdict": v.verdict, "accepted": v.accepted, "envelope": v.envelope.hex()}
        for v in vectors
    ]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    path.write_text(
        f'{{\n"states": {json.dumps(states, indent=1)},\n"vectors": [\n  {lines}\n]\n}}\n', encoding="utf-8"
    )


def write_rotations(path: Path = ROTATIONS) -> None:
    """Make the vectors of rotations with fresh keys."""
    rows = [
        {**asdict(vector), "rotation": vector.rotation.hex(), "delegation": vector.delegation.hex()}
        for vector in rotations(Parties())
    ]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    path.write_text(f"[\n  {lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write()
    write_rotations()
