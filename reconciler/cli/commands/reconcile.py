# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet reconcile`: run one reconciliation by hand, or show what it would do."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from reconciler import config
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.terminal import terminal_width
from reconciler.cli.verbosity import Verbosity, verbosity
from reconciler.cli.views.plan_groups import PlanResult
from reconciler.cli.views.plan_json import ACTION_NAMES, as_json, counts
from reconciler.cli.views.plan_text import text
from reconciler.daemon.assembly import assembled
from reconciler.daemon.gateway_overview import recorded_state
from reconciler.daemon.instance_lock import held
from reconciler.daemon.logging_setup import set_up
from reconciler.daemon.single_run import Ended, RunProgress, reconcile_once
from reconciler.engine.state.schema import STATE_FILE
from reconciler.model import Blocked


@click.command(cls=LeafCommand)
@config_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=3600.0,
    show_default=True,
    metavar="S",
    help="Give up after this many seconds.",
)
@output_option
def command(config_path: Path, output: str, *, dry_run: bool, timeout_s: float) -> None:
    """Run one reconciliation: fetch, ask every device, apply the plan, and wait for the deliveries.

    `tinyfleet run` repeats it. Does not wait for soaks, windows or later waves. With --dry-run, plans with the last
    known state of the devices and asks none.

    Exits with 0 if the newest commit is enforced as far as possible now, and with 1 if the commit cannot be fetched,
    a delivery failed, a device is blocked, or the time ran out.
    """
    set_up("text", verbosity())
    settings = config.read(config_path)
    progress = _ProgressLine(quiet=output == "json" or verbosity() is Verbosity.QUIET)
    if dry_run:
        with _copied(settings) as copy:
            ended = asyncio.run(_reconcile(copy, progress, deliver=False, timeout_s=timeout_s))
        plan = _plan(ended)
        click.echo(as_json(plan, every=False) if output == "json" else _plan_text(plan))
        sys.exit(0 if ended.last.desired_state.source.good and not ended.last.desired_state.problems else 1)
    with held(settings.state_dir):
        ended = asyncio.run(_reconcile(settings, progress, deliver=True, timeout_s=timeout_s))
    progress.end()
    click.echo(json.dumps(_fields(ended), indent=2) if output == "json" else _text(ended))
    sys.exit(0 if _succeeded(ended) else 1)


async def _reconcile(
    settings: config.GatewayConfig, progress: _ProgressLine, *, deliver: bool, timeout_s: float
) -> Ended:
    with assembled(settings) as assembly:
        return await reconcile_once(assembly, progress, deliver=deliver, timeout_s=timeout_s)


@contextmanager
def _copied(settings: config.GatewayConfig) -> Iterator[config.GatewayConfig]:
    """Copy the state, so that a dry run leaves no trace and does not disturb a running daemon."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        if (settings.state_dir / STATE_FILE).exists():
            with recorded_state(settings.state_dir) as state:
                state.copy_to(Path(folder) / STATE_FILE)
        yield replace(settings, state_dir=Path(folder))


class _ProgressLine:
    """Progress on standard error: one line that is updated on a terminal, elsewhere a line for each change."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._last = ""

    def __call__(self, progress: RunProgress) -> None:
        line = (
            f"to ask {progress.to_ask}, building {progress.building}, in progress {progress.in_progress}, "
            f"done {len(progress.done) - len(progress.failed)}, failed {len(progress.failed)}"
        )
        if self._quiet or line == self._last:
            return
        self._last = line
        click.echo(f"\r{line:<79}" if sys.stderr.isatty() else line, err=True, nl=not sys.stderr.isatty())

    def end(self) -> None:
        """Finish the line."""
        if self._last and sys.stderr.isatty():
            click.echo(err=True)


def _succeeded(ended: Ended) -> bool:
    want = ended.last.desired_state
    blocked = any(isinstance(action, Blocked) for action in ended.last.actions)
    return ended.in_time and want.source.good and not want.problems and not blocked and not ended.progress.failed


def _plan(ended: Ended) -> PlanResult:
    desired = ended.last.desired_state.desired
    if desired is None:
        raise TypeError("a pass without a commit must end with an error")
    return PlanResult(ended.last.actions, desired.commit, datetime.now(UTC), assumed=False)


def _plan_text(plan: PlanResult) -> str:
    return text(plan, every=False, width=terminal_width())


def _text(ended: Ended) -> str:
    lines = [_plan_text(_plan(ended))]
    want = ended.last.desired_state
    lines += [] if want.source.good else [f"Git: {want.source.reason}: {want.source.message}"]
    lines += [f"Git: {problem}" for problem in want.problems]
    lines += [f"{done.device}: {done.subject}: {done.message}" for done in ended.progress.done.values()]
    lines += [] if ended.in_time else ["timed out; deliveries in progress resume at the next reconciliation"]
    return "\n".join(lines)


def _fields(ended: Ended) -> dict[str, Any]:
    plan = _plan(ended)
    want = ended.last.desired_state
    return {
        "commit": plan.commit,
        "source": {"ready": want.source.good, "reason": want.source.reason, "message": want.source.message},
        "problems": list(want.problems),
        "timedOut": not ended.in_time,
        "deliveries": [
            {"device": done.device, "delivery": done.subject, "succeeded": done.good, "message": done.message}
            for done in ended.progress.done.values()
        ],
        "counts": counts(plan),
        "devices": [
            {"device": action.device, "action": ACTION_NAMES[type(action)], "message": action.why}
            for action in plan.actions
        ],
    }
