# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet plan`: what would happen to each device, and why."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from click.core import ParameterSource

from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.observed_file import as_new, read_observed
from reconciler.cli.inputs.options import CONFIG_VARIABLE, output_formats
from reconciler.cli.inputs.repositories import open_tree
from reconciler.cli.inputs.served_devices import served_by
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.plan_review import RevisionRange, review_change
from reconciler.cli.problem_report import report_problems
from reconciler.cli.terminal import terminal_width
from reconciler.cli.views.plan_groups import PlanResult
from reconciler.cli.views.plan_json import as_json
from reconciler.cli.views.plan_markdown import markdown
from reconciler.cli.views.plan_text import text as as_text
from reconciler.cli.views.rollout_summaries import rollout_lines
from reconciler.load import load
from reconciler.model import Blocked, Commit, Desired, GatewayId
from reconciler.plan import DetailedPlan, detailed_plan


def text(plan: PlanResult, *, every: bool) -> str:
    """Write a plan for this terminal."""
    return as_text(plan, every=every, width=terminal_width())


FORMATS: dict[str, Callable[..., str]] = {"text": text, "json": as_json, "markdown": markdown}


def _timestamp(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """Parse a timestamp with a UTC offset."""
    if value is None:
        return None
    try:
        timestamp = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a timestamp such as 2026-11-21T22:00:00Z") from error
    if timestamp.tzinfo is None:
        raise click.BadParameter(f"{value!r} has no UTC offset; append Z for UTC")
    return timestamp.astimezone(UTC)


@click.command(cls=LeafCommand)
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--commit", "revision", metavar="REV", help="Plan this commit instead of the files in PATH.")
@click.option("--base", metavar="REV", help="Review the change from this commit to --head.")
@click.option("--head", metavar="REV", help="Commit to review against --base. [default: HEAD]")
@click.option("--store", metavar="URL", help="With --base: build store to take exact payload sizes from.")
@click.option(
    "--observed",
    "observed_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Observed state to plan with: YAML, or JSON if FILE ends with .json.",
)
@click.option("--at", metavar="TIME", callback=_timestamp, help="Plan for this time, such as 2026-11-21T22:00:00Z.")
@click.option(
    "--gateway",
    metavar="NAME",
    shell_complete=names_of("Gateway"),
    help="Plan only for the devices that this gateway serves.",
)
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=CONFIG_VARIABLE,
    show_envvar=True,
    help="Configuration of a gateway: without PATH, plan what it enforces with the state that it has recorded.",
)
@output_formats(*FORMATS, note="markdown is for a comment on a pull request")
@click.option("--all", "every", is_flag=True, help="List every device, including those that need no change.")
@click.option("--strict", is_flag=True, help="Exit with 1 if any device is blocked.")
@click.pass_context
def command(  # noqa: PLR0913 (one parameter for each option)
    context: click.Context,
    path: Path | None,
    *,
    revision: str | None,
    base: str | None,
    head: str | None,
    store: str | None,
    observed_file: Path | None,
    at: datetime | None,
    gateway: str | None,
    config_path: Path | None,
    output: str,
    every: bool,
    strict: bool,
) -> None:
    """Show what would happen to each device of the fleet repository in PATH, and why.

    PATH defaults to the working directory. Nothing is changed. Without --observed, the plan assumes that
    every device has just reported for the first time.

    With --config, plan on a gateway: the commit that it enforces, the devices that it serves, and the state that it
    has recorded. `tinyfleet reconcile --dry-run` also fetches the newest commit.

    With --base, show what the change from one commit to another would do. The status branches of the
    repository provide the state of the devices (docs/review.md).

    Exits with 0 if a plan could be made, with 1 if the repository or the observed state has errors (with
    --strict, also if a device is blocked), and with 2 if the command line is wrong.
    """
    now = at or datetime.now(UTC)
    others = {"PATH": path, "--commit": revision, "--base": base, "--observed": observed_file, "--gateway": gateway}
    on_gateway = _on_gateway(context, config_path, others)
    if base is not None:
        _check_review_options(revision, gateway, every=every)
        change = RevisionRange(base, head or "HEAD", store, observed_file, now)
        click.echo(review_change(path or Path(), change, output, strict=strict))
        return
    if head is not None or store is not None:
        raise click.UsageError("--head and --store require --base")
    if on_gateway is not None:
        result = _recorded_plan(on_gateway, now)
    else:
        desired, commit = _desired(path or Path(), revision)
        if gateway is not None:
            desired = served_by(desired, GatewayId(gateway))
        given, described = (None, None) if observed_file is None else read_observed(observed_file)
        now = at or described or now
        seen = as_new(desired, now) if given is None else given
        result = _result(detailed_plan(desired, seen, now), desired, commit, now, assumed=given is None)
    click.echo(FORMATS[output](result, every=every))
    sys.exit(1 if strict and any(isinstance(action, Blocked) for action in result.actions) else 0)


def _on_gateway(context: click.Context, config_path: Path | None, others: Mapping[str, object]) -> Path | None:
    """Return the configuration if the plan is that of a gateway. Any other source wins over the variable."""
    excluded = [name for name, value in others.items() if value is not None]
    if config_path is None or not excluded:
        return config_path
    if context.get_parameter_source("config_path") is ParameterSource.ENVIRONMENT:
        return None
    raise click.UsageError(f"--config cannot be combined with {', '.join(excluded)}")


def _recorded_plan(config_path: Path, now: datetime) -> PlanResult:
    """Plan for the devices of a gateway with the state that it has recorded."""
    from reconciler.cli.inputs.recorded_state import read_recorded  # noqa: PLC0415 - slow to import, only for this

    desired, seen = read_recorded(config_path, now)
    return _result(detailed_plan(desired, seen, now), desired, desired.commit, now, assumed=False)


def _result(reasoned: DetailedPlan, desired: Desired, commit: Commit, now: datetime, *, assumed: bool) -> PlanResult:
    return PlanResult(reasoned.actions, commit, now, assumed=assumed, rollouts=rollout_lines(desired, reasoned))


def _check_review_options(revision: str | None, gateway: str | None, *, every: bool) -> None:
    """Reject options that do not apply to a review."""
    if revision is not None or gateway is not None or every:
        raise click.UsageError("--base cannot be combined with --commit, --gateway or --all")


def _desired(path: Path, revision: str | None) -> tuple[Desired, Commit]:
    with open_tree(path, revision) as (tree, commit):
        loaded = load(tree, commit=commit)
        if loaded.desired is None:
            conclusion = "no plan: the repository has errors; `tinyfleet validate` lists them all"
            report_problems(loaded.errors, tree, conclusion)
            sys.exit(1)
    return loaded.desired, commit
