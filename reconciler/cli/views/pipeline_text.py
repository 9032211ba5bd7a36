# SPDX-License-Identifier: Apache-2.0
"""Pipelines and their results as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from reconciler.cli.views.contest_text import plain_table


def listed_pipelines(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Show all pipelines, one line for each stage."""
    if not found:
        return Text("no pipelines can run")
    table = plain_table("PIPELINE", "MODEL", "STAGE", "DEVICES", "RAN BY")
    for each in found:
        for stage in each["stages"]:
            first = stage["number"] == 1
            ran_by = ", ".join(f"{who} {count}" for who, count in sorted(stage["ran_by"].items())) or "-"
            table.add_row(
                each["name"] if first else "", each["model"] if first else "", str(stage["number"]),
                ", ".join(stage["devices"]), ran_by,
            )  # fmt: skip
    return table


def ran_stages(result: Mapping[str, Any]) -> RenderableType:
    """Show a result, and who ran each stage."""
    ran = ", ".join(f"{number} {who}" for number, who in enumerate(result["ran"], start=1))
    return Text(f"{result['outputs']}\nstages: {ran}; {result['milliseconds']} ms")
