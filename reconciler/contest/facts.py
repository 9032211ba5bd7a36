# SPDX-License-Identifier: Apache-2.0
"""What a decision needs besides the rows: the champion and its history, and what became of proposals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model import Candidate


@dataclass(frozen=True, slots=True)
class Replacement:
    """One change of the champion."""

    at: datetime
    out: Candidate
    into: Candidate
    proposed: bool  # by the contest; False: a person changed the rollout


@dataclass(frozen=True, slots=True)
class ContestFacts:
    """The situation of a contest."""

    champion: Candidate
    candidates: tuple[Candidate, ...]
    voters: frozenset[Candidate]
    complete_since: datetime | None  # since when the rollout of the champion is complete; None: it is not
    kept_since: datetime  # since when the knowledge base keeps rows: one that was lost starts again
    stopped: str = ""  # why the rollout stopped; empty: it did not
    replacements: tuple[Replacement, ...] = ()
    open: Candidate | None = None  # what our branch proposes; None: there is no branch
    declined: frozenset[Candidate] = frozenset()  # whose branch a person removed without merging it
    bytes_to_send: Mapping[Candidate, int] = field(default_factory=dict)  # to one device; missing: unknown
