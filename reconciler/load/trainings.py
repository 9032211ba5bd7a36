# SPDX-License-Identifier: Apache-2.0
"""Checks trainings against the contests whose windows they use."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.candidates import types_of
from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.load.references import DocumentReference
from reconciler.model import (
    CLASSIFIERS,
    FORESTS,
    Contest,
    Decide,
    SearchSpace,
    Training,
    TrainingMethod,
    WindowLabel,
)
from reconciler.validation.problems import Rule, quoted_list

FOREST_OPERATOR = "TREE_ENSEMBLE"


def check_trainings(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report trainings that could never make a model, or whose models nobody would evaluate."""
    yield from cap_alike(_trainings(documents))


def _trainings(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for name, training in documents.trainings.items():
        origin = documents.origin("Training", name)
        yield from _search(origin, training)
        contest = documents.contests.get(training.contest)
        if contest is None:
            where = DocumentReference(documents, origin, ("spec", "contest"))
            yield from where.unresolved("Contest", training.contest, documents.contests)
            continue
        yield from _contest(origin, training, contest)
        if all(space.method in FORESTS for space in training.try_):
            yield from _operator(documents, origin, contest)


def _search(origin: Origin, training: Training) -> Iterator[RepositoryProblem]:
    labels = set(training.data.labels)
    if WindowLabel.NORMAL not in labels:
        message = "`labels` lacks `normal`: a model has to know normal windows"
        yield RepositoryProblem(origin, ("spec", "data", "labels"), Rule.CONFLICTING_VALUES, message, "add `normal`")
    for index, space in enumerate(training.try_):
        at = ("spec", "try", index)
        if _tells_apart(space) and labels != set(WindowLabel):
            by = f"`decide: {space.decide}`" if space.decide is not None else space.method.value
            message = f"{by} learns the difference between two kinds of windows, and `data.labels` has one"
            hint = "set `data.labels: [normal, anomalous]`"
            yield RepositoryProblem(origin, (*at, "method"), Rule.CONFLICTING_VALUES, message, hint)
        yield from (
            RepositoryProblem(origin, (*at, field), Rule.CONFLICTING_VALUES, message, hint)
            for field, message, hint in _fields(space)
        )
        features = space.features
        for place, count in enumerate(features.choose if features is not None else ()):
            if features is not None and count > len(features.of):
                message = f"`choose` {count} is more than the {len(features.of)} features in `of`"
                where = (*at, "features", "choose", place)
                yield RepositoryProblem(origin, where, Rule.CONFLICTING_VALUES, message, "choose fewer, or add some")


def _tells_apart(space: SearchSpace) -> bool:
    by_output = space.method is TrainingMethod.KERAS and space.decide in {Decide.ARGMAX, Decide.THRESHOLD}
    return space.method in CLASSIFIERS or by_output


def _fields(space: SearchSpace) -> Iterator[tuple[str, str, str]]:
    """Yield each field that a method lacks or has no use for, with what is wrong and what to do."""
    if space.method is TrainingMethod.KERAS:
        source = space.source
        if source is None:
            yield "method", "keras has no `source`", "name a .keras file with the architecture and the first weights"
        elif not (source.path or source.url or "").endswith(".keras"):
            yield (
                "source",
                "the source of a network is not a .keras file",
                "save it with `model.save`",
            )
        if space.decide is None:
            yield "method", "keras has no `decide`", "set `decide: reconstruction` for an autoencoder"
        if space.features is not None:
            yield "features", "a network reads the window itself, and no features of it", "remove `features`"
    else:
        for field, value in (("source", space.source), ("decide", space.decide)):
            if value is not None:
                yield field, f"{space.method} takes no `{field}`", "set `method: keras`, or remove the field"


def _contest(origin: Origin, training: Training, contest: Contest) -> Iterator[RepositoryProblem]:
    if not contest.collect.windows:
        message = f"the contest `{contest.name}` collects no windows, so there is nothing to train on"
        hint = "remove `collect.windows: false` from the contest"
        yield RepositoryProblem(origin, ("spec", "contest"), Rule.CONFLICTING_VALUES, message, hint)
    if training.model not in contest.candidates.models:
        message = f"`{training.model}` is not a candidate of the contest `{contest.name}`, so nobody would evaluate it"
        hint = f"expected one of {quoted_list(contest.candidates.models)}, or add it there"
        yield RepositoryProblem(origin, ("spec", "model"), Rule.NO_CANDIDATE, message, hint)


def _operator(documents: DocumentIndex, origin: Origin, contest: Contest) -> Iterator[RepositoryProblem]:
    rollout = documents.rollouts.get(contest.rollout)
    types = types_of(rollout, documents.devices.values(), documents.types) if rollout is not None else ()
    if types and not any(FOREST_OPERATOR in kind.operators for kind in types):
        kinds = quoted_list(kind.name for kind in types)
        message = f"no device of the rollout `{contest.rollout}` runs a forest: {kinds} lack {FOREST_OPERATOR}"
        hint = "remove the training, or add the operator to a type whose firmware has it"
        yield RepositoryProblem(origin, ("spec", "contest"), Rule.NO_CANDIDATE, message, hint)
