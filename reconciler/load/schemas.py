# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas: where they are stored, and which kinds exist."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.validation.inlined_schema import inlined

API_VERSION = "tinyfleet/v1alpha1"
KINDS: Mapping[str, str] = {
    "Fleet": "fleet",
    "Gateway": "gateway",
    "DeviceType": "device-type",
    "Device": "device",
    "Model": "model",
    "Rollout": "rollout",
    "Contest": "contest",
    "Training": "training",
    "Pipeline": "pipeline",
    "Function": "function",
}
# Kinds of documents that never appear in a fleet repository.
OTHER_KINDS: Mapping[str, str] = {"Observed": "observed"}


def schema_text(kind: str) -> str:
    """Return the stored schema of a kind."""
    return (_directory() / f"{KINDS.get(kind) or OTHER_KINDS[kind]}.json").read_text(encoding="utf-8")


@cache
def inlined_schema(kind: str) -> Mapping[str, Any]:
    """Return the schema of a kind without references: resolving them takes half of the time of a check."""
    return inlined(json.loads(schema_text(kind)))


@cache
def version() -> str:
    """Identify the whole set of schemas, so that cached results of another set are not used."""
    digest = hashlib.sha256()
    for kind in KINDS:
        digest.update(schema_text(kind).encode())
    return digest.hexdigest()


def _directory() -> Path:
    """Find the schemas: inside the installed package, or next to it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"
