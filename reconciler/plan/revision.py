# SPDX-License-Identifier: Apache-2.0
"""What Git wants of a rollout, as a name: while it is the same, what failed stays failed and what stopped, stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from reconciler.model import Desired, RolloutId

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DIGITS = 16
# Whether and when it may act, and before whom, is no reason to try again what failed.
ASIDE = frozenset({"suspend", "windows", "critical", "priority", "depends_on"})


def revision_of(desired: Desired, name: RolloutId) -> str:
    """Name what a rollout and its model say; the same on every gateway, and in the next release too.

    Fields that have their default are left out, so a field that a later release adds changes no name.
    """
    rollout = desired.rollouts[name]
    said = {
        "rollout": {key: value for key, value in _said(rollout).items() if key not in ASIDE},
        "model": _said(desired.models[rollout.model]),
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _said(value: DataclassInstance) -> dict[str, Any]:
    said = {}
    for field in fields(value):
        here = getattr(value, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if here != default:
            said[field.name] = _plain(here)
    return said


def _plain(value: object) -> Any:  # noqa: ANN401 (whatever JSON has)
    if is_dataclass(value) and not isinstance(value, type):
        return _said(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value
