# SPDX-License-Identifier: Apache-2.0
"""Which forests that devices have grown are proposed as models for all, and what became of that.

One for each contest at a time. A proposal stays while its forest is worth it, so that reviews of it do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.automation_scope import trained_source
from reconciler.contest.eligibility import worth_sharing
from reconciler.contest.evidence import CandidateComparison
from reconciler.engine.proposals.proposer import WantedModels, learned_branch, models_target
from reconciler.engine.samples.contest_station import ContestStation
from reconciler.engine.samples.local_models import LocalModel
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.git.proposal_outcomes import DeclinedProposal, NotPushed, ProposalOutcome, Proposed, TakenOver
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import THRESHOLD, Candidate, ContestId, Desired, GatewayId, Model, ProposalMode
from reconciler.model.samples import SAMPLING_PARAMETERS
from reconciler.report.contest_status import ContestReport, LocalForestFacts
from reconciler.report.learned_files import LearnedFigures, learned_document, learned_message

Comparisons = Mapping[Candidate, CandidateComparison]


class LearnedProposals:
    """The proposals of this gateway. For the event loop's thread only."""

    def __init__(self, name: GatewayId) -> None:
        self._name = name
        self._open: dict[ContestId, str] = {}  # what the branch proposes
        self._not_pushed: dict[ContestId, str] = {}
        self._wanted: dict[ContestId, WantedModels] = {}
        self._decided: set[ContestId] = set()
        self._known: frozenset[ContestId] | None = None  # None: nothing was decided since the start

    @property
    def wanted(self) -> tuple[WantedModels, ...]:
        """Return the proposals that should be on the remote."""
        return tuple(self._wanted.values())

    @property
    def unwanted(self) -> frozenset[str]:
        """Return the branches that propose nothing now. That of a contest without evidence yet stays."""
        if self._known is None:
            return frozenset()
        left = self._open.keys() - self._wanted.keys()
        return frozenset(learned_branch(name) for name in left if name in self._decided or name not in self._known)

    def target_of(self, contest: ContestId) -> str:
        """Return what is proposed for a contest; empty: nothing."""
        return self._open.get(contest, "")

    def trouble_of(self, contest: ContestId) -> str:
        """Return why a proposal is not on the remote; empty: it is, or there is none."""
        return self._not_pushed.get(contest, "")

    def decide_all(self, contests: ContestStation, desired: Desired) -> None:
        """Decide for every contest that was decided in this pass."""
        knowledge = contests.knowledge
        if knowledge is None:
            return
        decided = {each.own.contest.name: each.own for each in contests.decided}
        self.keep_only({**decided, **dict.fromkeys(contests.pending)})
        for name, own in decided.items():
            self.decide(own, contests.local_comparisons(name), desired, knowledge)

    def reported(self, reports: Iterable[ContestReport]) -> tuple[ContestReport, ...]:
        """Add to the reports of contests what became of their forests."""
        return tuple(
            replace(each, local=self._facts(each.figures.contest, each.local)) if each.local is not None else each
            for each in reports
        )

    def _facts(self, name: ContestId, known: LocalForestFacts) -> LocalForestFacts:
        branch = f"propose/{self._name}/{learned_branch(name)}"
        return replace(known, branch=branch, target=self.target_of(name), not_pushed=self.trouble_of(name))

    def decide(self, own: OwnContest, compared: Comparisons, desired: Desired, knowledge: KnowledgeWriter) -> None:
        """Decide what to propose for one contest."""
        name = own.contest.name
        self._decided.add(name)
        chosen = self._chosen(own, compared, desired, knowledge)
        if chosen is None:
            self._wanted.pop(name, None)
            return
        known = self._wanted.get(name)
        if known is None or known.models != (chosen.candidate.model,):
            starter = desired.models[chosen.forest.starter]
            self._wanted[name] = _wanted_model(own, chosen, compared[chosen.candidate], starter, self._name)

    def keep_only(self, names: Mapping[ContestId, object]) -> None:
        """Drop the proposals of contests that this gateway no longer evaluates."""
        self._known = frozenset(names)
        self._decided &= self._known
        for name in self._wanted.keys() - names.keys():
            del self._wanted[name]

    def settle(
        self,
        outcomes: Mapping[ContestId, ProposalOutcome],
        knowledge: KnowledgeWriter,
        now: datetime,
        *,
        complete: bool,
    ) -> frozenset[ContestId]:
        """Keep what became of proposals. Return the contests of which one was declined."""
        declined = set()
        if complete:
            self._open.clear()
        self._not_pushed.clear()
        for name, outcome in outcomes.items():
            match outcome:
                case Proposed(target=target):
                    self._open[name] = target
                case DeclinedProposal(target=target):
                    declined.add(name)
                    wanted = self._wanted.pop(name, None)
                    if wanted is not None and wanted.target == target:
                        knowledge.decline(name, Candidate(wanted.models[0]), now)
                case TakenOver():
                    self._not_pushed[name] = "someone else has committed to the branch"
                case NotPushed(message=message):
                    self._not_pushed[name] = message
                case _:
                    self._wanted.pop(name, None)  # merged: it is a candidate like any other
        return frozenset(declined)

    def _chosen(
        self, own: OwnContest, compared: Comparisons, desired: Desired, knowledge: KnowledgeWriter
    ) -> LocalModel | None:
        contest = own.contest
        if contest.suspend or contest.propose is ProposalMode.NEVER:
            return None
        declined = {each.candidate.model for each in knowledge.declined(contest.name)}
        worthy = [
            each
            for each in own.local
            if each.candidate.model.name in contest.candidates.models
            and each.candidate.model not in declined
            and THRESHOLD in desired.models[each.forest.starter].parameters
            and each.candidate in compared
            and worth_sharing(compared[each.candidate], contest.replace)
        ]
        open_ = self._open.get(contest.name)
        same = [each for each in worthy if models_target([each.candidate.model]) == open_]
        best = sorted(worthy, key=lambda each: _order(compared[each.candidate], each.candidate))
        return next(iter(same or best), None)


