# SPDX-License-Identifier: Apache-2.0
"""Checks contests against the rollouts, gateways and models that they name."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.candidates import resolve_candidates, serving_gateways, types_of
from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.load.references import DocumentReference, unresolved_model
from reconciler.model import THRESHOLD, Contest, ContestId, Rollout, RolloutId, VoteRule
from reconciler.validation.problems import Rule, quoted_list

MAX_THRESHOLDS = 100


def check_contests(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report contests that could evaluate nothing, or that contradict another document."""
    yield from cap_alike(_contests(documents))


def _contests(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    contests: dict[RolloutId, ContestId] = {}
    for name, contest in documents.contests.items():
        origin = documents.origin("Contest", name)
        yield from _models(documents, origin, contest)
        yield from _thresholds(documents, origin, contest)
        yield from _gateway_exists(documents, origin, contest)
        rollout = documents.rollouts.get(contest.rollout)
        if rollout is None:
            where = DocumentReference(documents, origin, ("spec", "rollout"))
            yield from where.unresolved("Rollout", contest.rollout, documents.rollouts)
            continue
        first = contests.setdefault(contest.rollout, name)
        if first != name:
            message = f"the contest `{first}` already evaluates the rollout `{contest.rollout}`"
            hint = "remove one of the two"
            yield RepositoryProblem(origin, ("spec", "rollout"), Rule.SEVERAL_CONTESTS, message, hint)
        yield from _gateway(documents, origin, contest, rollout)
        yield from _candidates(documents, origin, contest, rollout)


def _models(documents: DocumentIndex, origin: Origin, contest: Contest) -> Iterator[RepositoryProblem]:
    for index, ref in enumerate(contest.pool.models):
        yield from unresolved_model(DocumentReference(documents, origin, ("spec", "pool", "models", index)), ref)
    known = {ref.name for ref in documents.models} | _trained(documents, contest)
    for index, name in enumerate(contest.candidates.models):
        if name not in known:
            where = DocumentReference(documents, origin, ("spec", "candidates", "models", index))
            yield from where.unresolved("Model", name, dict.fromkeys(known))


def _trained(documents: DocumentIndex, contest: Contest) -> set[str]:
    """Return the models of which trainings may add versions, so that there need not be one yet."""
    return {training.model for training in documents.trainings.values() if training.contest == contest.name}


def _thresholds(documents: DocumentIndex, origin: Origin, contest: Contest) -> Iterator[RepositoryProblem]:
    wanted = contest.candidates.thresholds
    if wanted is None:
        return
    at = ("spec", "candidates", "thresholds")
    if wanted.least > wanted.most:
        message = f"`least` {wanted.least:g} is greater than `most` {wanted.most:g}, so there is no threshold"
        yield RepositoryProblem(origin, (*at, "least"), Rule.CONFLICTING_VALUES, message)
    elif (wanted.most - wanted.least) / wanted.step >= MAX_THRESHOLDS:
        message = f"`step` {wanted.step:g} makes more than {MAX_THRESHOLDS} thresholds"
        yield RepositoryProblem(origin, (*at, "step"), Rule.CONFLICTING_VALUES, message, "choose a larger step")
    named = [model for ref, model in documents.models.items() if ref.name in contest.candidates.models]
    if named and not any(THRESHOLD in model.parameters for model in named):
        message = f"no candidate has a parameter `{THRESHOLD}`"
        hint = "remove `thresholds`, or add the parameter to a model"
        yield RepositoryProblem(origin, at, Rule.UNKNOWN_PARAMETER, message, hint)


def _gateway_exists(documents: DocumentIndex, origin: Origin, contest: Contest) -> Iterator[RepositoryProblem]:
    if contest.gateway is not None and contest.gateway not in documents.gateways:
        where = DocumentReference(documents, origin, ("spec", "gateway"))
        yield from where.unresolved("Gateway", contest.gateway, documents.gateways)


def _gateway(
    documents: DocumentIndex, origin: Origin, contest: Contest, rollout: Rollout
) -> Iterator[RepositoryProblem]:
    serving = serving_gateways(rollout, documents.devices.values(), documents.gateways.values())
    if contest.gateway is None and len(serving) > 1:
        message = f"several gateways serve the rollout `{rollout.name}`: {quoted_list(serving)}"
        hint = "name the one that evaluates in `gateway`"
        yield RepositoryProblem(origin, ("spec",), Rule.CONTEST_GATEWAY, message, hint)
    elif contest.gateway in documents.gateways and serving and contest.gateway not in serving:
        message = f"the gateway `{contest.gateway}` serves no device of the rollout `{rollout.name}`"
        hint = f"expected one of {quoted_list(serving)}"
        yield RepositoryProblem(origin, ("spec", "gateway"), Rule.CONTEST_GATEWAY, message, hint)


def _candidates(
    documents: DocumentIndex, origin: Origin, contest: Contest, rollout: Rollout
) -> Iterator[RepositoryProblem]:
    """Compare what the contest names with the devices of the rollout, once everything that it needs is known."""
    types = types_of(rollout, documents.devices.values(), documents.types)
    trained = _trained(documents, contest)
    names = {ref.name for ref in documents.models} | trained
    if rollout.model not in documents.models or not types or not names.issuperset(contest.candidates.models):
        return
    thresholds = contest.candidates.thresholds
    if thresholds is not None and (thresholds.most - thresholds.least) / thresholds.step >= MAX_THRESHOLDS:
        return
    found = resolve_candidates(contest, rollout, documents.models, types)
    kinds = quoted_list(kind.name for kind in types)
    for index, name in enumerate(contest.candidates.models):
        if name not in trained and not any(one.model.name == name for one in found):
            message = f"no version of `{name}` fits the devices of the rollout `{rollout.name}` ({kinds})"
            hint = "a candidate fits each type that the champion fits, and is not `poolOnly`"
            at = ("spec", "candidates", "models", index)
            yield RepositoryProblem(origin, at, Rule.NO_CANDIDATE, message, hint)
    yield from _pool_size(origin, contest, len(found))


def _pool_size(origin: Origin, contest: Contest, candidates: int) -> Iterator[RepositoryProblem]:
    """Report a pool that can never decide."""
    pool = contest.pool
    votes = len(pool.models) + (candidates if pool.candidates else 0)
    for name, needed in (("quorum", pool.quorum), ("atLeast", pool.at_least or 0)):
        if needed > votes and (name == "quorum" or pool.vote is VoteRule.AT_LEAST):
            models = "1 model" if votes == 1 else f"{votes} models"
            message = f"`{name}` is {needed}, but the pool has {models}, so no window is ever decided"
            at = ("spec", "pool", name) if name == "atLeast" else ("spec", "pool")
            hint = "add models to the pool, or lower the number"
            yield RepositoryProblem(origin, at, Rule.CONFLICTING_VALUES, message, hint)
