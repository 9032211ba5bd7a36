# SPDX-License-Identifier: Apache-2.0
"""Validates a document completely and finds every error; `schema_predicate` is the fast check for valid documents.

Importing jsonschema takes longer than checking a small fleet, so import this module only when a document has errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from reconciler.load.schema_predicate import all_different, compiled_pattern
from reconciler.load.schemas import inlined_schema


@cache
def validator(kind: str) -> Validator:
    """Return the validator of a kind; it is built once per process."""
    return cast("Validator", _STRICT(inlined_schema(kind)))


def _pattern(_validator: Validator, pattern: str, value: object, _schema: object) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled_pattern(pattern).search(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _unique(_validator: Validator, wanted: bool, value: object, _schema: object) -> Iterator[ValidationError]:  # noqa: FBT001 (the signature of a validator function)
    """Check without comparing every pair of items, as the library does for lists of mixed types."""
    if wanted and isinstance(value, list) and not all_different(value):
        yield ValidationError("the list contains the same item twice")


_STRICT: Any = extend(Draft202012Validator, {"pattern": _pattern, "uniqueItems": _unique})  # type: ignore[no-untyped-call]
