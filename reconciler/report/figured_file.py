# SPDX-License-Identifier: Apache-2.0
"""Status files that consist of figures and conditions, such as those of contests and trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import yaml

from reconciler.errors import Invalid
from reconciler.report.conditions import Condition, Conditions

AnyStatus = TypeVar("AnyStatus")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class FiguredFile:
    """A status file, read: its figures are not looked at."""

    name: str
    figures: Mapping[str, Any]
    conditions: Conditions


def figured_file(kind: str, name: str, figures: Mapping[str, Any], conditions: Conditions) -> bytes:
    """Render a status file."""
    fields = {**figures, "conditions": [each.as_dict() for each in conditions]}
    document = {"apiVersion": "tinyfleet/v1alpha1", "kind": kind, "metadata": {"name": name}, "status": fields}
    text: bytes = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8"
    )
    return text


def read_figured_file(
    kind: str, data: bytes, invalid: type[Invalid], status_of: Callable[[FiguredFile], AnyStatus]
) -> AnyStatus:
    """Read a status file of this kind, or raise `invalid`."""
    try:
        document = yaml.load(data, Loader=yaml.CSafeLoader)
        if document["kind"] != kind:
            raise invalid(f"a document of kind {document['kind']!r}")
        fields = document["status"]
        conditions = tuple(Condition.from_dict(each) for each in fields["conditions"])
        return status_of(FiguredFile(document["metadata"]["name"], fields, conditions))
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise invalid(f"not a {kind}: {error!r}"[:500]) from error


def text_of(at: datetime | None) -> str | None:
    """Return a time as status files have it."""
    return at.strftime(_TIME) if at is not None else None


def time_of(text: str | None) -> datetime | None:
    """Read the result of `text_of`."""
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC) if text else None
