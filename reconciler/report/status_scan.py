# SPDX-License-Identifier: Apache-2.0
"""A fast reader for the few facts of a device's status file that a review needs: it reads ten thousand files.

A file in the exact form that `status_files.device_file` writes is read line by line, any other as YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import yaml

from reconciler.model import DeviceId, Parameters, Phase, ReportedDigest, reported_digest
from reconciler.report.conditions import Status
from reconciler.report.status_files import read_device_file

# A message cannot imitate a field: its further lines are indented deeper than the fields of a condition.
_FIELD = re.compile(r"^  (name|model|running|phase|sequence): '?([^'\s]+)'?$", re.MULTILINE)
_CONDITION = re.compile(
    r"^  - type: (\w+)\n    status: '?(\w+)'?\n    reason: (\w+)\n    message: .*?\n    since: '([^']+)'$",
    re.MULTILINE | re.DOTALL,
)
# A map with one number per line, between the fields and the conditions and one level deeper than either.
_PARAMETERS = re.compile(r"^  parameters:(?: \{\}|((?:\n    [a-z][a-z0-9_]*: -?[0-9.]+)+)(?!\n    ))$", re.MULTILINE)
_REQUIRED = {"name", "model", "running", "phase", "sequence"}
_CONDITIONS = "\n  conditions:\n"
_NULL = "null"


class UnreadableStatus(ValueError):
    """The bytes are not a status file of a device."""


@dataclass(frozen=True, slots=True)
class ScannedCondition:
    """A condition without its message."""

    status: Status
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class StatusScan:
    """A device as its gateway reported it."""

    device: DeviceId
    model: str | None
    running: ReportedDigest | None
    phase: Phase | None
    sequence: int
    conditions: Mapping[str, ScannedCondition]
    parameters: Parameters | None = None  # in force; None: unknown


def scan_status(data: bytes) -> StatusScan:
    """Read a status file, or raise `UnreadableStatus`."""
    try:
        return _by_lines(data.decode()) or _by_yaml(data)
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise UnreadableStatus(str(error)) from error


def _by_lines(text: str) -> StatusScan | None:
    head, _, tail = text.partition(_CONDITIONS)
    fields = dict(_FIELD.findall(head + "\n"))
    found = _CONDITION.findall(tail)
    parameters = _PARAMETERS.search(head)
    unusual = parameters is None and "\n  parameters:" in head
    if unusual or fields.keys() != _REQUIRED or len(found) != tail.count("  - type: ") or not found:
        return None
    return StatusScan(
        DeviceId(fields["name"]),
        None if fields["model"] == _NULL else fields["model"],
        None if fields["running"] == _NULL else reported_digest(fields["running"]),
        None if fields["phase"] == _NULL else Phase(fields["phase"]),
        int(fields["sequence"]),
        {kind: ScannedCondition(Status(status), reason, _time(since)) for kind, status, reason, since in found},
        _numbers(parameters[1] or "") if parameters is not None else None,
    )


def _by_yaml(data: bytes) -> StatusScan:
    status = read_device_file(data)
    conditions = {each.type: ScannedCondition(each.status, each.reason, each.since) for each in status.conditions}
    return StatusScan(
        status.device, status.model, status.running, status.phase, status.sequence, conditions, status.parameters
    )


def _numbers(lines: str) -> dict[str, int | float]:
    pairs = (line.split() for line in lines.splitlines() if line)
    return {name.removesuffix(":"): float(value) if "." in value else int(value) for name, value in pairs}


@lru_cache(maxsize=4096)
def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
