# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet explain`: why a device is as it is, from the commit to the condition."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from reconciler.cli.inputs.context import CommandContext, open_context
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.inputs.repositories import LIMIT_S
from reconciler.daemon import runtime_status
from reconciler.daemon.instance_lock import holder
from reconciler.daemon.state_reader import recorded_state
from reconciler.load import CheckCache
from reconciler.load.problems import did_you_mean
from reconciler.load.source_locations import SourceLocations
from reconciler.model import Commit, DeviceId
from reconciler.report.device_status import DeviceStatus
from reconciler.report.status_files import read_device_file
from reconciler.review.explain import Daemon, Explanation, Known, explain, rollout_of
from reconciler.review.reported_state import DEVICES


@dataclass(frozen=True, slots=True)
class Written:
    """A commit, as its author described it."""

    commit: Commit
    author: str
    at: datetime
    subject: str


@click.command("explain", short_help="Tell why a device is as it is, from commit to condition")
@click.argument("device")
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@config_option
@output_option
def command(device: str, path: Path | None, config_path: Path, output: str) -> None:
    """Tell why DEVICE is as it is: which line wants what, what was compared, what was done, and what comes next.

    With PATH, from a clone of the fleet's repository and its status branches. Without, on the gateway that
    serves the device (--config), from what its daemon knows too.
    """
    cache, now = CheckCache(), datetime.now(UTC)
    with open_context(path, config_path, cache) as at:
        name = DeviceId(device)
        if name not in at.desired.devices:
            raise click.ClickException(f"Git knows no device {device}{_meant(device, at)}")
        with at.found.tree(at.desired.commit) as tree:
            whereabouts = SourceLocations(tree, cache)

            def where(kind: str, key: Hashable, *field: str | int) -> str:
                return str(whereabouts.of(kind, key, *field))

            known = Known(at.desired, at.evidence, _status(at, name), _daemon(at, name), where)
            made = explain(name, known, now)
            rollout = rollout_of(at.desired, name)
            spot = whereabouts.of("Rollout", rollout) if rollout is not None else None
        written = [_written(at, at.desired.commit)]
        if spot is not None:
            written.append(_last_of(at, spot.path))
    click.echo(_json(made, written) if output == "json" else "\n".join(_lines(made, written)))


def _meant(device: str, at: CommandContext) -> str:
    hint = did_you_mean(device, map(str, at.desired.devices))
    return f"; {hint}" if hint else ""


def _status(at: CommandContext, name: DeviceId) -> DeviceStatus | None:
    for told in at.evidence.gateways.values():
        data = told.files.get(f"{DEVICES}{name}.yaml")
        if data is not None:
            try:
                return read_device_file(data)
            except (KeyError, TypeError, ValueError, yaml.YAMLError):
                return None
    return None


def _daemon(at: CommandContext, name: DeviceId) -> Daemon | None:
    """Ask the daemon's database and its file of the moment."""
    if at.state_dir is None:
        return None
    working = holder(at.state_dir) is not None
    moment = (runtime_status.read(at.state_dir) if working else None) or {}
    with recorded_state(at.state_dir) as state:
        record, order, failures = state.device(name), state.order(name), state.quarantined_on(name)
    return Daemon(
        working,
        record.seen_at if record is not None else None,
        moment.get("inProgress", {}).get("devices", {}).get(name, ""),
        moment.get("waiting", {}).get("devices", {}).get(name, ""),
        f"{order.digest[:12]} with sequence {order.sequence}" if order is not None else "",
        {failure.digest: failure.why for failure in failures},
    )


def _written(at: CommandContext, commit: Commit) -> Written:
    return _logged(at, "log", "--max-count=1", "--format=%H%x00%an%x00%ct%x00%s", commit)


def _last_of(at: CommandContext, path: str) -> Written:
    """Find the commit that last touched a file; in a history that is cut short, the oldest there is."""
    whole = f"{at.found.below}/{path}" if at.found.below else path
    return _logged(at, "log", "--max-count=1", "--format=%H%x00%an%x00%ct%x00%s", at.desired.commit, "--", whole)


def _logged(at: CommandContext, *words: str) -> Written:
    told = at.found.git.local(*words, limit_s=LIMIT_S).decode("utf-8", "replace").strip()
    commit, author, seconds, subject = told.split("\0")
    return Written(Commit(commit), author, datetime.fromtimestamp(int(seconds), UTC), subject)


def _lines(made: Explanation, written: list[Written]) -> list[str]:
    lines = [f"{made.device}", "", "Git wants"]
    heads = ("enforced", "its rollout's file was last changed by")
    for head, each in zip(heads, written, strict=False):
        lines.append(f"  {head} {each.commit[:12]}, {each.at:%Y-%m-%d %H:%M UTC}, {each.author}: {each.subject}")
    width = max((len(each.where) for each in made.wants), default=0)
    lines += [f"  {each.where:<{width}}  {each.document} {each.name} {each.says}" for each in made.wants]
    lines += ["", "Compared"]
    marks = {True: "=", False: "≠", None: "?"}
    lines += [f"  {marks[each.same]} {each.what}: {each.wanted}; found: {each.found}" for each in made.compared]
    lines += ["", "Done"]
    lines += [f"  {f'{each.at:%Y-%m-%d %H:%M:%S}' if each.at else ' ' * 19}  {each.what}" for each in made.done]
    return [*lines, "", "Next", *(f"  {each}" for each in made.next)]


def _json(made: Explanation, written: list[Written]) -> str:
    document: dict[str, Any] = {
        "device": made.device,
        "commits": [
            {"commit": each.commit, "author": each.author, "at": each.at.isoformat(), "subject": each.subject}
            for each in written
        ],
        "wants": [
            {"kind": each.document, "name": each.name, "where": each.where or None, "says": each.says}
            for each in made.wants
        ],
        "compared": [
            {"what": each.what, "wanted": each.wanted, "found": each.found, "same": each.same} for each in made.compared
        ],
        "done": [{"at": each.at.isoformat() if each.at else None, "what": each.what} for each in made.done],
        "next": list(made.next),
        "conditions": [each.as_dict() for each in made.status.conditions] if made.status is not None else [],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
