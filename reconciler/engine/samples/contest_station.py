# SPDX-License-Identifier: Apache-2.0
"""What a pass does for contests: watch the devices, decide from the evidence, and say what is to be proposed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from reconciler.compiler.pool.messages import WindowLayout
from reconciler.contest.decision import ContestDecision, ContestState, decide
from reconciler.contest.evidence import CandidateComparison, Evidence
from reconciler.contest.facts import ContestFacts
from reconciler.devices.link_session import LinkSession
from reconciler.engine.artifacts.build_service_adapter import Builder
from reconciler.engine.artifacts.catalog import ArtifactCatalog
from reconciler.engine.clock import Clock
from reconciler.engine.desired.gateway_scope import GatewayScope
from reconciler.engine.links import Links
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.samples.ballot import readable_layout
from reconciler.engine.samples.collector import SampleCollector
from reconciler.engine.samples.contest_facts import ContestMemory, facts_of, rounds_of
from reconciler.engine.samples.contest_work import ContestWork
from reconciler.engine.samples.learned_visit import LearnedPorts
from reconciler.engine.samples.own_contests import ContestResolver, OwnContest, OwnContests
from reconciler.engine.samples.pool_models import PoolModels
from reconciler.engine.samples.sample_contexts import SampleContexts
from reconciler.engine.samples.starter_packs import StarterPacks
from reconciler.engine.samples.visit import VisitPorts
from reconciler.errors import FleetError
from reconciler.git.proposal_outcomes import (
    AlreadyInForce,
    DeclinedProposal,
    MergedProposal,
    NotPushed,
    ProposalOutcome,
    Proposed,
    TakenOver,
)
from reconciler.knowledge.records import LearnedForest
from reconciler.knowledge.schema import KnowledgeUnusable
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Candidate, ContestId, Desired, DeviceId, GatewayId, Observed, ProposalMode
from reconciler.plan.revision import revision_of
from reconciler.report.contest_figures import contest_figures
from reconciler.report.contest_status import (
    CollectionFacts,
    ContestReport,
    KnowledgeFacts,
    LocalForestFacts,
    ProposalFacts,
    VotingFacts,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StationPorts:
    """What the work on contests touches."""

    name: GatewayId
    open_knowledge: Callable[[], KnowledgeWriter]
    builder: Builder
    artifacts: ArtifactCatalog
    inventory: Inventory
    links: Links
    clock: Clock


@dataclass(frozen=True, slots=True)
class DecidedContest:
    """A contest, and what was decided in this pass."""

    own: OwnContest
    facts: ContestFacts
    decision: ContestDecision


@dataclass(frozen=True, slots=True)
class _OpenStation:
    """The work that needs an open knowledge base."""

    knowledge: KnowledgeWriter
    contexts: SampleContexts
    collector: SampleCollector
    work: ContestWork
    kept_since: datetime


class ContestStation:
    """The contests of this gateway. The knowledge base is opened for the first of them, and closed by `stop`."""

    def __init__(
        self, ports: StationPorts, may_visit: Callable[[DeviceId, LinkSession], bool], wake: Callable[[], None]
    ) -> None:
        self.decided: tuple[DecidedContest, ...] = ()
        self.pending: AbstractSet[ContestId] = frozenset()  # without evidence yet: their statuses stay
        self._ports = ports
        self._may_visit = may_visit
        self._wake = wake
        self._resolver = ContestResolver(ports.name)
        self._models = PoolModels(ports.builder, self._model_ready)
        self._open: _OpenStation | None = None
        self._trouble = ""
        self._unconfirmed: dict[ContestId, str] = {}  # what is not on the remote, and why; empty: it is on its way
        self._layouts: dict[bytes, WindowLayout] = {}
        self._learned: tuple[LearnedForest, ...] = ()  # a snapshot of those in the knowledge base
        self._starters = StarterPacks(ports.artifacts)

    @property
    def knowledge(self) -> KnowledgeWriter | None:
        """Return the knowledge base, while it is open."""
        return self._open.knowledge if self._open is not None else None

    @property
    def layouts(self) -> Mapping[bytes, WindowLayout]:
        """Return what the bytes of samples mean, by context, as far as it is known."""
        return self._layouts

    @property
    def busy(self) -> bool:
        """Return whether models are being built or votes counted."""
        return self._models.busy or (self._open is not None and self._open.work.busy)

    def watch(self, desired: Desired, scope: GatewayScope, observed: Observed) -> None:
        """Collect from the devices of our contests. `desired` has the devices of all gateways."""
        own = self._resolver.resolve(desired, scope, self._learned)
        station = self._opened(own)
        if station is None:
            return
        available = self._ports.artifacts.available(scope.desired)
        for device in own.collections:
            station.contexts.learn(device, self._ports.inventory, observed, available)
        for one in own.by_name.values():
            for local in one.local:
                station.contexts.learn_local(local, self._ports.inventory, observed)
        self._starters.watch(own.collections, scope.desired, observed)
        station.collector.watch(own.collections, scope.desired.devices)
        for each in own.by_name.values():
            self._models.ensure(desired, each)

    def decide(self, desired: Desired, scope: GatewayScope, observed: Observed, now: datetime) -> None:
        """Decide on every contest from what was evaluated last."""
        own = self._resolver.resolve(desired, scope, self._learned)
        station = self._opened(own)
        if station is None:
            self.decided, self.pending = _without_knowledge(own, desired, observed, now), frozenset()
            return
        station.work.keep_only(own.by_name)
        layouts = self._known_layouts(station, scope, own)
        decided = []
        for each in own.by_name.values():
            revision = revision_of(desired, each.contest.rollout)
            facts = facts_of(each, self._memory(station, each, now), observed, revision)
            evidence = station.work.refresh(each, facts, layouts)
            if evidence is not None:
                decided.append(DecidedContest(each, facts, decide(each.contest, facts, evidence, now)))
        self.decided = tuple(decided)
        self.pending = own.by_name.keys() - {each.own.contest.name for each in decided}
        if self.decided:
            doubts = [each.doubts for each in station.work.evaluated.values()]
            self._ports.inventory.trust.record_doubts({name: n for each in doubts for name, n in each.items()})

    @property
    def due(self) -> tuple[DecidedContest, ...]:
        """The contests that propose a successor now."""
        return tuple(each for each in self.decided if _proposes(each))

    def save_proposals(self, due: Iterable[DecidedContest], now: datetime) -> None:
        """Keep what is about to be proposed."""
        station = self._open
        for each in due if station is not None else ():
            name, successor = each.own.contest.name, each.decision.successor
            if station is not None and successor is not None:
                station.knowledge.save_proposal(name, successor, now)
                self._unconfirmed.setdefault(name, "")

    def settle_proposals(
        self, outcomes: Mapping[ContestId, ProposalOutcome], now: datetime, *, complete: bool
    ) -> frozenset[ContestId]:
        """Keep what became of the proposals. Return the contests of which one was declined."""
        station = self._open
        if station is None:
            return frozenset()
        known = [each.own for each in self.decided if complete or each.own.contest.name in outcomes]
        settled = {
            own.contest.name: self._settle(station.knowledge, own, outcomes.get(own.contest.name), now) for own in known
        }
        return frozenset(name for name, declined in settled.items() if declined)

    def local_comparisons(self, contest: ContestId) -> Mapping[Candidate, CandidateComparison]:
        """Return how forests that devices have grown compare with the champion of a contest that was decided."""
        evaluated = self._open.work.evaluated.get(contest) if self._open is not None else None
        return evaluated.local if evaluated is not None else {}

    def reports(self) -> tuple[ContestReport, ...]:
        """Return what the status says of each contest."""
        return tuple(self._report(self._open, each) for each in self.decided)

    def next_change_at(self) -> datetime | None:
        """Return when time alone may change a decision."""
        return min((each.decision.until for each in self.decided if each.decision.until is not None), default=None)

    def git_changed(self) -> None:
        """Give models that failed another chance."""
        if self._open is not None:
            self._open.work.pool.git_changed()

    async def stop(self) -> None:
        """End all work, and close the knowledge base."""
        await self._models.stop()
        station, self._open = self._open, None
        if station is not None:
            await station.collector.stop()
            await station.work.stop()
            station.knowledge.close()

    # ------------------------------------------------------------ the parts of a pass

    def _opened(self, own: OwnContests) -> _OpenStation | None:
        if self._open is None and own.by_name:
            try:
                self._open = self._begin(self._ports.open_knowledge())
                self._trouble = ""
            except KnowledgeUnusable as failure:
                if str(failure) != self._trouble:
                    log.error("%s", failure, extra={"reason": failure.reason})  # noqa: TRY400 - expected
                self._trouble = str(failure)
        return self._open

    def _begin(self, knowledge: KnowledgeWriter) -> _OpenStation:
        ports = self._ports
        if knowledge.recovered is not None:
            log.error("the knowledge base was damaged and is set aside: %s", knowledge.recovered)
        contexts = SampleContexts(knowledge)
        work = ContestWork(knowledge, contexts, self._models, ports.clock, self._wake)
        visits = VisitPorts(knowledge, contexts, ports.clock)
        self._learned = tuple(knowledge.learned_forests())
        learned = LearnedPorts(self._starters.of, self._read_forests)
        collector = SampleCollector(visits, ports.links, self._may_visit, work.note_new, learned)
        since = knowledge.kept_since(ports.clock.now())
        return _OpenStation(knowledge, contexts, collector, work, since)

    def _memory(self, station: _OpenStation, own: OwnContest, now: datetime) -> ContestMemory:
        name, knowledge = own.contest.name, station.knowledge
        rounds = rounds_of(own, knowledge, now)
        proposal = knowledge.proposal(name)
        return ContestMemory(
            rounds,
            station.kept_since,
            proposal.candidate if proposal is not None and name not in self._unconfirmed else None,
            frozenset(each.candidate for each in knowledge.declined(name) if each.at >= rounds[-1].began_at),
        )

    def _read_forests(self) -> None:
        """Take in a forest of a device that was just stored: it votes from the next pass on."""
        if self._open is not None:
            self._learned = tuple(self._open.knowledge.learned_forests())
        self._model_ready()

    def _known_layouts(
        self, station: _OpenStation, scope: GatewayScope, own: OwnContests
    ) -> Mapping[bytes, WindowLayout]:
        """Return what the bytes of samples mean, by context, for all packs that this gateway still has."""
        local = {each.digest: each.forest.pack for contest in own.by_name.values() for each in contest.local}
        by_digest = {
            artifact.digest: artifact
            for artifact in self._ports.artifacts.available(scope.desired).by_short_digest.values()
        }
        for context, digest in station.contexts.digests.items():
            artifact = by_digest.get(digest)
            if context in self._layouts or (artifact is None and digest not in local):
                continue
            try:
                pack = self._ports.artifacts.pack(scope.desired, artifact) if artifact is not None else local[digest]
                layout = readable_layout(pack)
            except FleetError:
                continue  # the store has lost it: it is built again when a device needs it
            if layout is not None:
                self._layouts = {**self._layouts, context: layout}
        return self._layouts

    def _model_ready(self) -> None:
        if self._open is not None:
            self._open.work.models_changed()
        self._wake()

    def _settle(
        self, knowledge: KnowledgeWriter, own: OwnContest, outcome: ProposalOutcome | None, now: datetime
    ) -> bool:
        """Keep what became of one proposal. Return whether it was declined."""
        name = own.contest.name
        self._unconfirmed.pop(name, None)
        match outcome:
            case Proposed(target=target):
                proposed = next((each for each in own.candidates if str(each) == target), None)
                if proposed is not None and knowledge.proposal(name) is None and proposed != own.champion:
                    knowledge.save_proposal(name, proposed, now)
            case DeclinedProposal(target=target):
                declined = next((each for each in own.candidates if str(each) == target), None)
                if declined is not None:
                    knowledge.decline(name, declined, now)
                return True
            case TakenOver():
                self._unconfirmed[name] = "someone else has committed to the branch"
            case NotPushed(message=message):
                self._unconfirmed[name] = message
            case AlreadyInForce() | MergedProposal() | None:
                knowledge.settle_proposal(name)
        return False

    # ------------------------------------------------------------ the status

    def _report(self, station: _OpenStation | None, decided: DecidedContest) -> ContestReport:
        own, contest = decided.own, decided.own.contest
        failing = dict(self._models.failures(own))
        if station is None:
            collection = CollectionFacts(len(own.devices))
            knowledge = KnowledgeFacts(0, 0, contest.knowledge, trouble=self._trouble)
        else:
            failing |= station.work.pool.failing
            collection, knowledge = _collection(station, own), _knowledge(station, own)
        branch = f"propose/{self._ports.name}/{contest.name}"
        proposal = ProposalFacts(contest.propose, branch, self._unconfirmed.get(contest.name, ""))
        return ContestReport(
            contest_figures(contest, decided.decision),
            collection,
            VotingFacts(len(own.voters), contest.pool.quorum, failing),
            knowledge,
            proposal,
            LocalForestFacts(len(own.local)) if contest.pool.local else None,
        )


def _without_knowledge(
    own: OwnContests, desired: Desired, observed: Observed, now: datetime
) -> tuple[DecidedContest, ...]:
    """Decide without samples, so that the status says what is wrong. The tenure begins when there are some again."""
    found = []
    for each in own.by_name.values():
        memory = ContestMemory((), now, None, frozenset())
        facts = facts_of(each, memory, observed, revision_of(desired, each.contest.rollout))
        empty = Evidence.empty(facts.champion, facts.complete_since, facts.candidates)
        found.append(DecidedContest(each, facts, decide(each.contest, facts, empty, now)))
    return tuple(found)


def _collection(station: _OpenStation, own: OwnContest) -> CollectionFacts:
    name = own.contest.name
    tally = station.collector.tallies.get(name)
    if tally is None:
        return CollectionFacts(len(own.devices))
    busy_lines = station.collector.busy_lines(name)
    return CollectionFacts(len(own.devices), tuple(sorted(tally.lacking)), busy_lines, sum(tally.lost_bytes.values()))


def _knowledge(station: _OpenStation, own: OwnContest) -> KnowledgeFacts:
    evaluated = station.work.evaluated.get(own.contest.name)
    set_aside = f"{station.knowledge.path.name}.damaged" if station.knowledge.recovered is not None else ""
    counts = (evaluated.counts.samples, evaluated.counts.bytes) if evaluated is not None else (0, 0)
    return KnowledgeFacts(*counts, own.contest.knowledge, set_aside=set_aside)


def _proposes(decided: DecidedContest) -> bool:
    return decided.decision.state is ContestState.DUE and decided.own.contest.propose is not ProposalMode.NEVER
