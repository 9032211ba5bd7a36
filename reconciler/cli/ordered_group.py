# SPDX-License-Identifier: Apache-2.0
"""A group that lists its subcommands in the order of their definition, which follows the workflow."""

from __future__ import annotations

import click

from reconciler.cli.inputs.known_names import unknown_name
from reconciler.cli.leaf_command import LeafCommand


class OrderedGroup(click.Group):
    """A group that does not sort its subcommands by name, and suggests one for a name that does not exist."""

    command_class = LeafCommand
    group_class = type  # groups within groups are of this class as well

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the subcommands in the order of their definition."""
        del ctx  # the order is the same for every context
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that does not exist is refused like that of a device."""
        name = args[0]
        if self.get_command(ctx, name) is None and name[:1].isalnum() and not ctx.resilient_parsing:
            raise unknown_name(f"command of `{ctx.command_path}`", name, self.list_commands(ctx), among="commands")
        return super().resolve_command(ctx, args)
