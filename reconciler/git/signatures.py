# SPDX-License-Identifier: Apache-2.0
"""Verifies that new commits are signed by signers whom the policy allows.

The policy comes from the gateway's own configuration, never from the repository under verification. Git
verifies the signatures, with ssh-keygen and gpg. This module decides which commits are verified, with
whose keys, and what the results mean.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.errors import FleetError, failure_of_system
from reconciler.foreign_text import printable_line
from reconciler.git import errors
from reconciler.git.allowed_signers import allowed_keys
from reconciler.git.commit_headers import alteration
from reconciler.git.confined_git import ConfinedGit, last_line
from reconciler.git.gpg_keyring import keyring
from reconciler.model import Commit

_FORMAT = "--format=%H%x00%G?%x00%GS%x00%GF%x00"
_TRUSTED = "G"
MAX_AUTOMATED = 100  # commits by gateways in one poll: each costs two loads of the fleet


class SignatureMode(StrEnum):
    """Which of the new commits must have a good signature."""

    EVERY = "every"
    HEAD = "head"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """Which commits must be signed, and by whom."""

    mode: SignatureMode = SignatureMode.EVERY
    allowed_signers: Path | None = None  # see ALLOWED SIGNERS in ssh-keygen(1)
    revoked_signers: Path | None = None  # a KRL, or a list of public keys; see ssh-keygen(1)
    gpg_keys: Path | None = None  # exported public keys; all of them may sign
    automation: Path | None = None  # the keys of gateways, whose commits count only in their scope: `git.automation`
    anchor: Commit | None = None  # where trust starts before any commit was applied: a full commit id

    def __post_init__(self) -> None:
        if self.anchor is not None and re.fullmatch(r"[0-9a-f]{40}", self.anchor) is None:
            raise errors.SettingsUnsafe("the anchor must be a full commit id of 40 hexadecimal digits")


@dataclass(frozen=True, slots=True)
class CommitSigner:
    """The signer of one commit."""

    commit: Commit
    name: str  # the principal in allowed_signers, or the GPG user id
    key: str  # the fingerprint
    automated: bool = False  # signed by a gateway, so the caller must check the scope and the approval


class CommitVerifier:
    """Applies one policy. `state` is a private folder for the GPG keyring."""

    def __init__(self, policy: SignaturePolicy, state: Path, *, max_automated: int = MAX_AUTOMATED) -> None:
        self.policy = policy
        self._state = state
        self._max_automated = max_automated

    def fingerprint(self) -> str:
        """Return a digest that changes whenever the policy, or a file that it names, changes."""
        digest = hashlib.sha256(repr(self.policy).encode())
        policy = self.policy
        for path in (policy.allowed_signers, policy.revoked_signers, policy.gpg_keys, policy.automation):
            digest.update(b"\0" if path is None else hashlib.sha256(_bytes(path)).digest())
        return digest.hexdigest()

    def verify(self, git: ConfinedGit, new: Sequence[Commit], *, limit_s: float) -> tuple[CommitSigner, ...]:
        """Return the signers, or raise for the oldest commit that violates the policy.

        `new` lists parents before children and the head last. In mode `every` all of them must be signed,
        on both sides of a merge. In mode `head` a gateway vouches for nothing below its own commits, so the
        commits down to the newest one of a person are verified.
        """
        if self.policy.mode is SignatureMode.OFF or not new:
            return ()
        if self.policy.mode is SignatureMode.EVERY:
            return self._verified(git, new, limit_s=limit_s)
        found: tuple[CommitSigner, ...] = ()
        for commit in reversed(new):
            if len(found) == self._max_automated:
                raise errors.HistoryTooLong(f"more than {self._max_automated} commits by gateways and none by a person")
            found = (*self._verified(git, (commit,), limit_s=limit_s), *found)
            if not found[0].automated:
                break
        return found

    def _verified(self, git: ConfinedGit, commits: Sequence[Commit], *, limit_s: float) -> tuple[CommitSigner, ...]:
        results = self._results(git, commits, self.policy.allowed_signers, limit_s=limit_s)
        automated: set[Commit] = set()
        if self.policy.automation is not None:
            # A key that is also among the people's counts as automation: a mistake there must not give it more.
            limited = {key.fingerprint for key in allowed_keys(self.policy.automation)}
            automated = {commit for commit in commits if results.get(commit, ("", "", ""))[2] in limited}
            by_gateways = [commit for commit in commits if commit in automated]
            results |= self._results(git, by_gateways, self.policy.automation, limit_s=limit_s)
        return tuple(_signer_of(git, commit, results, automated=commit in automated) for commit in commits)

    def _results(
        self, git: ConfinedGit, commits: Sequence[Commit], allowed_signers: Path | None, *, limit_s: float
    ) -> dict[str, tuple[str, str, str]]:
        """Return the result, the signer's name and the key of each commit."""
        if not commits:
            return {}
        runner = git.with_config(self._configuration(allowed_signers))
        _refuse_altered(git, commits, limit_s=limit_s)
        arguments = ("log", "--no-walk=unsorted", "--stdin", _FORMAT)
        listed = runner.step(
            *arguments, limit_s=limit_s, data="\n".join(commits).encode(), env=self._environment(limit_s)
        )
        if listed.timed_out or listed.too_large:
            raise errors.HistoryTooLong(f"verifying {len(commits)} signatures took longer than {limit_s:g} s")
        if listed.status != 0:
            raise errors.MirrorDamaged(f"cannot read the new commits: {last_line(listed.err)}")
        fields = [printable_line(each) for each in listed.out.decode("utf-8", "replace").split("\0")]
        return {
            fields[at].strip(): (fields[at + 1], fields[at + 2], fields[at + 3]) for at in range(0, len(fields) - 3, 4)
        }

    def _configuration(self, allowed_signers: Path | None) -> list[tuple[str, str]]:
        config = [("gpg.ssh.allowedSignersFile", str(allowed_signers or "/dev/null"))]
        if self.policy.revoked_signers is not None:
            config.append(("gpg.ssh.revocationFile", str(self.policy.revoked_signers)))
        if self.policy.gpg_keys is not None:
            config.append(("gpg.program", "gpg"))
        for path in (allowed_signers, self.policy.revoked_signers):
            if path is not None:
                _bytes(path)  # report a missing file as such, not as an unknown signer
        needed = ("ssh-keygen",) if self.policy.gpg_keys is None else ("ssh-keygen", "gpg")
        for program in needed:
            if shutil.which(program) is None:
                raise errors.SignersUnreadable(f"cannot verify signatures: {program} is not installed")
        return config

    def _environment(self, limit_s: float) -> dict[str, str]:
        if self.policy.gpg_keys is None:
            return {}
        return {"GNUPGHOME": str(keyring(_bytes(self.policy.gpg_keys), self._state, limit_s=limit_s))}


