# SPDX-License-Identifier: Apache-2.0
"""Proposes changes as signed commits on branches of their own: `propose/<gateway>/<name>`, one commit each.

Level-triggered: each call looks at the remote and does what is missing, so a call that was killed is simply made
again. A branch is replaced only if merging it would no longer have the wanted effect, because a new commit resets
the reviews of the old one; and only while the gateway's own commit is at its head. A ref of the mirror keeps what
was pushed, to tell a proposal that a person declined from one that was never made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha1

from reconciler.errors import FleetError, Transient
from reconciler.git import errors
from reconciler.git.allowed_signers import fingerprint_of
from reconciler.git.commit_writer import CommitAuthor, files_of, make_commit, make_tree
from reconciler.git.confined_git import GitResult, plain_path
from reconciler.git.error_messages import failure_of
from reconciler.git.merge_effect import MergeEffect
from reconciler.git.mirror import Mirror
from reconciler.git.proposal_outcomes import (
    AlreadyInForce,
    DeclinedProposal,
    MergedProposal,
    NotPushed,
    Proposal,
    ProposalOutcome,
    Proposed,
    TakenOver,
)
from reconciler.git.remote_settings import branch_ref
from reconciler.git.transport import server_program
from reconciler.model import Commit
from reconciler.tree import blob_id

_SEEN = "refs/tinyfleet/proposals"  # the branches of the remote
_PUSHED = "refs/tinyfleet/proposed"  # what this gateway pushed last
_TARGET = re.compile(rb"^Proposes: (.+)$", re.MULTILINE)
_CHANGE_ID = re.compile(rb"^Change-Id: (I[0-9a-f]{40})$", re.MULTILINE)
_CONTENDED = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to (?:update|lock)|already exists"
)
_NOTHING_NEW = "no new changes"  # Gerrit has this commit, or this content, already
_CLOSED = re.compile(r"change \S+ (?:is )?closed")
_UNTRUSTED_BUT_GOOD = b"U"


class ProposalBranches:
    """The proposals of one gateway, in its own mirror. For the thread that polls Git."""

    def __init__(  # noqa: PLR0913 - what a gateway's configuration says of proposals
        self,
        mirror: Mirror,
        gateway: str,
        author: CommitAuthor,
        sub_path: str = "",
        *,
        push_options: tuple[str, ...] = (),
        review_ref: str | None = None,
    ) -> None:
        self._mirror = mirror
        self._effect = MergeEffect(mirror)
        self._folder = f"propose/{gateway}"
        self._author = author
        self._sub_path = plain_path(sub_path)
        self._push_options = push_options
        self._review_ref = review_ref

    def propose(self, main: Commit, proposal: Proposal, *, again: bool = False) -> ProposalOutcome:
        """Make the remote have this proposal, on top of the enforced commit. `again`: even if it was declined."""
        try:
            return self._propose(main, proposal, again=again)
        except FleetError as failure:
            return _not_pushed(failure)

    def commit_directly(self, main: Commit, proposal: Proposal) -> ProposalOutcome:
        """Push the change to the tracked branch itself, if that is still at the enforced commit."""
        try:
            changed = self._changed(main, proposal)
            if not changed:
                return AlreadyInForce()
            commit = self._commit(main, proposal, changed, "")
            self._push(f"{commit}:{self._mirror.remote.ref}", self._mirror.remote.ref, main)
        except FleetError as failure:
            return _not_pushed(failure)
        return Proposed(commit, proposal.target, new=True)

    def look(self, main: Commit) -> dict[str, ProposalOutcome] | NotPushed:
        """Return what became of each proposal, and delete the branches of those that were merged."""
        try:
            offered = self._offered()
            names = {ref.removeprefix(f"{_PUSHED}/") for ref in self._refs(f"{_PUSHED}/")} | offered.keys()
        except FleetError as failure:
            return _not_pushed(failure)
        found: dict[str, ProposalOutcome] = {}
        for name in sorted(names):
            try:
                found[name] = self._state(main, name, offered.get(name))
            except FleetError as failure:
                found[name] = _not_pushed(failure)
        return found

    def forget(self, name: str) -> None:
        """Forget what was pushed, once the caller has recorded that it was declined."""
        with suppress(FleetError):  # it is seen as declined once more, and forgotten then
            self._forget(name)

    def withdraw(self, name: str) -> ProposalOutcome | None:
        """Delete a proposal that is no longer wanted. None: there is none any more."""
        try:
            theirs = self._offered().get(name)
            if theirs is None or not self._ours(name, theirs):
                return None if theirs is None else TakenOver(theirs)
            self._delete(name, theirs)
        except FleetError as failure:
            return _not_pushed(failure)
        return None

    # ------------------------------------------------------------ one proposal

    def _propose(self, main: Commit, proposal: Proposal, *, again: bool) -> ProposalOutcome:
        name = proposal.name
        theirs = self._offered().get(name)
        pushed = self._mirror.resolve(f"{_PUSHED}/{name}")
        changed = self._changed(main, proposal)
        if not changed:
            self._clear(name, theirs)
            return AlreadyInForce()
        if theirs is not None and not self._ours(name, theirs):
            return TakenOver(theirs)
        latest = theirs or (pushed if self._review_ref is not None else None)
        if latest is not None and self._stands(main, proposal, latest, changed):
            self._record(name, latest)
            return Proposed(latest, proposal.target)
        if not again and theirs is None and pushed is not None and self._is_declined(main, proposal, pushed):
            return DeclinedProposal(pushed, proposal.target)
        return self._make(main, proposal, changed, theirs, pushed)

    def _is_declined(self, main: Commit, proposal: Proposal, pushed: Commit) -> bool:
        """Return whether this was proposed on a branch that is gone, without having been merged."""
        same = self._target(pushed) == proposal.target
        return same and self._review_ref is None and not self._effect.is_merged(pushed, main)

    def _make(
        self,
        main: Commit,
        proposal: Proposal,
        changed: Mapping[str, bytes],
        theirs: Commit | None,
        pushed: Commit | None,
    ) -> ProposalOutcome:
        name = proposal.name
        if self._review_ref is None:
            commit = self._commit(main, proposal, changed, "")
            ref = branch_ref(f"{self._folder}/{name}")
            self._push(f"{commit}:{ref}", ref, theirs)
        else:
            commit = self._commit(main, proposal, changed, self._change_id(main, proposal, pushed))
            declined = self._push_for_review(commit)
            if declined:
                return DeclinedProposal(pushed or commit, proposal.target)
        self._record(name, commit)
        return Proposed(commit, proposal.target, new=True)

    def _state(self, main: Commit, name: str, theirs: Commit | None) -> ProposalOutcome:
        pushed = self._mirror.resolve(f"{_PUSHED}/{name}")
        latest = theirs or pushed
        assert latest is not None  # noqa: S101 - one of them gave us the name
        if theirs is not None and not self._ours(name, theirs):
            return TakenOver(theirs)
        target = self._target(latest)
        if self._effect.is_merged(latest, main):
            self._clear(name, theirs)
            return MergedProposal(latest, target)
        if theirs is None and self._review_ref is None:
            return DeclinedProposal(latest, target)
        self._record(name, latest)
        return Proposed(latest, target)

    # ------------------------------------------------------------ what is there

    def _offered(self) -> dict[str, Commit]:
        """Return the branches of the remote below our folder, by name, and fetch what is new in them."""
        if self._review_ref is not None:
            return {}
        prefix = f"refs/heads/{self._folder}/"
        offered = {ref.removeprefix(prefix): commit for ref, commit in self._mirror.list_refs(f"{prefix}*").items()}
        if any(not self._mirror.has(commit) for commit in offered.values()):
            # Without a depth: it would cut the history of the tracked branch in the mirror as well.
            self._mirror.transfer("--prune", refspec=f"+{prefix}*:{_SEEN}/*")
        return offered

    def _ours(self, name: str, commit: Commit) -> bool:
        """Return whether a branch has our own commit at its head."""
        if self._mirror.resolve(f"{_PUSHED}/{name}") == commit:
            return True
        if self._author.signing_key is None:
            return False
        runner = self._mirror.git.with_config((("gpg.ssh.allowedSignersFile", "/dev/null"),))
        arguments = ("log", "--no-walk", "--format=%G?%x00%GF", commit)
        result, _, key = runner.local(*arguments, limit_s=self._limit_s).strip().partition(b"\0")
        return result == _UNTRUSTED_BUT_GOOD and key.decode("ascii") == fingerprint_of(self._author.signing_key)

    def _target(self, commit: Commit) -> str:
        found = _TARGET.search(self._message(commit))
        return found[1].decode("utf-8", "replace") if found else ""

    def _message(self, commit: Commit) -> bytes:
        return self._mirror.git.local("cat-file", "commit", commit, limit_s=self._limit_s).partition(b"\n\n")[2]

    def _stands(self, main: Commit, proposal: Proposal, commit: Commit, changed: Mapping[str, bytes]) -> bool:
        """Return whether merging our commit into `main` gives exactly what would be proposed now."""
        wanted = {self._full(path): data for path, data in changed.items()}
        return (
            self._target(commit) == proposal.target
            and self._effect.paths_of(commit) == wanted.keys()
            and all(self._effect.merged_file(main, commit, path) == data for path, data in wanted.items())
        )

    # ------------------------------------------------------------ what is made

    def _changed(self, main: Commit, proposal: Proposal) -> dict[str, bytes]:
        """Return the files that the proposal changes, with their new content."""
        found = {}
        for path, edit in proposal.edits.items():
            before = self._effect.read(main, self._full(path))
            after = edit(before)
            if after != before:
                found[path] = after
        return found

    def _full(self, path: str) -> str:
        return plain_path(f"{self._sub_path}/{path}")

    def _commit(self, main: Commit, proposal: Proposal, changed: Mapping[str, bytes], change_id: str) -> Commit:
        if "\n" in proposal.target or not proposal.target:
            raise errors.NotProposable("the target of a proposal is one line")
        files = {self._full(path): data for path, data in changed.items()}
        trailers = f"Proposes: {proposal.target}\n" + (f"Change-Id: {change_id}\n" if change_id else "")
        message = replace(proposal.message, text=f"{proposal.message.text.rstrip()}\n{trailers}")
        with self._mirror.exclusive():
            git = self._mirror.git
            before = files_of(git, main)
            wanted = {**before.blobs, **{path: blob_id(data) for path, data in files.items()}}
            tree = make_tree(git, before, wanted, files)
            return make_commit(git, tree, main, self._author, message)

    def _change_id(self, main: Commit, proposal: Proposal, pushed: Commit | None) -> str:
        """Return what Gerrit knows a change by: the same as long as the same thing is proposed."""
        if pushed is not None and self._target(pushed) == proposal.target and not self._effect.is_merged(pushed, main):
            found = _CHANGE_ID.search(self._message(pushed))
            if found is not None:
                return found[1].decode("ascii")
        words = f"{self._folder}/{proposal.name}: {proposal.target} since {main}"
        return f"I{sha1(words.encode(), usedforsecurity=False).hexdigest()}"

    # ------------------------------------------------------------ the remote

    def _push(self, refspec: str, ref: str, expected: Commit | None) -> None:
        """Push if the ref is where we saw it: a compare-and-swap."""
        result = self._try(f"--force-with-lease={ref}:{expected or ''}", refspec)
        output = result.out.decode("utf-8", "replace") + result.err
        if result.status == 0:
            return
        if _CONTENDED.search(output) is not None:
            raise errors.ProposalContended(f"{ref} moved while a proposal was pushed")
        raise self._refusal(result, ref)

    def _push_for_review(self, commit: Commit) -> bool:
        """Push to a forge that makes a review of every push. Return whether a person has closed the review."""
        result = self._try(f"{commit}:{self._review_ref}")
        output = result.out.decode("utf-8", "replace") + result.err
        if result.status == 0 or _NOTHING_NEW in output:
            return False
        if _CLOSED.search(output) is not None:
            return True
        raise self._refusal(result, str(self._review_ref))

    def _try(self, *words: str) -> GitResult:
        *options, refspec = words
        remote = self._mirror.remote
        chosen = [f"--push-option={option}" for option in self._push_options]
        arguments = ("push", "--porcelain", "--no-verify", "--no-signed", *options, *chosen)
        server = server_program(remote, "receive-pack")
        limit_s = self._mirror.limits.transfer_s
        return self._mirror.network(*arguments, *server, "--", remote.url, refspec, limit_s=limit_s)

    def _refusal(self, result: GitResult, ref: str) -> FleetError:
        if "does not support push options" in result.err:
            return errors.ProposalRefused("the remote does not support push options: remove `push_options`")
        line = next((each for each in result.out.decode("utf-8", "replace").splitlines() if "rejected]" in each), None)
        if line is not None:
            return errors.ProposalRefused(f"the remote refused {ref}: {line.rpartition('	')[2]}")
        return failure_of(result, f"pushing {ref}", limit_s=self._mirror.limits.transfer_s)

    def _clear(self, name: str, theirs: Commit | None) -> None:
        """Delete our branch and forget it, once its purpose is fulfilled."""
        if theirs is not None and self._ours(name, theirs):
            self._delete(name, theirs)
        elif theirs is None:
            self._forget(name)

    def _delete(self, name: str, theirs: Commit) -> None:
        ref = branch_ref(f"{self._folder}/{name}")
        # Without push options: they may ask the forge for a merge request.
        without = ProposalBranches(self._mirror, "", self._author)
        without._push(f":{ref}", ref, theirs)
        self._forget(name)

    def _record(self, name: str, commit: Commit) -> None:
        if self._mirror.resolve(f"{_PUSHED}/{name}") != commit:
            with self._mirror.exclusive():
                self._mirror.git.local("update-ref", f"{_PUSHED}/{name}", commit, limit_s=self._limit_s)

    def _forget(self, name: str) -> None:
        with self._mirror.exclusive():
            self._mirror.git.local("update-ref", "-d", f"{_PUSHED}/{name}", limit_s=self._limit_s)

    def _refs(self, prefix: str) -> list[str]:
        listed = self._mirror.git.local("for-each-ref", "--format=%(refname)", prefix, limit_s=self._limit_s)
        return listed.decode().split()

    @property
    def _limit_s(self) -> float:
        return self._mirror.limits.local_s


def _not_pushed(failure: FleetError) -> NotPushed:
    return NotPushed(failure.reason, str(failure), isinstance(failure, Transient))
