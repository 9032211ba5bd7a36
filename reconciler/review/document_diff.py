# SPDX-License-Identifier: Apache-2.0
"""The difference between the documents of two commits: names, and the fields that changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from reconciler.model import Desired


class ChangeKind(StrEnum):
    """How a document changed."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, order=True)
class DocumentChange:
    """One document that changed."""

    document: str
    name: str
    kind: ChangeKind
    fields: tuple[str, ...] = ()  # as YAML writes them


def differences(before: Desired, after: Desired) -> tuple[DocumentChange, ...]:
    """Compare all documents, kind by kind, by name."""
    found: list[DocumentChange] = []
    if before.fleet != after.fleet:
        found.append(DocumentChange("Fleet", after.fleet.name, ChangeKind.CHANGED, _fields(before.fleet, after.fleet)))
    for document, old, new in (
        ("Gateway", before.gateways, after.gateways),
        ("DeviceType", before.types, after.types),
        ("Model", before.models, after.models),
        ("Rollout", before.rollouts, after.rollouts),
        ("Contest", before.contests, after.contests),
        ("Training", before.trainings, after.trainings),
        ("Pipeline", before.pipelines, after.pipelines),
        ("Function", before.functions, after.functions),
        ("Device", before.devices, after.devices),
    ):
        found += _differences(document, old, new)
    return tuple(found)


def _differences(document: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> list[DocumentChange]:
    changes = [DocumentChange(document, str(key), ChangeKind.ADDED) for key in new.keys() - old.keys()]
    changes += [DocumentChange(document, str(key), ChangeKind.REMOVED) for key in old.keys() - new.keys()]
    for key in new.keys() & old.keys():
        # A blob is loaded once, so an unchanged document is the same object in both.
        if new[key] is not old[key] and new[key] != old[key]:
            changes.append(DocumentChange(document, str(key), ChangeKind.CHANGED, _fields(old[key], new[key])))
    return sorted(changes)


def _fields(old: Any, new: Any) -> tuple[str, ...]:  # noqa: ANN401 - any document
    names = (each.name for each in fields(new))
    return tuple(_yaml_name(name) for name in names if getattr(old, name) != getattr(new, name))


def _yaml_name(name: str) -> str:
    """Return the name of a field in YAML."""
    first, *rest = name.removesuffix("_s").split("_")
    return first + "".join(part.capitalize() for part in rest)
