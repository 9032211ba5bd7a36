# SPDX-License-Identifier: Apache-2.0
"""The knowledge base of a gateway, for commands: rows as a decision sees them, and labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.config import GatewayConfig
from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.daemon.instance_lock import holder
from reconciler.knowledge.reader import KnowledgeReader, NoKnowledge, read_knowledge
from reconciler.knowledge.records import VotedSample
from reconciler.knowledge.schema import KNOWLEDGE_FILE
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import THRESHOLD, Candidate, ContestId

EVERY_SAMPLE = 2**31


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row with its number, by which a person labels it."""

    number: int
    sample: EvaluatedSample


@contextmanager
def open_knowledge(settings: GatewayConfig) -> Iterator[KnowledgeReader]:
    """Open the knowledge base of a gateway for reading, whether its daemon runs or not."""
    with read_knowledge(_file(settings), daemon_runs=holder(settings.state_dir) is not None) as reader:
        yield reader


@contextmanager
def change_knowledge(settings: GatewayConfig) -> Iterator[KnowledgeWriter]:
    """Open the knowledge base of a gateway for changes. A running daemon notices them at its next pass."""
    path = _file(settings)
    if not path.exists():
        raise NoKnowledge(f"{path} does not exist: this gateway has collected no samples yet")
    writer = KnowledgeWriter(path)
    try:
        yield writer
    finally:
        writer.close()


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


def _file(settings: GatewayConfig) -> Path:
    return settings.state_dir / KNOWLEDGE_FILE
