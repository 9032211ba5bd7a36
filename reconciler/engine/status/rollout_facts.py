# SPDX-License-Identifier: Apache-2.0
"""From a plan to the facts that the status reports of each rollout."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model import BuildFailure, Desired, Device, DeviceId, Rollout, RolloutId, RolloutReport
from reconciler.plan import Planner
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.plan.rollout.holds import rollout_hold
from reconciler.plan.rollout.own_report import report_to_peers
from reconciler.plan.rollout.tally import WaveRole
from reconciler.report.rollout_status import RolloutFacts, WaveFacts


@dataclass(frozen=True, slots=True)
class _KnownFacts:
    """The facts of a rollout, and what they were made of."""

    evaluation: RolloutEvaluation
    devices: Mapping[DeviceId, Device]
    held: str
    facts: RolloutFacts | None  # None: the rollout has none of our devices


class RolloutFactsBuilder:
    """Keeps the facts of each rollout while its evaluation is the same snapshot (reconciler.model.snapshot_cache)."""

    def __init__(self) -> None:
        self._known: dict[RolloutId, _KnownFacts] = {}

    def facts(
        self, desired: Desired, planner: Planner, reported: Mapping[RolloutId, RolloutReport], now: datetime
    ) -> tuple[RolloutFacts, ...]:
        """Return the facts of every rollout that includes our devices; `reported` is what was last reported of each."""
        evaluations = planner.evaluations
        incomplete = {name for name, evaluation in evaluations.items() if not evaluation.complete}
        known = {}
        for name, evaluation in sorted(evaluations.items()):
            rollout = desired.rollouts[name]
            hold = rollout_hold(rollout, incomplete)
            held = hold.why if hold is not None else ""
            before = self._known.get(name)
            if (
                before is not None
                and before.evaluation is evaluation
                and before.devices is desired.devices
                and before.held == held
            ):
                known[name] = before
                continue
            verdicts = planner.verdicts(name)
            mine = frozenset(device for device in verdicts if device in desired.devices)
            facts = None
            if mine:
                report = report_to_peers(evaluation, verdicts, mine, reported.get(name), now)
                facts = _facts(rollout, evaluation, held, report)
            known[name] = _KnownFacts(evaluation, desired.devices, held, facts)
        self._known = known
        return tuple(each.facts for each in known.values() if each.facts is not None)


def with_build_failures(
    facts: tuple[RolloutFacts, ...], failures: Collection[BuildFailure]
) -> tuple[RolloutFacts, ...]:
    """Add to each rollout that is not complete why its model can't be built, if so."""
    if not failures:
        return facts
    first: dict[str, BuildFailure] = {}
    for failure in sorted(failures, key=lambda each: (each.retried, each.type)):  # those that need help first
        first.setdefault(str(failure.model), failure)
    return tuple(
        each if each.complete or each.model not in first else replace(each, build_failure=first[each.model])
        for each in facts
    )


def _facts(rollout: Rollout, evaluation: RolloutEvaluation, held: str, report: RolloutReport) -> RolloutFacts:
    return RolloutFacts(
        rollout=rollout.name,
        model=str(rollout.model),
        report=report,
        waves=_waves(evaluation),
        complete=evaluation.complete,
        waiting=evaluation.progress.waiting,
        held=held,
        rolled_back=evaluation.rolled_back,
    )


def _waves(evaluation: RolloutEvaluation) -> tuple[WaveFacts, ...]:
    progress = evaluation.progress
    return tuple(
        WaveFacts(
            step.name,
            len(step.members),
            done=tally.done,
            at_risk=tally.at_risk,
            due=len(tally.due),
            failed=tally.counts[WaveRole.FAILED],
            missing=tally.counts[WaveRole.MISSING],
            open=index < progress.opened and not progress.stopped,
        )
        for index, (step, tally) in enumerate(zip(evaluation.steps, progress.tallies, strict=True))
    )