def _order(comparison: CandidateComparison, candidate: Candidate) -> tuple[object, ...]:
    return comparison.missed_rate, comparison.false_alarm_rate, candidate


def _wanted_model(
    own: OwnContest, local: LocalModel, comparison: CandidateComparison, starter: Model, gateway: GatewayId
) -> WantedModels:
    """Return the proposal: a document, a pack, and where it comes from. No rows."""
    ref, forest = local.candidate.model, local.forest
    source = trained_source(ref, hashlib.sha256(forest.pack).hexdigest())
    path = source.path or ""
    folder = path.rpartition("/")[0]
    figures = LearnedFigures(
        own.contest.name,
        gateway,
        ref,
        forest.device,
        forest.starter,
        forest.rows,
        forest.anomalous,
        forest.sha256.hex(),
        len(forest.pack),
        local.candidate.threshold,
        own.champion,
        comparison,
    )
    # Exactly what the pack was made with: a source `.pack` is refused with anything else.
    parameters = {
        name: starter.parameters[name] for name in (THRESHOLD, *SAMPLING_PARAMETERS) if name in starter.parameters
    }
    needs = {"operators": ["TREE_ENSEMBLE"], "slotBytes": len(forest.pack), "arenaBytes": _arena_bytes(forest.pack)}
    provenance = {**figures.provenance, "generation": forest.generation, "starterPack": forest.digest}
    files = {
        path: forest.pack,
        f"{folder}/provenance.json": json.dumps(provenance, indent=1, sort_keys=True).encode() + b"\n",
        f"{folder}/model.yaml": learned_document(ref, source.sha256, needs, parameters),
    }
    return WantedModels(learned_branch(own.contest.name), (ref,), files, learned_message(figures))


def _arena_bytes(pack: bytes) -> int:
    # Needs numpy, as the pool does, which a gateway without contests never needs.
    from reconciler.compiler.pack.pack_format import disassemble  # noqa: PLC0415

    return disassemble(pack).arena_bytes
