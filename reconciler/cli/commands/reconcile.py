# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet reconcile`: one reconciliation by hand, or only a look at what it would do."""

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
from reconciler.cli.views.plan_text import FORMATS, WORDS, Answer
from reconciler.daemon.assembly import assembled
from reconciler.daemon.instance_lock import held
from reconciler.daemon.logging_setup import set_up
from reconciler.daemon.single_run import Ended, RunProgress, reconcile_once
from reconciler.daemon.state_reader import recorded_state
from reconciler.engine.state.schema import STATE_FILE
from reconciler.model import Blocked


@click.command(short_help="Reconcile once and end, or show what would be done")
@config_option
@click.option("--once", is_flag=True, required=True, help="One reconciliation; `tinyfleet run` goes on for ever.")
@click.option("--dry-run", is_flag=True, help="Show the plan; change nothing, neither here nor in Git nor on a device.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=3600.0,
    show_default=True,
    metavar="S",
    help="Seconds after which what is not done counts as failed.",
)
@click.option("--verbose", "-v", is_flag=True, help="Log every step.")
@output_option
def command(  # noqa: PLR0913 (click hands over every option)
    config_path: Path, output: str, *, once: bool, dry_run: bool, timeout_s: float, verbose: bool
) -> None:
    """Look at Git, ask every device, do what the plan says, and wait for what was begun.

    What needs time (soaks, windows, later waves) is not waited for. Exits with 0 if the newest commit is
    enforced as far as it can be now; with 1 if it can't be had, a delivery failed, a device can't be what Git says, or
    the time was over. With --dry-run the last known state of the devices is planned with, and nobody is asked.
    """
    del once  # says what the command does; there is no other way yet
    set_up("text", verbose=verbose)
    settings = config.read(config_path)
    tell = _Teller(quiet=output == "json")
    if dry_run:
        with _copied(settings) as copy:
            ended = asyncio.run(_reconcile(copy, tell, deliver=False, timeout_s=timeout_s))
        click.echo(FORMATS[output](_answer(ended), every=False))
        sys.exit(0 if ended.last.desired_state.source.good and not ended.last.desired_state.problems else 1)
    with held(settings.state_dir):
        ended = asyncio.run(_reconcile(settings, tell, deliver=True, timeout_s=timeout_s))
    tell.end()
    click.echo(json.dumps(_row(ended), indent=2) if output == "json" else _text(ended))
    sys.exit(0 if _good(ended) else 1)


async def _reconcile(settings: config.GatewayConfig, tell: _Teller, *, deliver: bool, timeout_s: float) -> Ended:
    with assembled(settings) as assembly:
        return await reconcile_once(assembly, tell, deliver=deliver, timeout_s=timeout_s)


@contextmanager
def _copied(settings: config.GatewayConfig) -> Iterator[config.GatewayConfig]:
    """Work on a copy of what is known, so that looking leaves no trace; a running daemon is not disturbed either."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        if (settings.state_dir / STATE_FILE).exists():
            with recorded_state(settings.state_dir) as state:
                state.copy_to(Path(folder) / STATE_FILE)
        yield replace(settings, state_dir=Path(folder))


class _Teller:
    """Shows progress on standard error: one line that changes on a terminal, a line for each change elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._last = ""

    def __call__(self, progress: RunProgress) -> None:
        line = (
            f"to ask {progress.to_ask}, building {progress.building}, updates under way {progress.in_progress}, "
            f"done {len(progress.done) - len(progress.failed)}, failed {len(progress.failed)}"
        )
        if self._quiet or line == self._last:
            return
        self._last = line
        click.echo(f"\r{line:<79}" if sys.stderr.isatty() else line, err=True, nl=not sys.stderr.isatty())

    def end(self) -> None:
        """Leave the line."""
        if self._last and sys.stderr.isatty():
            click.echo(err=True)


def _good(ended: Ended) -> bool:
    want = ended.last.desired_state
    cant = any(isinstance(action, Blocked) for action in ended.last.actions)
    return ended.in_time and want.source.good and not want.problems and not cant and not ended.progress.failed


def _answer(ended: Ended) -> Answer:
    desired = ended.last.desired_state.desired
    if desired is None:
        raise TypeError("a pass without a commit ends in an error")
    return Answer(ended.last.actions, desired.commit, datetime.now(UTC), assumed=False)


def _text(ended: Ended) -> str:
    lines = [FORMATS["text"](_answer(ended), every=False)]
    want = ended.last.desired_state
    lines += [] if want.source.good else [f"Git: {want.source.reason}: {want.source.message}"]
    lines += [f"Git: {problem}" for problem in want.problems]
    lines += [f"{done.device}: {done.label}: {done.message}" for done in ended.progress.done.values()]
    lines += [] if ended.in_time else ["the time was over before everything had ended; what was begun can go on"]
    return "\n".join(lines)


def _row(ended: Ended) -> dict[str, Any]:
    answer = _answer(ended)
    want = ended.last.desired_state
    return {
        "commit": answer.commit,
        "source": {"good": want.source.good, "reason": want.source.reason, "message": want.source.message},
        "problems": list(want.problems),
        "inTime": ended.in_time,
        "deliveries": [
            {"device": done.device, "what": done.label, "good": done.good, "how": done.message}
            for done in ended.progress.done.values()
        ],
        "counts": {WORDS[kind]: count for kind, count in answer.counts.items()},
        "devices": [
            {"device": action.device, "action": WORDS[type(action)], "why": action.why} for action in answer.actions
        ],
    }
