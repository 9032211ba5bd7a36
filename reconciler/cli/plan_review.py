# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet plan --base REV --head REV`: review a change from Git alone."""

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
from reconciler.cli.inputs.repositories import FleetRepository, find_repository, reported_state_in
from reconciler.cli.inputs.working_tree import uncommitted
from reconciler.cli.problem_report import report_problems
from reconciler.cli.views.review_json import as_dict
from reconciler.cli.views.review_markdown import markdown
from reconciler.load import CheckCache
from reconciler.load.parallel_check import check_in_parallel
from reconciler.model import Artifact, ArtifactKey, Commit, Desired, Fleet
from reconciler.pipeline.changed import changed_pipelines
from reconciler.pipeline.forecast import PipelineForecast, not_built
from reconciler.review.formatting import counted, short
from reconciler.review.reported_state import ReportedState
from reconciler.review.review import Review, ReviewInputs, review
from reconciler.review.transfer_volume import PayloadSizer
from reconciler.tree import Tree

FILES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RevisionRange:
    """The change to review, and what to use for it."""

    base: str
    head: str
    store: str | None
    observed_file: Path | None
    at: datetime


def review_change(path: Path, change: RevisionRange, output: str, *, strict: bool) -> str:
    """Review a change, or end the command with the errors of the head."""
    repository = find_repository(path)
    with _without_collector():
        made = _review(path, repository, change)
    text = json.dumps(as_dict(made), indent=2, ensure_ascii=False) if output == "json" else markdown(made)
    if strict and made.blocked:
        click.echo(text)
        sys.exit(1)
    return text


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the garbage collector: the fleet lives to the end, and scanning it costs a tenth of the time.

    What exists then is exempt from the collections at the exit of the interpreter as well.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()


def _review(path: Path, repository: FleetRepository, change: RevisionRange) -> Review:
    cache = CheckCache()  # what both commits share is read once
    head = repository.resolve(change.head)
    with repository.tree(head) as tree:
        if head == repository.resolve("HEAD"):
            _warn_of_uncommitted(path, tree)
        check_in_parallel(tree, cache)
    after = repository.load(head, cache)
    if after.desired is None:
        conclusion = "no plan: the head has errors; run `tinyfleet validate --commit` on it for the complete list"
        with repository.tree(head) as tree:
            report_problems(after.errors, tree, conclusion)
        sys.exit(1)
    before = _before(repository, change.base, after.desired, cache)
    return review(before, after.desired, _inputs(repository, change, before, after.desired), change.at)


def _warn_of_uncommitted(path: Path, tree: Tree) -> None:
    """Warn the author who forgot to commit: a review shows commits only."""
    if (path / "HEAD").is_file():
        return  # a bare repository has no working tree
    left_out = uncommitted(path, tree)
    if left_out:
        shown = ", ".join(left_out[:FILES_SHOWN]) + (", …" if len(left_out) > FILES_SHOWN else "")
        click.echo(
            f"warning: this plan leaves out uncommitted changes of {counted(len(left_out), 'file')} ({shown}); "
            "commit them, or plan the working directory without --base",
            err=True,
        )


def _before(repository: FleetRepository, base: str, after: Desired, cache: CheckCache) -> Desired:
    """Load the base. An invalid base counts as an empty fleet."""
    commit = repository.resolve(base)
    loaded = repository.load(commit, cache)
    if loaded.desired is not None:
        return loaded.desired
    click.echo(f"the base {short(commit)} is not a valid fleet: everything in the head counts as new", err=True)
    return Desired(Commit(""), Fleet(after.fleet.name), {}, {}, {}, {}, {})


def _inputs(repository: FleetRepository, change: RevisionRange, before: Desired, after: Desired) -> ReviewInputs:
    built, size, pipelines = _built(change.store, before, after)
    if change.observed_file is not None:
        observed, _ = read_observed(change.observed_file)
        return ReviewInputs(ReportedState(), built, size, observed, pipelines)
    return ReviewInputs(reported_state_in(repository), built, size, pipelines=pipelines)


_Built = tuple[Mapping[ArtifactKey, Artifact], PayloadSizer, tuple[PipelineForecast, ...]]


def _built(store: str | None, before: Desired, after: Desired) -> _Built:
    """Look into the build store if one is given. Only then import what reads packs: the import is slow."""
    changed = changed_pipelines(before, after)
    if store is None:
        return {}, lambda _transfer: None, tuple(not_built(each) for each in changed)
    from reconciler.cli.inputs.payload_sizes import PayloadSizes  # noqa: PLC0415 - see above

    sizes = PayloadSizes(store, before, after)
    wanted = {rollout.model for rollout in after.rollouts.values()}
    artifacts = sizes.artifacts((ref, kind) for ref in wanted for kind in after.types)
    return artifacts, sizes.of, tuple(sizes.forecast(each) for each in changed)
