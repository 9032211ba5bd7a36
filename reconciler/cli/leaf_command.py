# SPDX-License-Identifier: Apache-2.0
"""A command that does something, in contrast to a group of commands."""

from __future__ import annotations

import logging
from typing import Any

import click

from reconciler.cli.verbosity import Verbosity, verbosity, verbosity_options
from reconciler.errors import FleetError

LOG = logging.getLogger(__name__)


class LeafCommand(click.Command):
    """A command with the options that every command has."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, then `--quiet`, `--verbose` and `--help`."""
        own = super().get_params(ctx)
        at = len(self.params)
        return [*own[:at], *verbosity_options(), *own[at:]]

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command, with logging if `--verbose` is given."""
        if verbosity() is Verbosity.VERBOSE:
            from reconciler.daemon.logging_setup import set_up  # noqa: PLC0415 - seldom needed

            set_up("text", Verbosity.VERBOSE)
        try:
            return super().invoke(ctx)
        except FleetError:
            LOG.debug("the failure arose here:", exc_info=True)
            raise
