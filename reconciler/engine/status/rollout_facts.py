# SPDX-License-Identifier: Apache-2.0
"""From a plan to what is told of each rollout."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from reconciler.model import Desired, DeviceId, Rollout, RolloutId, RolloutReport
from reconciler.plan import Planner
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.plan.rollout.holds import rollout_hold
from reconciler.plan.rollout.own_report import report_to_peers
from reconciler.plan.rollout.tally import WaveRole
from reconciler.report.rollout_status import RolloutFacts, WaveFacts


class RolloutFactsBuilder:
    """Remembers what was found of each rollout, for as long as its course is the same."""

    def __init__(self) -> None:
        self._known: dict[RolloutId, tuple[RolloutEvaluation, Collection[DeviceId], str, RolloutFacts | None]] = {}

    def facts(
        self,
        desired: Desired,
        planner: Planner,
        ours: Collection[DeviceId],
        told: Mapping[RolloutId, RolloutReport],
        now: datetime,
    ) -> tuple[RolloutFacts, ...]:
        """Tell of every rollout that has devices of ours; `told` is what was said of it last."""
        courses = planner.evaluations
        incomplete = {name for name, course in courses.items() if not course.complete}
        known = {}
        for name in sorted(courses):
            course = courses[name]
            standing = rollout_hold(desired.rollouts[name], incomplete)
            held = standing.why if standing is not None else ""
            before = self._known.get(name)
            if before is not None and before[0] is course and before[1] is ours and before[2] == held:
                known[name] = before
                continue
            word = _word(planner, course, name, ours, told.get(name), now)
            found = _facts(desired.rollouts[name], course, held, word)
            known[name] = (course, ours, held, found)
        self._known = known
        return tuple(found for *_, found in known.values() if found is not None)


def _word(  # noqa: PLR0913, PLR0917 - one parameter for each thing that a word depends on
    planner: Planner,
    course: RolloutEvaluation,
    name: RolloutId,
    ours: Collection[DeviceId],
    told: RolloutReport | None,
    now: datetime,
) -> RolloutReport | None:
    verdicts = planner.verdicts(name)
    mine = frozenset(device for device in verdicts if device in ours)
    return report_to_peers(course, verdicts, mine, told, now) if mine else None


def _facts(rollout: Rollout, course: RolloutEvaluation, held: str, word: RolloutReport | None) -> RolloutFacts | None:
    if word is None:
        return None
    return RolloutFacts(
        rollout=rollout.name,
        model=str(rollout.model),
        word=word,
        waves=_waves(course),
        complete=course.complete,
        waiting=course.progress.waiting,
        held=held,
        rolled_back=course.rolled_back,
    )


def _waves(course: RolloutEvaluation) -> tuple[WaveFacts, ...]:
    return tuple(
        WaveFacts(
            step.name,
            len(step.members),
            done=tally.done,
            at_risk=tally.at_risk,
            due=len(tally.due),
            failed=tally.counts[WaveRole.FAILED],
            missing=tally.counts[WaveRole.MISSING],
            open=index < course.progress.opened and not course.progress.stopped,
        )
        for index, (step, tally) in enumerate(zip(course.steps, course.progress.tallies, strict=True))
    )
