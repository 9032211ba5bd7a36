# SPDX-License-Identifier: Apache-2.0
"""The problems of a fleet repository for programs: as JSON, and as annotations on GitHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict

from reconciler.load import LoadResult, Problem, Severity
from reconciler.review.formatting import counted


def as_json(problems: Iterable[Problem], loaded: LoadResult) -> str:
    """Write the problems as one JSON document."""
    rows = [
        {"severity": problem.severity} | {_camel(name): value for name, value in asdict(problem).items()}
        for problem in problems
    ]
    return json.dumps({"valid": loaded.desired is not None, "problems": rows}, indent=2) + "\n"


def github(problems: Iterable[Problem], _loaded: LoadResult) -> str:
    """Write workflow commands: GitHub shows each at its line in a pull request."""
    return "".join(f"{_annotation(problem)}\n" for problem in problems)


FORMATS: dict[str, Callable[[Iterable[Problem], LoadResult], str]] = {"json": as_json, "github": github}


def summary(loaded: LoadResult) -> str:
    """Count the problems, or the documents of a valid repository."""
    warnings = sum(problem.severity is Severity.WARNING for problem in loaded.problems)
    desired = loaded.desired
    if desired is None:
        return f"{counted(len(loaded.errors), 'error')}, {counted(warnings, 'warning')}"
    kinds = (
        (desired.gateways, "gateway"),
        (desired.types, "device type"),
        (desired.devices, "device"),
        (desired.models, "model"),
        (desired.rollouts, "rollout"),
    )
    counts = ", ".join(counted(len(documents), kind) for documents, kind in kinds)
    if desired.contests:
        counts += f", {counted(len(desired.contests), 'contest')}"
    if desired.trainings:
        counts += f", {counted(len(desired.trainings), 'training')}"
    if desired.pipelines:
        counts += f", {counted(len(desired.pipelines), 'pipeline')}"
    return f"valid: {counts}" + (f"; {counted(warnings, 'warning')}" if warnings else "")


def _annotation(problem: Problem) -> str:
    message = problem.message + (f" [{problem.json_path}]" if problem.json_path else "")
    message += f" ({problem.hint})" if problem.hint else ""
    place = f",line={problem.line},col={problem.column}" if problem.line else ""
    return annotation(f"{problem.severity} file={_property(problem.path)}{place}", problem.rule, message)


def annotation(command: str, title: str, message: str) -> str:
    """Write one workflow command; `command` may already have parameters."""
    separator = "," if " " in command else " "
    return f"::{command}{separator}title={_property(title)}::{_data(message)}"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
