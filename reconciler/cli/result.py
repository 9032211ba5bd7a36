# SPDX-License-Identifier: Apache-2.0
"""Prints the result of a command in the format that `--output` asks for."""

from __future__ import annotations

import json

import click


def as_json(fields: object) -> str:
    """Write a result for programs."""
    return json.dumps(fields, indent=2, ensure_ascii=False)


def print_result(output: str, fields: object, text: str) -> None:
    """Print the fields as JSON, or the text."""
    click.echo(as_json(fields) if output == "json" else text)
