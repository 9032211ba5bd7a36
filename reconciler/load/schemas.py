# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas: where they are stored, which kinds exist, and a validator for each kind."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

API_VERSION = "tinyfleet/v1alpha1"
KINDS: Mapping[str, str] = {
    "Fleet": "fleet",
    "Gateway": "gateway",
    "DeviceType": "device-type",
    "Device": "device",
    "Model": "model",
    "Rollout": "rollout",
}
# Kinds of documents that never appear in a fleet repository.
OTHER_KINDS: Mapping[str, str] = {"Observed": "observed"}
ALLOWED = "x-allowed"  # keeps the description of an inlined definition next to that of the field
# Reserved names, so that `Contest` is not reported as a typing mistake.
PLANNED_KINDS = ("Contest", "Pipeline", "Function")


def schema_text(kind: str) -> str:
    """Return the stored schema of a kind."""
    return (_directory() / f"{KINDS.get(kind) or OTHER_KINDS[kind]}.json").read_text(encoding="utf-8")


@cache
def validator(kind: str) -> Validator:
    """Return the validator of a kind; it is built once per process."""
    schema = json.loads(schema_text(kind))
    return cast("Validator", _STRICT(_inlined(schema, schema.get("$defs", {}))))


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


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 (any part of a schema)
    """Replace each `$ref` with its definition: resolving them takes half of the time of a check.

    No definition is recursive.
    """
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    own = {key: _inlined(value, definitions) for key, value in node.items() if key not in {"$ref", "$defs"}}
    if "$ref" not in node:
        return own
    definition = _inlined(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    return {**definition, **own, ALLOWED: definition.get("description", "")}


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Compile an ECMA pattern, where `$` matches only at the very end; Python's also matches before a final `\n`."""
    return re.compile(f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern)


def _pattern(_validator: Validator, pattern: str, value: object, _schema: object) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _compiled(pattern).search(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _unique(_validator: Validator, wanted: bool, value: object, _schema: object) -> Iterator[ValidationError]:  # noqa: FBT001 (the signature of a validator function)
    """Compare items as JSON text: for lists of mixed types the library compares every pair, in quadratic time."""
    if wanted and isinstance(value, list):
        seen = {json.dumps(item, sort_keys=True) for item in value}
        if len(seen) < len(value):
            yield ValidationError("the list contains the same item twice")


_STRICT: Any = extend(Draft202012Validator, {"pattern": _pattern, "uniqueItems": _unique})  # type: ignore[no-untyped-call]
