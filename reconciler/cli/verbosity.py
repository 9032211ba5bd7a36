# SPDX-License-Identifier: Apache-2.0
"""How much a command prints besides its result. Every command takes `-q` and `-v`; the result is the same with both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum

import click

_KEY = "tinyfleet.verbosity"  # in the context's `meta`, which a command shares with its groups


class Verbosity(IntEnum):
    """What is printed on standard error; the value is the lowest level that is logged."""

    QUIET = logging.WARNING  # warnings and errors
    NORMAL = logging.INFO  # progress and next steps too
    VERBOSE = logging.DEBUG  # every step too, and where a failure arose


def verbosity() -> Verbosity:
    """Return the verbosity of the command that runs."""
    context = click.get_current_context(silent=True)
    return Verbosity.NORMAL if context is None else Verbosity(context.meta.get(_KEY, Verbosity.NORMAL))


def note(text: str) -> None:
    """Print progress, a summary or a next step on standard error, unless `--quiet` is given."""
    if verbosity() is not Verbosity.QUIET:
        click.echo(text, err=True)


def progress_printer(prefix: str = "") -> Callable[[str], None]:
    """Return what prints the steps of a build; any thread may call it."""
    if verbosity() is Verbosity.QUIET:
        return lambda _step: None
    return lambda step: click.echo(f"{prefix}{step} ...", err=True)


def verbosity_options() -> list[click.Parameter]:
    """Return the two options that every command has."""
    return [
        _option("-q", "--quiet", Verbosity.QUIET, "Print only the result, warnings and errors."),
        _option("-v", "--verbose", Verbosity.VERBOSE, "Log every step, and where a failure arose."),
    ]


def _option(short: str, long: str, chosen: Verbosity, meaning: str) -> click.Option:
    def choose(context: click.Context, _option: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click calls it
        if not given:
            return
        if context.meta.get(_KEY, chosen) is not chosen:
            raise click.UsageError("--quiet and --verbose exclude each other")
        context.meta[_KEY] = chosen

    return click.Option([short, long], is_flag=True, expose_value=False, callback=choose, help=meaning)