def _refuse_altered(git: ConfinedGit, commits: Sequence[Commit], *, limit_s: float) -> None:
    asked = "".join(f"{each}\n" for each in commits).encode()
    result = git.step("cat-file", "--batch", limit_s=limit_s, data=asked)
    if result.timed_out:
        raise errors.HistoryTooLong(f"reading {len(commits)} commits took longer than {limit_s:g} s")
    if result.too_large:
        raise errors.HistoryTooLong(f"{len(commits)} commits are too large to read")
    answer, at = result.out, 0
    for commit in commits:
        end = answer.find(b"\n", at)
        head = answer[at:end].split()
        if head[1:2] != [b"commit"]:
            raise errors.MirrorDamaged(f"cannot read commit {commit[:12]}")
        size = int(head[2])
        wrong = alteration(answer[end + 1 : end + 1 + size])
        if wrong is not None:
            raise errors.ObjectsRefused(f"commit {commit[:12]} {wrong}")
        at = end + 1 + size + 1


def _signer_of(
    git: ConfinedGit, commit: Commit, results: dict[str, tuple[str, str, str]], *, automated: bool
) -> CommitSigner:
    result, name, key = results.get(commit, ("", "", ""))
    if result == _TRUSTED:
        return CommitSigner(commit, name, key, automated)
    failure, why = _meaning(git, commit, result)
    # Nothing in an unverified commit can be trusted, so the message quotes only its id.
    raise failure(f"commit {commit[:12]} {why}")


def _meaning(git: ConfinedGit, commit: Commit, result: str) -> tuple[type[FleetError], str]:
    kind = _kind(git, commit)
    meanings: dict[str, tuple[type[FleetError], str]] = {
        "B": (
            errors.BadSignature,
            "has a bad signature: the commit was altered, or the key was revoked or is not valid for git",
        ),
        "X": (errors.SignerExpired, "has an expired signature"),
        "Y": (errors.SignerExpired, "is signed with a key that has expired"),
        "R": (errors.SignerExpired, "is signed with a key that was revoked"),
    }
    if kind is None:
        return errors.UnsignedCommit, "is not signed with SSH or GPG"
    return meanings.get(
        result, (errors.UntrustedSigner, f"is signed ({kind}) with a key that belongs to no allowed signer")
    )


def _kind(git: ConfinedGit, commit: Commit) -> str | None:
    """Return the kind of signature in the raw commit, if any."""
    raw = git.local("cat-file", "commit", commit, limit_s=60)
    headers = raw.partition(b"\n\n")[0]
    kinds = {b"\ngpgsig -----BEGIN SSH SIGNATURE": "SSH", b"\ngpgsig -----BEGIN PGP SIGNATURE": "GPG"}
    return next((kind for mark, kind in kinds.items() if mark in headers), None)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise failure_of_system(problem, f"cannot read {path}", errors.SignersUnreadable) from problem
