# SPDX-License-Identifier: Apache-2.0
"""A rollout's status file: for people, for `tinyfleet rollout`, and for the other gateways, which plan with it.

Sets of devices are one line of names each, so that a file about ten thousand devices is small, quick to read, and
differs from the one before by what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import yaml

from reconciler.errors import Invalid
from reconciler.model import DeviceId, RolloutId, RolloutReport
from reconciler.report.conditions import Condition
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, WaveFacts

KIND = "RolloutStatus"
SETS = ("done", "begun", "soaking", "due", "failed", "missing", "out")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_WORDS_MOST = 500


class InvalidRolloutStatus(Invalid):
    """A file does not say what a rollout's status says."""

    reason: ClassVar[str] = "InvalidStatus"


def rollout_file(status: RolloutStatus) -> bytes:
    """Render one rollout."""
    facts, word = status.facts, status.facts.word
    told: dict[str, Any] = {
        "model": facts.model,
        "revision": word.revision,
        "at": word.at.strftime(_TIME) if word.at else None,
        "complete": facts.complete,
        "stopped": word.stopped,
        "takenBack": facts.rolled_back,
        "waiting": facts.waiting,
        "held": facts.held,
        "waves": [wave_as_dict(wave) for wave in facts.waves],
        "devices": {name: " ".join(sorted(names)) for name in SETS if (names := getattr(word, name))},
        "conditions": [condition.as_dict() for condition in status.conditions],
    }
    metadata = {"name": facts.rollout}
    document = {"apiVersion": "tinyfleet/v1alpha1", "kind": KIND, "metadata": metadata, "status": told}
    text: bytes = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=2**31 - 1, encoding="utf-8"
    )
    return text


def read_rollout_file(data: bytes) -> RolloutStatus:
    """Read what `rollout_file` rendered, here or at another gateway; raise `InvalidRolloutStatus` for anything else."""
    try:
        document = yaml.load(data, Loader=yaml.CSafeLoader)
        return _status(document)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidRolloutStatus(f"no status of a rollout: {error!r}"[:_WORDS_MOST]) from error


def _status(document: Mapping[str, Any]) -> RolloutStatus:
    if document["kind"] != KIND:
        raise InvalidRolloutStatus(f"a document of kind {document['kind']!r}")
    told = document["status"]
    names = {name: frozenset(map(DeviceId, _text(told["devices"].get(name, "")).split())) for name in SETS}
    at = datetime.strptime(told["at"], _TIME).replace(tzinfo=UTC) if told["at"] else None
    facts = RolloutFacts(
        rollout=RolloutId(_text(document["metadata"]["name"])),
        model=_text(told["model"]),
        word=RolloutReport(_text(told["revision"]), **names, stopped=_text(told["stopped"])[:_WORDS_MOST], at=at),
        waves=tuple(_wave_from(wave) for wave in told["waves"]),
        complete=bool(told["complete"]),
        waiting=_text(told["waiting"]),
        held=_text(told["held"]),
        rolled_back=bool(told["takenBack"]),
    )
    return RolloutStatus(facts, tuple(Condition.from_dict(each) for each in told["conditions"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text was expected")  # and nothing that would have to be spelt out first
    return value


def wave_as_dict(wave: WaveFacts) -> dict[str, Any]:
    """Tell a wave as files and commands do."""
    return {
        "name": wave.name,
        "devices": wave.devices,
        "done": wave.done,
        "atRisk": wave.at_risk,
        "due": wave.due,
        "failed": wave.failed,
        "missing": wave.missing,
        "open": wave.open,
    }


def _wave_from(told: Mapping[str, Any]) -> WaveFacts:
    return WaveFacts(
        name=_text(told["name"]),
        devices=int(told["devices"]),
        done=int(told["done"]),
        at_risk=int(told["atRisk"]),
        due=int(told["due"]),
        failed=int(told["failed"]),
        missing=int(told["missing"]),
        open=bool(told["open"]),
    )
