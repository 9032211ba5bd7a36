# SPDX-License-Identifier: Apache-2.0
"""The rows of a knowledge base as a decision sees them, with their numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.knowledge.reader import KnowledgeReader
from reconciler.knowledge.records import VotedSample
from reconciler.model import THRESHOLD, Candidate, ContestId

EVERY_SAMPLE = 2**31


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row with its number, by which a person labels it."""

    number: int
    sample: EvaluatedSample


def kept_rows(
    reader: KnowledgeReader, contest: ContestId, voters: Collection[Candidate], newest: int = EVERY_SAMPLE
) -> list[KeptRow]:
    """Return the newest rows of a contest in the order in which they were stored; others lack what made them."""
    champions = {
        context: Candidate(known.model, known.parameters.get(THRESHOLD)) for context, known in reader.contexts().items()
    }
    known = [voter for voter in reader.voters(contest) if voter.candidate in voters]
    return [
        KeptRow(each.id, _evaluated(each, champions[each.context]))
        for each in reader.voted_samples(contest, known, newest)
        if each.context in champions
    ]


def _evaluated(voted: VotedSample, champion: Candidate) -> EvaluatedSample:
    return EvaluatedSample(
        voted.device,
        voted.received_at,
        voted.log,
        voted.weight,
        champion,
        voted.anomalous,
        voted.label,
        voted.votes,
    )
