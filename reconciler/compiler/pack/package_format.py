# SPDX-License-Identifier: Apache-2.0
"""Packages for MicroPython: four files in one canonical CBOR map (docs/specs/package.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cbor2

from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.pack.isolation_score import isolation_limit

MODEL, CODE, CONFIG, FEATURES = NAMES = ("model.json", "__init__.py", "config.json", "features.py")
ISOLATION_SCORE: Final = "isolation-score"
_HEAD: Final = b"\xa4\x6amodel.json"


@dataclass(frozen=True, slots=True)
class PackageParameter:
    """A number that an envelope can change without a new package."""

    name: str
    default: int
    least: int
    most: int
    trees: int
    subsample: int

    def encode(self, value: float) -> int:
        """Return the integer of a value as documents state it."""
        if not 0.0 < value <= 1.0:
            raise BuildFailed(f"an isolation score must be above 0 and at most 1, not {value}")
        number = isolation_limit(self.subsample, self.trees, value)
        if not self.least <= number <= self.most:
            raise BuildFailed(f"parameter {self.name}: {value} is outside of the range that the model allows")
        return number


def is_package(data: bytes) -> bool:
    """Return whether these are the bytes of a package and not of a pack."""
    return data.startswith(_HEAD)


def assemble_package(files: Mapping[str, bytes]) -> bytes:
    """Write a package from its files."""
    if set(files) != set(NAMES):
        raise ValueError(f"a package has the files {', '.join(NAMES)}, not {', '.join(sorted(files))}")
    return cbor2.dumps({name: files[name] for name in NAMES})


def disassemble_package(data: bytes) -> dict[str, bytes]:
    """Return the files of a package."""
    try:
        files = cbor2.loads(data)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise PackMalformed(f"not a package: {error}") from error
    whole = (
        isinstance(files, dict) and tuple(files) == NAMES and all(isinstance(each, bytes) for each in files.values())
    )
    if not whole or cbor2.dumps(files) != data:
        raise PackMalformed(f"a package has exactly the files {', '.join(NAMES)}, in canonical CBOR")
    return {name: bytes(files[name]) for name in NAMES}


def package_parameters(data: bytes) -> tuple[PackageParameter, ...]:
    """Return the parameters of a package, in the order of their indices."""
    entries = json.loads(disassemble_package(data)[CONFIG])["parameters"]
    return tuple(
        PackageParameter(e["name"], e["default"], e["least"], e["most"], e["trees"], e["subsample"]) for e in entries
    )
