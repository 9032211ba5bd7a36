# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet contest`: the state of contests, the windows behind it, and what other rules would have decided."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import RenderableType

from reconciler import config
from reconciler.candidates import champion, resolve_candidates, resolve_voters, types_of
from reconciler.cli.inputs.fleet_source import open_context
from reconciler.cli.inputs.kept_knowledge import change_knowledge, open_knowledge
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import FILE, config_option, output_option
from reconciler.cli.inputs.status_overviews import ContestOverview, contests
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import print_result
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.contest_json import replay_as_dict, sample_as_dict
from reconciler.cli.views.contest_text import listed, replayed, samples_table, shown
from reconciler.contest.decision import ContestState
from reconciler.contest.evidence import with_truths
from reconciler.contest.facts import ContestFacts
from reconciler.contest.replay import replay
from reconciler.engine.samples.kept_rows import kept_rows
from reconciler.load import CheckCache
from reconciler.load.document_check import check_file
from reconciler.model import Contest, ContestId, Desired, RolloutId

PRESENT = "present"

name_argument = click.argument("name")
path_argument = click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))


@click.group("contest", cls=OrderedGroup)
def command() -> None:
    """Show contests, label windows, and try other rules.

    `list` and `show` use the status branches of a clone at PATH, or without one this gateway (--config). The other
    commands use the knowledge base of this gateway, whether its daemon runs or not.
    """


@command.command("list")
@path_argument
@config_option
@output_option
def list_(path: Path | None, config_path: Path, output: str) -> None:
    """List all contests, one line each."""
    found = contests.overviews(path, config_path)
    show_result(output, [each.as_dict() for each in found], [listed(found)])


@command.command("show", short_help="Show one contest and its candidates")
@name_argument
@path_argument
@config_option
@output_option
def show(name: str, path: Path | None, config_path: Path, output: str) -> None:
    """Show one contest: its champion, the errors against the limits, its candidates, and what it waits for."""
    found = contests.named(name, path, config_path)
    show_result(output, [each.as_dict() for each in found], _shown(found))


