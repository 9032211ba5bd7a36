# SPDX-License-Identifier: Apache-2.0
"""The situation of a contest, from Git, from what is observed and from the knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from reconciler.contest.facts import ContestFacts, Replacement
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.knowledge.records import Round
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Artifact, ArtifactKey, Candidate, Observed

ENVELOPE_BYTES = 400  # for another threshold of the same model


def rounds_of(own: OwnContest, knowledge: KnowledgeWriter, now: datetime) -> tuple[Round, ...]:
    """Return the rounds of a contest. A champion that is new in Git begins one."""
    name = own.contest.name
    rounds = knowledge.rounds(name)
    if rounds and rounds[-1].champion == own.champion:
        return tuple(rounds)
    proposal = knowledge.proposal(name)
    proposed = proposal is not None and proposal.candidate == own.champion
    begun = Round(own.champion, now, proposed=bool(rounds) and proposed)
    knowledge.begin_round(name, begun)
    return (*rounds, begun)


def replacements_of(rounds: Iterable[Round]) -> tuple[Replacement, ...]:
    """Return the changes of the champion."""
    return tuple(
        Replacement(after.began_at, before.champion, after.champion, after.proposed)
        for before, after in pairwise(rounds)
    )


def complete_since(own: OwnContest, observed: Observed, revision: str) -> datetime | None:
    """Return since when the rollout of the champion is complete; None: it is not."""
    memory = observed.rollouts.get(own.rollout.name)
    return memory.completed_at if memory is not None and memory.revision == revision else None


def stopped(own: OwnContest, observed: Observed, revision: str) -> str:
    """Return why the rollout stopped; empty: it did not."""
    memory = observed.rollouts.get(own.rollout.name)
    return memory.stopped if memory is not None and memory.revision == revision else ""


def bytes_to_send(own: OwnContest, artifacts: Mapping[ArtifactKey, Artifact]) -> Mapping[Candidate, int]:
    """Return what each candidate would cost on the way to a device, as far as it is known."""
    found = {}
    for candidate in own.candidates:
        if candidate.model == own.champion.model:
            found[candidate] = ENVELOPE_BYTES
            continue
        sizes = [artifacts[key].pack_bytes for kind in own.types if (key := (candidate.model, kind.name)) in artifacts]
        if sizes:
            found[candidate] = max(sizes)
    return found


@dataclass(frozen=True, slots=True)
class ContestMemory:
    """What the knowledge base says of a contest, apart from samples."""

    rounds: tuple[Round, ...]
    kept_since: datetime
    proposed: Candidate | None
    declined: frozenset[Candidate]


def facts_of(own: OwnContest, memory: ContestMemory, observed: Observed, revision: str) -> ContestFacts:
    """Return the facts of a contest."""
    return ContestFacts(
        champion=own.champion,
        candidates=own.candidates,
        voters=own.voters,
        complete_since=complete_since(own, observed, revision),
        kept_since=memory.kept_since,
        stopped=stopped(own, observed, revision),
        replacements=replacements_of(memory.rounds),
        open=memory.proposed,
        declined=memory.declined,
        bytes_to_send=bytes_to_send(own, observed.artifacts),
    )
