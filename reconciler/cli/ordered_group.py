# SPDX-License-Identifier: Apache-2.0
"""A group that lists its subcommands in the order of their definition, which follows the workflow."""

from __future__ import annotations

import click


class OrderedGroup(click.Group):
    """A group that does not sort its subcommands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the subcommands in the order of their definition."""
        del ctx  # the order is the same for every context
        return list(self.commands)
