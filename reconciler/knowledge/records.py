# SPDX-License-Identifier: Apache-2.0
"""The rows of the knowledge base as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import ContestId, DeviceId, Digest, ModelRef, Parameters
from reconciler.model.contests import Candidate
from reconciler.model.samples import Sample, SampleLog


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far a device's log was read, and what was missed of it."""

    offset: int = 0  # of the next byte to ask for
    lost_bytes: int = 0  # overwritten on the device before they were fetched
    unreadable_bytes: int = 0  # no valid record: torn by a loss of power, or the unused end of an erase unit


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """What one attested range of a log adds."""

    contest: ContestId
    device: DeviceId
    log: SampleLog
    before: int  # the offset from which it was fetched
    position: LogPosition  # after it
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class SampleContext:
    """Which model made samples, with which parameters: what the four bytes in a record stand for."""

    context: bytes
    model: ModelRef
    digest: Digest
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Voter:
    """A candidate as it was built from one source: another source is another voter."""

    candidate: Candidate
    source: str


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample and its number, which only grows."""

    id: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class VotedSample:
    """What a decision needs of one sample."""

    id: int
    device: DeviceId
    log: SampleLog
    received_at: datetime
    weight: int
    context: bytes
    anomalous: bool  # by the model that ran
    label: bool | None  # by a person
    votes: Mapping[Candidate, bool | None]  # None: abstained


@dataclass(frozen=True, slots=True)
class Round:
    """The time of one champion."""

    champion: Candidate
    began_at: datetime
    proposed: bool  # by the contest; False: a person changed the rollout


@dataclass(frozen=True, slots=True)
class DatedCandidate:
    """A candidate that was proposed, or declined, and when."""

    candidate: Candidate
    at: datetime


@dataclass(frozen=True, slots=True)
class KnowledgeCounts:
    """How much is known for one contest."""

    samples: int
    anomalies: int
    labelled: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class LearnedForest:
    """A forest that a device has grown from its own windows, and that grew again here from the same rows."""

    device: DeviceId
    contest: ContestId
    starter: ModelRef
    digest: Digest  # of the pack that the device runs
    generation: int
    sha256: bytes  # of the forest, as samples name it in their context
    rows: int
    anomalous: int  # of these rows, to it
    pack: bytes  # with the features and the threshold of the starter
    received_at: datetime
