# SPDX-License-Identifier: Apache-2.0
"""Buckets and their items as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from reconciler.cli.views.contest_text import plain_table


def listed_buckets(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Show buckets, one line each."""
    if not found:
        return Text("no items")
    table = plain_table("BUCKET", "ITEMS", "BYTES", "NUMBERS")
    for each in found:
        numbers = f"{each['oldest']} to {each['newest']}"
        table.add_row(each["bucket"], f"{each['items']:,}", f"{each['bytes']:,}", numbers)
    return table


def listed_items(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Show items, one line each."""
    if not found:
        return Text("no more items")
    table = plain_table("NUMBER", "AT", "BYTES")
    for each in found:
        table.add_row(str(each["number"]), each["at"], f"{each['bytes']:,}")
    return table
