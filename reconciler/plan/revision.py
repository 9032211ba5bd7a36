# SPDX-License-Identifier: Apache-2.0
"""The revision of a rollout: a hash of what Git wants of it.

While the revision is the same, failed devices stay failed and a stopped rollout stays stopped.
"""

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
# These fields say whether, when and in which order a rollout acts. A change of them does not retry what failed.
SCHEDULING_FIELDS = frozenset({"suspend", "windows", "critical", "priority", "depends_on"})


def revision_of(desired: Desired, name: RolloutId) -> str:
    """Hash a rollout and its model. The result is the same on every gateway, and in later releases too.

    Fields with their default value are left out, so a field that a later release adds changes no revision.
    """
    rollout = desired.rollouts[name]
    content = {
        "rollout": {key: value for key, value in _fields_of(rollout).items() if key not in SCHEDULING_FIELDS},
        "model": _fields_of(desired.models[rollout.model]),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _fields_of(value: DataclassInstance) -> dict[str, Any]:
    content = {}
    for field in fields(value):
        current = getattr(value, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if current != default:
            content[field.name] = _plain(current)
    return content


def _plain(value: object) -> Any:  # noqa: ANN401 (whatever JSON has)
    if is_dataclass(value) and not isinstance(value, type):
        return _fields_of(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value
