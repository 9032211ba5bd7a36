# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet explain`: why a device is in its current state, from the commit to the condition."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime
from pathlib import Path

import click
import yaml

from reconciler.cli.inputs.fleet_source import CommandContext, open_context, stale
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.inputs.repositories import LIMIT_S
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.terminal import terminal_width
from reconciler.cli.views.explanation import CommitDetails, as_json, as_text
from reconciler.daemon import runtime_status
from reconciler.daemon.gateway_overview import recorded_state
from reconciler.daemon.instance_lock import holder
from reconciler.load import CheckCache
from reconciler.load.source_locations import SourceLocations
from reconciler.model import Commit, DeviceId
from reconciler.report.device_status import DeviceStatus
from reconciler.report.status_files import read_device_file
from reconciler.review.explain import DaemonState, ExplanationInputs, explain, rollout_of
from reconciler.review.reported_state import DEVICES

LOG_FORMAT = "--format=%H%x00%an%x00%ct%x00%s"


@click.command(cls=LeafCommand)
@click.argument("device", shell_complete=names_of("Device"))
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@config_option
@output_option
def command(device: str, path: Path | None, config_path: Path, output: str) -> None:
    """Explain why DEVICE is in its current state.

    Shows the documents and lines that define its desired state, the comparison with the observed state, the history,
    and what happens next. With PATH, uses that clone of the fleet repository and its status branches. Without, run it
    on the gateway that serves the device (--config): it then includes what the daemon knows. Warns if the clone is
    behind what a gateway enforces.
    """
    cache, now = CheckCache(), datetime.now(UTC)
    with open_context(path, config_path, cache) as context:
        name = DeviceId(device)
        require_known("device", device, context.desired.devices)
        with context.repository.tree(context.desired.commit) as tree:
            locations = SourceLocations(tree, cache)

            def locate(kind: str, key: Hashable, *field: str | int) -> str:
                return str(locations.of(kind, key, *field))

            status, daemon = _status(context, name), _daemon(context, name)
            inputs = ExplanationInputs(context.desired, context.reported, status, daemon, locate)
            explanation = explain(name, inputs, now)
            rollout = rollout_of(context.desired, name)
            location = locations.of("Rollout", rollout) if rollout is not None else None
        commits, warnings = [_log(context, context.desired.commit)], stale(context)
        if location is not None:
            commits.append(_last_change(context, location.path))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if output == "json":
        click.echo(as_json(explanation, commits, warnings))
    else:
        click.echo(as_text(explanation, commits, terminal_width()))


def _status(context: CommandContext, name: DeviceId) -> DeviceStatus | None:
    for report in context.reported.gateways.values():
        data = report.files.get(f"{DEVICES}{name}.yaml")
        if data is not None:
            try:
                return read_device_file(data)
            except (KeyError, TypeError, ValueError, yaml.YAMLError):
                return None
    return None


def _daemon(context: CommandContext, name: DeviceId) -> DaemonState | None:
    """Read the daemon's database and its runtime status."""
    if context.state_dir is None:
        return None
    running = holder(context.state_dir) is not None
    live = (runtime_status.read(context.state_dir) if running else None) or {}
    with recorded_state(context.state_dir) as state:
        record, order, failures = state.device(name), state.order(name), state.quarantined_on(name)
    return DaemonState(
        running,
        record.seen_at if record is not None else None,
        live.get("inProgress", {}).get("devices", {}).get(name, ""),
        live.get("waiting", {}).get("devices", {}).get(name, ""),
        f"{order.digest[:12]} with sequence {order.sequence}" if order is not None else "",
        {failure.digest: failure.why for failure in failures},
    )


def _last_change(context: CommandContext, path: str) -> CommitDetails:
    """Find the commit that last changed a file; in a shallow history, the oldest commit."""
    whole = f"{context.repository.below}/{path}" if context.repository.below else path
    return _log(context, context.desired.commit, "--", whole)


def _log(context: CommandContext, *revision: str) -> CommitDetails:
    output = context.repository.git.local("log", "--max-count=1", LOG_FORMAT, *revision, limit_s=LIMIT_S)
    commit, author, seconds, subject = output.decode("utf-8", "replace").strip().split("\0")
    return CommitDetails(Commit(commit), author, datetime.fromtimestamp(int(seconds), UTC), subject)
