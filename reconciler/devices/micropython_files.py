# SPDX-License-Identifier: Apache-2.0
"""The files of a new device that runs MicroPython (docs/specs/package.md section 7).

They contain the device's private key and must be protected like one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.devices.flash_image import Identity

IDENTITY_FILE = "device.json"


@dataclass(frozen=True, slots=True)
class PrebakedPackage:
    """A package that updates never touch."""

    digest: bytes
    size: int
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class ReportedLimits:
    """What the device reports that it can hold and run."""

    slot_bytes: int
    arena_bytes: int
    operators: Sequence[int]  # their numbers in packs


def device_files(identity: Identity, limits: ReportedLimits, prebaked: Sequence[PrebakedPackage]) -> dict[str, bytes]:
    """Return the files, by their path below the agent's folder on the device."""
    described = {
        "fleet": identity.fleet,
        "device": identity.name,
        "type": identity.type_name,
        "vendor": identity.vendor.hex(),
        "class": identity.class_id.hex(),
        "id": identity.device.hex(),
        "root": identity.root_public.hex(),
        "public": identity.public.hex(),
        "seed": identity.seed.hex(),
        "address": identity.address,
        "slot_bytes": limits.slot_bytes,
        "arena_bytes": limits.arena_bytes,
        "operators": sorted(limits.operators),
        "prebaked": [{"digest": package.digest.hex(), "size": package.size} for package in prebaked],
    }
    files = {IDENTITY_FILE: json.dumps(described, indent=1).encode() + b"\n"}
    for number, package in enumerate(prebaked):
        files |= {f"prebaked_{number}/{name}": data for name, data in package.files.items()}
    return files
