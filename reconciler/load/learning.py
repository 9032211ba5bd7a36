# SPDX-License-Identifier: Apache-2.0
"""Checks the models from which devices grow forests of their own."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.candidates import types_of
from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.model import CLASSIFIERS, LEARN_GENERATION, LEARN_OPERATOR, LearnSpec, Model, Runtime
from reconciler.validation.problems import Rule

SAMPLES_MAX = 256  # docs/specs/learning.md, section 1


def check_learning(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report models of which no device could learn, and rollouts of them to devices that can't."""
    yield from cap_alike(_models(documents))
    yield from cap_alike(_rollouts(documents))


def _models(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for ref, model in documents.models.items():
        origin = documents.origin("Model", ref)
        if model.learn is not None:
            yield from _starter(origin, model, model.learn)
        elif LEARN_GENERATION in model.parameters:
            message = f"`{LEARN_GENERATION}` has devices learn again, and the model has no `learn`"
            at = ("spec", "parameters", LEARN_GENERATION)
            yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "add `learn`, or remove it")


def _starter(origin: Origin, model: Model, learn: LearnSpec) -> Iterator[RepositoryProblem]:
    at = ("spec", "learn")
    if model.pool_only:
        message = "a model with `poolOnly` gets to no device, so none learns"
        yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "remove `learn` or `poolOnly`")
    train = model.train
    if train is None:
        return
    if train.method in CLASSIFIERS:
        message = f"devices grow isolation forests, and this model is of `{train.method}`"
        yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, "set `train.method: isolation-forest`")
    elif train.samples > SAMPLES_MAX:
        message = f"devices grow trees of at most {SAMPLES_MAX} samples, and `train.samples` is {train.samples}"
        yield RepositoryProblem(origin, ("spec", "train", "samples"), Rule.CONFLICTING_VALUES, message)
    elif learn.rows < train.samples:
        message = f"`rows` {learn.rows} is less than the {train.samples} samples of a tree"
        yield RepositoryProblem(origin, (*at, "rows"), Rule.CONFLICTING_VALUES, message, "raise it")


def _rollouts(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for name, rollout in documents.rollouts.items():
        model = documents.models.get(rollout.model)
        if model is None or model.learn is None:
            continue
        kinds = types_of(rollout, documents.devices.values(), documents.types)
        lacking = [kind.name for kind in kinds if LEARN_OPERATOR not in kind.operators or kind.runtime is not Runtime.C]
        if lacking and len(lacking) == len(kinds):
            message = f"devices of type `{lacking[0]}` do not learn: their firmware lacks the operator {LEARN_OPERATOR}"
            origin = documents.origin("Rollout", name)
            yield RepositoryProblem(origin, ("spec", "model"), Rule.CONFLICTING_VALUES, message)
