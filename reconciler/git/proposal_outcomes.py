# SPDX-License-Identifier: Apache-2.0
"""A change that a gateway proposes, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.git.commit_writer import CommitMessage
from reconciler.model import Commit

Edit = Callable[[bytes | None], bytes]  # from the content of a file to the proposed one; None: there is no such file


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that a person is asked to merge."""

    name: str  # of the branch, below `propose/<gateway>/`
    target: str  # what it would bring about, in one line; two proposals of the same target are the same
    edits: Mapping[str, Edit]  # by path inside the fleet's folder; an edit of its own result changes nothing
    message: CommitMessage


@dataclass(frozen=True, slots=True)
class AlreadyInForce:
    """The commit that is enforced has the change: nothing is proposed, and our branch is deleted."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """The branch has our proposal. `new`: this call pushed it."""

    commit: Commit
    target: str
    new: bool = False


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Someone else has committed to the branch, which is left alone from then on."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class DeclinedProposal:
    """The branch is gone, and what it proposed was not merged."""

    commit: Commit
    target: str


@dataclass(frozen=True, slots=True)
class MergedProposal:
    """What the branch proposed was merged."""

    commit: Commit
    target: str


@dataclass(frozen=True, slots=True)
class NotPushed:
    """The proposal could not be made or pushed."""

    reason: str
    message: str
    transient: bool


ProposalOutcome = AlreadyInForce | Proposed | TakenOver | DeclinedProposal | MergedProposal | NotPushed
