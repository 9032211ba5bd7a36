# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet status`: the devices of this gateway, read from its database while the daemon runs or not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler import config
from reconciler.cli import terminal
from reconciler.cli.inputs.known_names import UnknownName, unknown_name
from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import config_option, out_option, output_formats
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.result import as_json
from reconciler.cli.status_page import write_pages
from reconciler.cli.terminal import Line
from reconciler.cli.views.status_json import as_dict
from reconciler.cli.views.status_text import device_text, fleet_text
from reconciler.daemon.gateway_overview import GatewayOverview, read_overview, served_devices
from reconciler.model import DeviceId
from reconciler.review.formatting import counted

WATCH_S = 1.0


@click.command(cls=LeafCommand)
@click.argument("device", required=False, shell_complete=names_of("Device"))
@config_option
@output_formats("text", "json", "html", note="html writes pages for a browser to the folder of --out")
@out_option("With --output html: folder to write to; start with index.html.", folder=True)
@click.option("--watch", "-w", is_flag=True, help="Refresh every second until Ctrl-C.")
def command(device: str | None, config_path: Path, output: str, out: Path | None, *, watch: bool) -> None:
    """Show the devices of this gateway, or everything that is known about DEVICE.

    Works whether the daemon runs or not, and changes nothing. Exits with 1 if there is no such device, or if the
    daemon has not run yet.
    """
    if (output == "html") != (out is not None):
        raise click.UsageError("--output html and --out DIR belong together")
    if out is not None and (device is not None or watch):
        raise click.UsageError("--output html writes the whole fleet once; it excludes DEVICE and --watch")
    state_dir = config.read(config_path).state_dir
    if out is not None:
        pages = counted(write_pages(out, read_overview(state_dir)), "page")
        click.echo(f"wrote {pages}, start with {out / 'index.html'}")
        return
    only = DeviceId(device) if device is not None else None
    if watch:
        terminal.watch(lambda: _view(state_dir, only, output), WATCH_S)
    else:
        terminal.print_lines(_view(state_dir, only, output))


def _view(state_dir: Path, only: DeviceId | None, output: str) -> list[Line]:
    overview = read_overview(state_dir, only)
    if only is not None and not overview.devices:
        raise _unknown_device(only, state_dir, overview)
    if output == "json":
        return [as_json(as_dict(overview))]
    now, width = datetime.now(UTC), terminal.terminal_width()
    if only is None:
        return [*fleet_text(overview, now, width)]
    return [*device_text(overview.devices[0], overview, now, width)]


def _unknown_device(device: DeviceId, state_dir: Path, overview: GatewayOverview) -> UnknownName:
    reporting = {
        name for link in (overview.live or {}).get("links", {}).values() for name in link.get("unknownDevices", ())
    }
    if device in reporting:
        return UnknownName(
            f"{device} reports on a link but is not in Git; add a Device document, or find out what it is"
        )
    return unknown_name("device of this gateway", device, served_devices(state_dir), among="devices")
