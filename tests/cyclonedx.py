# SPDX-License-Identifier: Apache-2.0
"""The official schema of CycloneDX 1.6, from the project's own package (requirements/standards.txt)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from referencing import Registry, Resource

SCHEMAS = Path(sys.prefix) / "standards" / "cyclonedx" / "schema" / "_res"


@cache
def _validator() -> Draft7Validator:
    assert SCHEMAS.is_dir(), "run `make setup`"
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(SCHEMAS.glob("*.schema.json"))]
    registry: Registry[bool | Mapping[str, Any]] = Registry()
    registry = registry.with_resources([(schema["$id"], Resource.from_contents(schema)) for schema in loaded])
    wanted = json.loads((SCHEMAS / "bom-1.6.SNAPSHOT.schema.json").read_text(encoding="utf-8"))
    return Draft7Validator(wanted, registry=registry)


def cyclonedx_errors(bill: object) -> list[str]:
    """Return where a bill of materials departs from the schema."""
    return [f"{error.json_path}: {error.message[:200]}" for error in _validator().iter_errors(bill)]
