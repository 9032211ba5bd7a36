# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet plan`: what would be done to each device, and why."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from reconciler.cli.commands.plan_diff import RevisionRange, review_change
from reconciler.cli.inputs.observed_file import as_new, read_observed
from reconciler.cli.inputs.trees import opened
from reconciler.cli.views.plan_text import FORMATS, Answer
from reconciler.cli.views.rollout_lines import progress
from reconciler.load import load
from reconciler.model import Blocked, Commit, Desired, GatewayId
from reconciler.plan import detailed_plan
from reconciler.selection import matcher


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Read a moment with its offset."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no moment such as 2026-11-21T22:00:00Z") from error
    if moment.tzinfo is None:
        raise click.BadParameter(f"{text!r} does not say its offset; add Z for UTC")
    return moment.astimezone(UTC)


@click.command("plan", short_help="Show what would be done to each device, and why")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--commit", "revision", metavar="REV", help="Plan this commit of the repository, not the files in PATH.")
@click.option("--base", metavar="REV", help="Review the change from this commit to --head.")
@click.option("--head", metavar="REV", help="The commit that is reviewed against --base. [default: HEAD]")
@click.option("--store", metavar="URL", help="With --base: a build store that tells the payloads' true sizes.")
@click.option(
    "--observed",
    "observed_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What the devices last said: YAML, or JSON if FILE ends with .json.",
)
@click.option("--at", metavar="TIME", callback=_moment, help="Plan for this moment, such as 2026-11-21T22:00:00Z.")
@click.option("--gateway", metavar="NAME", help="Plan as this gateway does: for the devices that it serves.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="For people, programs, or a forge's comment.",
)
@click.option("--all", "every", is_flag=True, help="Tell of each device, also where nothing is to be done.")
@click.option("--strict", is_flag=True, help="Exit with 1 if any device can't be what Git says.")
def command(  # noqa: PLR0913 (click hands over every option)
    path: Path,
    *,
    revision: str | None,
    base: str | None,
    head: str | None,
    store: str | None,
    observed_file: Path | None,
    at: datetime | None,
    gateway: str | None,
    form: str,
    every: bool,
    strict: bool,
) -> None:
    """Plan the fleet repository in PATH (the working directory, if not given).

    Nothing is changed anywhere. Without --observed the plan is that for devices which have all just
    reported for the first time. Exits with 0 if a plan could be made, whatever it says; with 1 if the
    repository or the observed state has mistakes (or, with --strict, if a device can't be what Git
    says); with 2 if the command line is wrong.

    With --base it tells what the change from one commit to another would do, from Git alone: the status
    branches of the repository tell what the devices run (docs/review.md).
    """
    if base is not None:
        _no_other_way(revision, gateway, every=every)
        now = at or datetime.now(UTC)
        click.echo(
            review_change(path, RevisionRange(base, head or "HEAD", store, observed_file, now), form, strict=strict)
        )
        return
    if head is not None or store is not None:
        raise click.UsageError("--head and --store belong to --base")
    desired, commit = _desired(path, revision)
    if gateway is not None:
        desired = _served(desired, GatewayId(gateway))
    observed, described = (None, None) if observed_file is None else read_observed(observed_file)
    now = at or described or datetime.now(UTC)
    reasoned = detailed_plan(desired, as_new(desired, now) if observed is None else observed, now)
    answer = Answer(reasoned.actions, commit, now, assumed=observed is None, rollouts=progress(desired, reasoned))
    click.echo(FORMATS[form](answer, every=every))
    sys.exit(1 if strict and any(isinstance(action, Blocked) for action in answer.actions) else 0)


def _no_other_way(revision: str | None, gateway: str | None, *, every: bool) -> None:
    """Refuse what a review has no use for."""
    if revision is not None or gateway is not None or every:
        raise click.UsageError("--base goes with --head, --store, --observed, --at, --format and --strict alone")


def _served(desired: Desired, name: GatewayId) -> Desired:
    """Leave only the devices of one gateway."""
    gateway = desired.gateways.get(name)
    if gateway is None:
        raise click.UsageError(f"there is no gateway {name}; there is {', '.join(sorted(desired.gateways)) or 'none'}")
    serves = matcher(gateway.selector)
    return replace(desired, devices={key: device for key, device in desired.devices.items() if serves(device)})


def _desired(path: Path, revision: str | None) -> tuple[Desired, Commit]:
    with opened(path, revision) as (tree, commit):
        loaded = load(tree, commit=commit)
    if loaded.desired is None:
        for problem in loaded.errors:
            click.echo(str(problem), err=True)
        click.echo("no plan: the repository has mistakes; `tinyfleet validate` tells them all", err=True)
        sys.exit(1)
    return loaded.desired, commit
