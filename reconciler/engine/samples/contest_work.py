# SPDX-License-Identifier: Apache-2.0
"""The work on contests between passes: votes on new samples, the evidence in them, and bounds of what is kept.

One task does it in turns, and waits on other threads for the pool's process and for the disk. All that it knows it
reads from the knowledge base, so a kill at any moment costs a repeated turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.compiler.pool.process import CagedPool
from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.evidence import CandidateComparison, Evidence, gather
from reconciler.contest.facts import ContestFacts
from reconciler.engine.clock import Clock
from reconciler.engine.samples.ballot import Ballot, Layouts, voters_of
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.engine.samples.pool_models import PoolModels
from reconciler.engine.samples.sample_contexts import SampleContexts
from reconciler.errors import FleetError
from reconciler.knowledge.records import KnowledgeCounts, Voter
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Candidate, ContestId, DeviceId

log = logging.getLogger(__name__)

NEWEST = 20_000  # samples that a decision is derived from: more would take seconds, and say the same
THIN_EVERY = 100  # parts of a bound: the bounds are checked each time that this share of them has arrived
RETRY_S = 30.0  # after a turn that failed


@dataclass(frozen=True, slots=True)
class EvaluationKey:
    """What evidence depends on, apart from the samples."""

    champion: Candidate
    complete_since: datetime | None
    candidates: tuple[Candidate, ...]
    voters: frozenset[Candidate]


def key_of(facts: ContestFacts) -> EvaluationKey:
    """Return what evidence for these facts depends on."""
    return EvaluationKey(facts.champion, facts.complete_since, facts.candidates, facts.voters)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one turn found for a contest."""

    key: EvaluationKey
    complete: bool  # no model is still being built: each has voted, or can't
    evidence: Evidence
    counts: KnowledgeCounts
    local: Mapping[Candidate, CandidateComparison] = field(default_factory=dict)  # forests that devices have grown
    doubts: Mapping[DeviceId, int] = field(default_factory=dict)  # decisions that the same model does not repeat


@dataclass(frozen=True, slots=True)
class _Wanted:
    own: OwnContest
    facts: ContestFacts


class ContestWork:
    """Votes and evidence. `refresh` says what a pass needs; `evaluated` has what was found last."""

    def __init__(
        self,
        knowledge: KnowledgeWriter,
        contexts: SampleContexts,
        models: PoolModels,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self.pool = CagedPool()
        self.evaluated: dict[ContestId, Evaluated] = {}
        self._knowledge = knowledge
        self._contexts = contexts
        self._models = models
        self._clock = clock
        self._wake = wake
        self._ballot = Ballot(knowledge, self.pool)
        self._wanted: dict[ContestId, _Wanted] = {}
        self._layouts: Layouts = {}
        self._new: Counter[ContestId] = Counter()  # samples since the bounds were last checked
        self._seen_changes = -1  # of the knowledge base, by other processes
        self._due = asyncio.Event()
        self._busy = False
        self._stopping = False
        self._task = asyncio.create_task(self._work(), name="contests")

    @property
    def busy(self) -> bool:
        """Return whether a turn is due or in progress."""
        return self._busy or self._due.is_set()

    def note_new(self, contest: ContestId, count: int) -> None:
        """Take note of new samples."""
        self._new[contest] += count
        self._due.set()

    def models_changed(self) -> None:
        """Take note of a model that became ready."""
        self._due.set()

    def refresh(self, own: OwnContest, facts: ContestFacts, layouts: Layouts) -> Evidence | None:
        """Return the evidence for these facts. None: it is still gathered, and nothing may be decided without it."""
        name = own.contest.name
        before = self._wanted.get(name)
        self._wanted[name] = _Wanted(own, facts)
        self._layouts = layouts
        same = before is not None and before.own is own and key_of(before.facts) == key_of(facts)
        if not same or self._knowledge.changes_by_others() != self._seen_changes:
            self._due.set()
        known = self.evaluated.get(name)
        return known.evidence if known is not None and known.complete and known.key == key_of(facts) else None

    def keep_only(self, names: Mapping[ContestId, object]) -> None:
        """Drop contests that this gateway no longer evaluates."""
        for name in self._wanted.keys() - names.keys():
            del self._wanted[name]
            self.evaluated.pop(name, None)

    async def stop(self) -> None:
        """End the process of the pool, and wait for the turn in progress: it may be writing."""
        self._stopping = True
        self._due.set()
        self.pool.close()
        await asyncio.wait([self._task])

    async def _work(self) -> None:
        while not self._stopping:
            await self._due.wait()
            self._due.clear()
            self._busy = True
            try:
                self._seen_changes = self._knowledge.changes_by_others()
                for wanted in list(self._wanted.values()):
                    await self._turn(wanted)
            except FleetError as failure:
                log.error("evaluating samples failed: %s: %s", failure.reason, failure)  # noqa: TRY400 - expected
                self._retry()
            except Exception:
                log.exception("evaluating samples: a bug; it is tried again")
                self._retry()
            finally:
                self._busy = False
            self._wake()

    def _retry(self) -> None:
        asyncio.get_running_loop().call_later(RETRY_S, self._due.set)

    async def _turn(self, wanted: _Wanted) -> None:
        own, contest = wanted.own, wanted.own.contest
        if self._stopping:
            return
        if self._new[contest.name] * THIN_EVERY >= contest.knowledge.windows or contest.name not in self.evaluated:
            self._new[contest.name] = 0
            await asyncio.to_thread(self._knowledge.thin, contest.name, contest.knowledge, self._clock.now())
        complete = self._models.settled(own)  # before the votes: what becomes ready meanwhile causes another turn
        voters = [] if contest.suspend else await self._vote(own)
        self.evaluated[contest.name] = await asyncio.to_thread(self._evaluate, wanted, voters, complete=complete)

    async def _vote(self, own: OwnContest) -> list[Voter]:
        """Have all models vote on what is new; return the voters."""
        ready, thresholds = self._models.of(own), own.thresholds
        all_voters: list[Voter] = []
        for ref, model in sorted(ready.items(), key=lambda item: str(item[0])):
            voters = voters_of(ref, model, thresholds[ref])
            all_voters += voters
            more = not self._stopping
            while more:
                held = self._ballot.hold
                more = await asyncio.to_thread(held, own.contest.name, model, voters, self._layouts)
                more = more and not self._stopping
        return all_voters

    def _evaluate(self, wanted: _Wanted, voters: list[Voter], *, complete: bool) -> Evaluated:
        name, facts = wanted.own.contest.name, wanted.facts
        champions = self._contexts.champions
        rows, doubts = [], Counter[DeviceId]()
        for each in self._knowledge.voted_samples(name, voters, NEWEST):
            ran = champions.get(each.context)
            if ran is None:
                continue  # its model is not known yet: it may be later
            repeated = each.votes.get(ran)
            if repeated is not None and repeated != each.anomalous:
                doubts[each.device] += 1
            rows.append(
                EvaluatedSample(
                    each.device, each.received_at, each.log, each.weight, ran, each.anomalous, each.label, each.votes
                )
            )
        counts, contest = self._knowledge.counts(name), wanted.own.contest
        local = replace(facts, candidates=tuple(each.candidate for each in wanted.own.local))
        compared = gather(contest, local, rows).comparisons if local.candidates else {}
        return Evaluated(key_of(facts), complete, gather(contest, facts, rows), counts, compared, doubts)