@command.command("samples", short_help="List the windows of a contest with their votes")
@name_argument
@click.option("--device", help="Only windows of this device.")
@click.option("--undecided", is_flag=True, help="Only windows on which the pool has not agreed.")
@click.option("--errors", is_flag=True, help="Only windows on which the champion and the truth differ.")
@click.option("--last", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many, the newest.")
@config_option
@output_option
def samples(  # noqa: PLR0913 (one parameter for each option)
    name: str, device: str | None, last: int, config_path: Path, output: str, *, undecided: bool, errors: bool
) -> None:
    """List the newest windows of a contest: what ran, what it decided, the votes, and what the window counts as."""
    one = _resolved(name, config_path)
    with open_knowledge(config.read(config_path)) as knowledge:
        rows = kept_rows(knowledge, one.contest.name, one.facts.voters)
    numbered = {id(row.sample): row for row in rows}
    found = [
        (numbered[id(sample)], truth)
        for sample, truth in with_truths(one.contest.pool, one.facts.voters, [row.sample for row in rows])
        if device in {None, sample.device}
        and (not undecided or truth is None)
        and (not errors or truth not in {None, sample.champion_anomalous})
    ][-last:]
    show_result(output, [sample_as_dict(row, truth) for row, truth in found], [samples_table(found)])


@command.command("label", short_help="Say what windows really are")
@click.argument("numbers", nargs=-1, required=True, type=int, metavar="NUMBER...")
@click.option("--anomalous/--normal", required=True, help="What the windows are.")
@click.option("--author", default=None, help="Who says so.  [default: the user]")
@config_option
@output_option
def label(numbers: tuple[int, ...], author: str | None, config_path: Path, output: str, *, anomalous: bool) -> None:
    """Label windows by their NUMBERs, as `tinyfleet contest samples` shows them.

    A label outranks the vote of the pool. It stays on this gateway.
    """
    now, who = datetime.now(UTC), author or getpass.getuser()
    with change_knowledge(config.read(config_path)) as knowledge:
        for number in numbers:
            if not knowledge.label(number, who, now, anomalous=anomalous):
                raise click.ClickException(f"there is no window {number}; `tinyfleet contest samples` lists them")
    meaning = "anomalous" if anomalous else "normal"
    fields = {"windows": list(numbers), "label": meaning, "author": who}
    print_result(output, fields, f"labelled {len(numbers)} windows as {meaning}")


@command.command("propose", short_help="Propose a successor that was declined once more")
@name_argument
@config_option
@output_option
def propose(name: str, config_path: Path, output: str) -> None:
    """Have the gateway propose its successor once more, although a person removed the branch without a merge.

    The daemon makes the branch at its next pass. In every other state it proposes without being asked, or the
    condition Proposed says what is missing.
    """
    settings = config.read(config_path)
    overviews = {each.status.name: each for each in contests.overviews(None, config_path)}
    require_known("contest", name, overviews)
    found = overviews[ContestId(name)]
    with change_knowledge(settings) as knowledge:
        declined = [each.candidate for each in knowledge.declined(ContestId(name))]
        wanted = next((each for each in declined if str(each) == found.figures.successor), None)
        if found.figures.state != ContestState.DECLINED or wanted is None:
            proposed = next(each for each in found.status.conditions if each.type == "Proposed")
            raise click.ClickException(f"{name} has no declined successor: {proposed.reason}: {proposed.message}")
        knowledge.reconsider(ContestId(name), wanted)
    fields = {"contest": name, "successor": str(wanted)}
    print_result(output, fields, f"{wanted} is proposed again at the next pass of the daemon")


@command.command("replay", short_help="Show what other rules would have decided")
@name_argument
@click.option("--rules", type=FILE, help="A Contest document with other rules, candidates or another pool.")
@config_option
@output_option
def replay_(name: str, rules: Path | None, config_path: Path, output: str) -> None:
    """Replay the kept windows with the present rules and, with --rules, with those of a file.

    Each replacement is taken to be merged and complete at once. The windows are those that the champions of that
    time sent, so the result is an estimate. Models vote only on what they have already voted on.
    """
    variants = [(PRESENT, _resolved(name, config_path))]
    if rules is not None:
        variants.append((rules.name, _resolved(name, config_path, _contest_in(rules, name))))
    outcomes = []
    with open_knowledge(config.read(config_path)) as knowledge:
        for title, one in variants:
            rows = [row.sample for row in kept_rows(knowledge, ContestId(name), one.facts.voters)]
            began = min((row.received_at for row in rows), default=one.facts.kept_since)
            first = next((row.champion for row in rows if row.received_at == began), one.facts.champion)
            outcomes.append((title, replay(one.contest, replace(one.facts, champion=first), rows)))
    show_result(output, [replay_as_dict(*each) for each in outcomes], replayed(outcomes))


@dataclass(frozen=True, slots=True)
class _ResolvedContest:
    contest: Contest
    facts: ContestFacts


def _resolved(name: str, config_path: Path, other: Contest | None = None) -> _ResolvedContest:
    """Resolve a contest in the commit that the gateway enforces."""
    with open_context(None, config_path, CheckCache()) as context:
        desired = context.desired
    require_known("contest", name, desired.contests)
    known = desired.contests[ContestId(name)]
    contest = other or known
    _check_models(contest, desired)
    rollout = desired.rollouts[known.rollout]
    types = types_of(rollout, desired.devices.values(), desired.types)
    candidates = resolve_candidates(contest, rollout, desired.models, types)
    voters = resolve_voters(contest, candidates, desired.models)
    current = champion(rollout, desired.models)
    return _ResolvedContest(contest, ContestFacts(current, candidates, voters, None, datetime.now(UTC)))


def _check_models(contest: Contest, desired: Desired) -> None:
    missing = [str(ref) for ref in contest.pool.models if ref not in desired.models]
    if missing:
        raise click.ClickException(f"the fleet repository has no model {', '.join(missing)}")


def _contest_in(path: Path, name: str) -> Contest:
    checked, _ = check_file(path.read_bytes())
    if checked.problems:
        raise click.ClickException(str(replace(checked.problems[0], path=str(path))))
    found = [document.value for document in checked.documents if isinstance(document.value, Contest)]
    if len(found) != 1:
        raise click.ClickException(f"{path} must hold exactly one Contest document; it has {len(found)}")
    return replace(found[0], name=ContestId(name), rollout=RolloutId(found[0].rollout))


def _shown(found: Iterable[ContestOverview]) -> Iterable[RenderableType]:
    now = datetime.now(UTC)
    for each in found:
        yield from shown(each, now)
