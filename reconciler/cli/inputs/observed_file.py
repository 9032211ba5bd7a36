# SPDX-License-Identifier: Apache-2.0
"""The file of `tinyfleet plan --observed`: an observed state as YAML or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.errors import Invalid, Unusable
from reconciler.load.document_check import locate_problems
from reconciler.load.observed_document import ObservedInvalid, observed_from, timestamp_of
from reconciler.load.schema_errors import schema_problems
from reconciler.load.strict_yaml import parse_yaml
from reconciler.model import Desired, Observed, ObservedDevice, Phase
from reconciler.validation.excerpt import excerpt
from reconciler.validation.problems import Problem

MAX_SHOWN = 20


class NotReadable(Unusable):
    """The file cannot be read."""


class NotObserved(Invalid):
    """The file does not hold a valid observed state."""


def read_observed(path: Path) -> tuple[Observed, datetime | None]:
    """Read an observed state, JSON if the name ends with .json, and the time that it describes."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotReadable(f"{path}: {error.strerror}") from error
    document = _json(path, data) if path.suffix == ".json" else _yaml(path, data)
    findings = [(0, finding) for finding in schema_problems("Observed", document)]
    if findings:
        _refuse(path, data, locate_problems(data, findings))
    try:
        return observed_from(document), timestamp_of(document)
    except ObservedInvalid as error:
        raise NotObserved(f"{path}: {error}") from error


def as_new(desired: Desired, now: datetime) -> Observed:
    """Assume that every device has just reported for the first time and runs nothing."""
    return Observed(devices=dict.fromkeys(desired.devices, ObservedDevice(now, Phase.IDLE, None)))


def _yaml(path: Path, data: bytes) -> Any:  # noqa: ANN401 (the schema decides)
    reading = parse_yaml(data)
    if reading.problems:
        _refuse(path, data, reading.problems)
    if len(reading.documents) != 1:
        raise NotObserved(f"{path}: {len(reading.documents)} documents; exactly one is expected")
    return reading.documents[0].value


def _json(path: Path, data: bytes) -> Any:  # noqa: ANN401 (the schema decides)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotObserved(f"{path}: not JSON: {error}") from error


def _refuse(path: Path, data: bytes, problems: Iterable[Problem]) -> None:
    """Refuse the file, with the line and a caret for each problem; JSON has them too, as it is YAML."""
    every = sorted(replace(problem, path=str(path)) for problem in problems)
    text = data.decode("utf-8", "replace")
    lines = [line for each in every[:MAX_SHOWN] for line in (str(each), *excerpt(text, each.line, each.column))]
    more = [f"and {len(every) - MAX_SHOWN} more"] if len(every) > MAX_SHOWN else []
    raise NotObserved("\n".join(["the observed state has errors", *lines, *more]))
