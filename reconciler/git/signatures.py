# SPDX-License-Identifier: Apache-2.0
"""Who may sign commits, and whether the new ones are signed by them.

The policy comes from the gateway's own configuration, never from the repository that it judges. Git itself
verifies (with ssh-keygen and gpg); we decide which commits, whose keys, and what its verdicts mean.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.errors import FleetError
from reconciler.git import errors
from reconciler.git.confined_git import ConfinedGit, last_line
from reconciler.git.gpg_keyring import keyring
from reconciler.model import Commit

_FORMAT = "--format=%H%x00%G?%x00%GS%x00%GF%x00"
_TRUSTED = "G"


class SignatureMode(StrEnum):
    """Which of the new commits must carry a good signature."""

    EVERY = "every"
    HEAD = "head"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """Which commits must be signed, and by whom."""

    mode: SignatureMode = SignatureMode.EVERY
    allowed_signers: Path | None = None  # as ssh-keygen(1), ALLOWED SIGNERS
    revoked_signers: Path | None = None  # as ssh-keygen(1), a KRL or a list of public keys
    gpg_keys: Path | None = None  # public keys, exported; whoever is in it may sign
    anchor: Commit | None = None  # where trust starts before anything was applied; all of its 40 digits

    def __post_init__(self) -> None:
        if self.anchor is not None and re.fullmatch(r"[0-9a-f]{40}", self.anchor) is None:
            raise errors.SettingsUnsafe("the anchor is given with all 40 digits of its commit")


@dataclass(frozen=True, slots=True)
class CommitSigner:
    """Who signed one commit."""

    commit: Commit
    name: str  # the principal of allowed_signers, or the GPG user id
    key: str  # the fingerprint


class CommitVerifier:
    """Applies one policy. `state` is a folder of ours, where the GPG keyring is built."""

    def __init__(self, policy: SignaturePolicy, state: Path) -> None:
        self.policy = policy
        self._state = state

    def fingerprint(self) -> str:
        """Return what changes whenever the policy, or a file that it names, does."""
        digest = hashlib.sha256(repr(self.policy).encode())
        for path in (self.policy.allowed_signers, self.policy.revoked_signers, self.policy.gpg_keys):
            digest.update(b"\0" if path is None else hashlib.sha256(_bytes(path)).digest())
        return digest.hexdigest()

    def verify(self, git: ConfinedGit, new: Sequence[Commit], *, limit_s: float) -> tuple[CommitSigner, ...]:
        """Return who signed; raise for the oldest commit that is not signed as the policy asks.

        `new` has parents before children, the head last. Every one of them counts, on whichever side of a merge.
        """
        if self.policy.mode is SignatureMode.OFF or not new:
            return ()
        commits = new if self.policy.mode is SignatureMode.EVERY else new[-1:]
        runner = git.with_config(self._configuration())
        words = ("log", "--no-walk=unsorted", "--stdin", _FORMAT)
        listed = runner.step(*words, limit_s=limit_s, data="\n".join(commits).encode(), env=self._environment(limit_s))
        if listed.timed_out:
            raise errors.HistoryTooLong(f"{len(commits)} signatures could not be checked within {limit_s:g} s")
        if listed.status != 0:
            raise errors.MirrorDamaged(f"new commits can't be read: {last_line(listed.err)}")
        fields = listed.out.decode("utf-8", "replace").split("\0")
        verdicts = {fields[at].strip(): fields[at + 1 : at + 4] for at in range(0, len(fields) - 3, 4)}
        return tuple(_judge(runner, commit, verdicts) for commit in commits)

    def _configuration(self) -> list[tuple[str, str]]:
        config = [("gpg.ssh.allowedSignersFile", str(self.policy.allowed_signers or "/dev/null"))]
        if self.policy.revoked_signers is not None:
            config.append(("gpg.ssh.revocationFile", str(self.policy.revoked_signers)))
        if self.policy.gpg_keys is not None:
            config.append(("gpg.program", "gpg"))
        for path in (self.policy.allowed_signers, self.policy.revoked_signers):
            if path is not None:
                _bytes(path)  # missing or unreadable must say so, and not look like an unknown signer
        needed = ("ssh-keygen",) if self.policy.gpg_keys is None else ("ssh-keygen", "gpg")
        for program in needed:
            if shutil.which(program) is None:
                raise errors.SignersUnreadable(f"{program} is not installed: signatures can't be checked")
        return config

    def _environment(self, limit_s: float) -> dict[str, str]:
        if self.policy.gpg_keys is None:
            return {}
        return {"GNUPGHOME": str(keyring(_bytes(self.policy.gpg_keys), self._state, limit_s=limit_s))}


def _judge(git: ConfinedGit, commit: Commit, verdicts: dict[str, list[str]]) -> CommitSigner:
    verdict, name, key = verdicts.get(commit, ["", "", ""])
    if verdict == _TRUSTED:
        return CommitSigner(commit, name, key)
    failure, why = _meaning(git, commit, verdict)
    # Without a signature nothing in the commit is true: only its id is quoted.
    raise failure(f"commit {commit[:12]} {why}")


def _meaning(git: ConfinedGit, commit: Commit, verdict: str) -> tuple[type[FleetError], str]:
    kind = _kind(git, commit)
    meanings: dict[str, tuple[type[FleetError], str]] = {
        "B": (
            errors.BadSignature,
            "carries a signature that does not verify: it was altered, or its key was revoked or is for other uses",
        ),
        "X": (errors.SignerExpired, "carries a signature that has expired"),
        "Y": (errors.SignerExpired, "is signed with a key that has expired"),
        "R": (errors.SignerExpired, "is signed with a key that was revoked"),
    }
    if kind is None:
        return errors.UnsignedCommit, "is not signed with SSH or GPG"
    return meanings.get(
        verdict, (errors.UntrustedSigner, f"is signed ({kind}) with a key that no allowed signer has now")
    )


def _kind(git: ConfinedGit, commit: Commit) -> str | None:
    """Return which kind of signature a commit has, from its own bytes."""
    raw = git.local("cat-file", "commit", commit, limit_s=60)
    headers = raw.partition(b"\n\n")[0]
    kinds = {b"\ngpgsig -----BEGIN SSH SIGNATURE": "SSH", b"\ngpgsig -----BEGIN PGP SIGNATURE": "GPG"}
    return next((kind for mark, kind in kinds.items() if mark in headers), None)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise errors.SignersUnreadable(f"{path} can't be read: {problem.strerror}") from problem
