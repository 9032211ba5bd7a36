# SPDX-License-Identifier: Apache-2.0
"""The commit that brings about what a client wishes for.

The gateway's key may sign only what `automation_scope` grants it. Anything else is a patch, which a person commits.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from reconciler.automation_scope import find_change, grant_of
from reconciler.bus.fleet_changes import ProposedCommit, WishedChange
from reconciler.engine.clock import Clock
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.proposals.proposer import ContestProposer, change_branch
from reconciler.errors import FleetError
from reconciler.git.commit_tree import CommitTree
from reconciler.git.proposal_outcomes import AlreadyInForce, DeclinedProposal, NotPushed, Proposed
from reconciler.load.file_filter import filter_files
from reconciler.load.scalar_edit import NotEditable, defines, with_scalars
from reconciler.model import Desired, GatewayId
from reconciler.operations.codes import AnswerCode, OperationFailed


@dataclass(frozen=True, slots=True)
class WishedChanges:
    """Turns wishes into commits."""

    gateway: GatewayId
    source: DesiredStateSource  # on `git_thread` only
    proposer: ContestProposer | None  # on `git_thread` only; None: this gateway has no key for proposals
    git_thread: Executor
    clock: Clock

    async def propose(self, wish: WishedChange) -> ProposedCommit:
        """Return the commit, and push it if this gateway may sign it."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.git_thread, self.made, wish, self.clock.now())
        except FleetError as failure:  # Git can't be read now
            raise OperationFailed(AnswerCode.NO_CAPABLE_NODE, f"{failure.reason}: {failure}") from failure

    def made(self, wish: WishedChange, at: datetime) -> ProposedCommit:
        """Return the commit, and push it if this gateway may sign it; refuse what would not be valid."""
        desired = self.source.desired
        if desired is None:
            raise OperationFailed(AnswerCode.NO_CAPABLE_NODE, "the gateway enforces no commit yet")
        with self.source.tree(desired.commit) as tree:
            path, before = _file_of(tree, wish)
        after = _edited(before, wish)
        made = ProposedCommit(desired.commit, path, _patch(path, before, after))
        if not made.patch:
            return made
        loaded = self.source.changed(desired.commit, {path: after})
        if loaded.desired is None:
            raise OperationFailed(AnswerCode.FORBIDDEN, f"the fleet would not be valid: {loaded.errors[0]}")
        outside = find_change(desired, loaded.desired, grant_of(desired, self.gateway))
        if isinstance(outside, str):
            return replace(made, why=f"the gateway may not sign it: {outside}")
        return self._push(desired, wish, made, at)

    def _push(self, desired: Desired, wish: WishedChange, made: ProposedCommit, at: datetime) -> ProposedCommit:
        if self.proposer is None:
            return replace(made, why="gateway.toml has no `[automation] key` that signs proposals")
        edits = {made.path: partial(_edit, wish)}
        outcome = self.proposer.propose_change(desired, change_branch(wish.kind, wish.name), wish.target, edits, at)
        match outcome:
            case Proposed(commit=commit):
                branch = f"propose/{self.gateway}/{change_branch(wish.kind, wish.name)}"
                return replace(made, branch=branch, commit=commit)
            case DeclinedProposal():
                raise OperationFailed(AnswerCode.FORBIDDEN, "a person has declined this change")
            case NotPushed(message=message):
                return replace(made, why=message)
            case AlreadyInForce():
                return replace(made, patch="")
            case _:
                return replace(made, why="someone else has committed to the branch of the proposal")


def _file_of(tree: CommitTree, wish: WishedChange) -> tuple[str, bytes]:
    for entry in filter_files(tree.entries()).yaml:
        data = tree.read(entry)
        if wish.name.encode() in data and defines(data, wish.kind, wish.name):
            return entry.path, data
    raise OperationFailed(AnswerCode.NOT_FOUND, f"the fleet has no {wish.kind} {wish.name}")


def _edited(data: bytes, wish: WishedChange) -> bytes:
    try:
        return with_scalars(data, wish.kind, wish.name, wish.values)
    except NotEditable as refused:
        raise OperationFailed(AnswerCode.FORBIDDEN, str(refused)) from refused


def _edit(wish: WishedChange, data: bytes | None) -> bytes:
    return with_scalars(data or b"", wish.kind, wish.name, wish.values)


def _patch(path: str, before: bytes, after: bytes) -> str:
    return "".join(_lines(path, before.decode("utf-8"), after.decode("utf-8")))


def _lines(path: str, before: str, after: str) -> Iterator[str]:
    one, other = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for line in difflib.unified_diff(one, other, f"a/{path}", f"b/{path}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
