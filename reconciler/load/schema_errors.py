# SPDX-License-Identifier: Apache-2.0
"""Validates a document against the schema of its kind, and explains each error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.load.schema_predicate import predicate
from reconciler.validation.schema_errors import DocumentProblem, explain


def schema_problems(kind: str, document: Any) -> Iterator[DocumentProblem]:  # noqa: ANN401 (any JSON value)
    """Validate a document against the schema of its kind, and explain each error."""
    if predicate(kind)(document):
        return
    from reconciler.load.schema_validator import validator  # noqa: PLC0415 - slow to import, and rarely needed

    for error in validator(kind).iter_errors(document):
        yield from explain(error)
