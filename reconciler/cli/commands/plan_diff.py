# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet plan --base REV --head REV`: what a change would do, from Git alone."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from reconciler.cli.inputs.observed_file import read_observed
from reconciler.cli.inputs.repositories import Found, evidence_in, find
from reconciler.cli.views.review_json import as_dict
from reconciler.cli.views.review_markdown import markdown
from reconciler.load import CheckCache
from reconciler.load.parallel_check import check_in_parallel
from reconciler.model import Artifact, ArtifactKey, Commit, Desired, Fleet
from reconciler.review.reported_state import ReportedState
from reconciler.review.review import Review, Sources, review
from reconciler.review.transfer_volume import Quote


@dataclass(frozen=True, slots=True)
class RevisionRange:
    """What is asked."""

    base: str
    head: str
    store: str | None
    observed_file: Path | None
    at: datetime


def review_change(path: Path, change: RevisionRange, form: str, *, strict: bool) -> str:
    """Review a change, or end the command with the head's mistakes."""
    found = find(path)
    with _uncollected():
        made = _review(found, change)
    text = json.dumps(as_dict(made), indent=2, ensure_ascii=False) if form == "json" else markdown(made)
    if strict and made.obstacles:
        click.echo(text)
        sys.exit(1)
    return text


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from walking through a fleet that is needed to the end: a tenth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _review(found: Found, change: RevisionRange) -> Review:
    cache = CheckCache()  # what both revisions share is read once
    head = found.resolve(change.head)
    with found.tree(head) as tree:
        check_in_parallel(tree, cache)
    after = found.load(head, cache)
    if after.desired is None:
        for problem in after.errors:
            click.echo(str(problem), err=True)
        click.echo("no plan: the head has mistakes; `tinyfleet validate` tells them all", err=True)
        sys.exit(1)
    before = _before(found, change.base, after.desired, cache)
    return review(before, after.desired, _sources(found, change, before, after.desired), change.at)


def _before(found: Found, base: str, after: Desired, cache: CheckCache) -> Desired:
    """Load the base; one that has mistakes or holds no fleet wants nothing, so all is new."""
    commit = found.resolve(base)
    loaded = found.load(commit, cache)
    if loaded.desired is not None:
        return loaded.desired
    click.echo(f"the base {commit[:12]} is no valid fleet: all of the head counts as new", err=True)
    return Desired(Commit(""), Fleet(after.fleet.name), {}, {}, {}, {}, {})


def _sources(found: Found, change: RevisionRange, before: Desired, after: Desired) -> Sources:
    built, quote = _built(change.store, before, after)
    if change.observed_file is not None:
        observed, _ = read_observed(change.observed_file)
        return Sources(ReportedState(), built, quote, observed)
    return Sources(evidence_in(found), built, quote)


def _built(store: str | None, before: Desired, after: Desired) -> tuple[Mapping[ArtifactKey, Artifact], Quote]:
    """Ask a build store, where one was named; what reads packs is imported only then, for it takes its time."""
    if store is None:
        return {}, lambda _sort: None
    from reconciler.cli.inputs.payload_sizes import PayloadSizes  # noqa: PLC0415 - as said above

    quotes = PayloadSizes(store, before, after)
    wanted = {rollout.model for rollout in after.rollouts.values()}
    return quotes.artifacts((ref, kind) for ref in wanted for kind in after.types), quotes.of
