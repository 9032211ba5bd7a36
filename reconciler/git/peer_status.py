# SPDX-License-Identifier: Apache-2.0
"""What other gateways say of themselves: their status branches, read only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

from reconciler.errors import Refused
from reconciler.git.commit_tree import CommitTree
from reconciler.git.errors import MirrorDamaged
from reconciler.git.mirror import Mirror
from reconciler.git.remote import GitLimits, Remote
from reconciler.git.signatures import CommitVerifier, SignaturePolicy
from reconciler.model import Commit

_STATUS = "refs/heads/status"
_PEERS = "refs/tinyfleet/peers"


class PeerStatusReader:
    """The status of every gateway, one commit deep, in a mirror of its own at `path`. Close it; for one thread.

    With `named` a gateway's status counts only if the signer is that gateway: the principal of its key is its name, or
    ends in `@` and its name. Else one gateway could speak for another.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing that trust and reach depend on
        self,
        path: Path,
        remote: Remote,
        policy: SignaturePolicy,
        state: Path,
        *,
        limits: GitLimits | None = None,
        named: bool = False,
    ) -> None:
        self._named = named
        self._mirror = Mirror(path, replace(remote, ref=_STATUS), limits)
        self._verifier = CommitVerifier(policy, state)
        self.refused: dict[str, Commit] = {}  # what the last `fetch` left out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that read for us."""
        self._mirror.close()

    def fetch(self) -> dict[str, Commit]:
        """Return each gateway's status commit, without those whose signature the policy refuses."""
        try:
            return self._fetch()
        except MirrorDamaged:
            self._mirror.start_anew()
            return self._fetch()

    def tree(self, commit: Commit) -> CommitTree:
        """Open the files of one status commit. Close what is returned."""
        return self._mirror.tree(commit)

    def _fetch(self) -> dict[str, Commit]:
        # One question; a transfer only if the answer is new.
        offered = self._mirror.ask(f"{_STATUS}/*")
        if any(not self._mirror.has(commit) for commit in offered.values()):
            self._mirror.transfer("--depth=1", "--prune", refspec=f"+{_STATUS}/*:{_PEERS}/*")
            self._mirror.tidy()
        here = {ref.removeprefix(f"{_STATUS}/"): commit for ref, commit in offered.items() if self._mirror.has(commit)}
        trusted = {name: commit for name, commit in here.items() if self._trusted(name, commit)}
        self.refused = {name: commit for name, commit in here.items() if name not in trusted}
        return trusted

    def _trusted(self, name: str, commit: Commit) -> bool:
        # One gateway's bad signature is no reason to lose sight of the others.
        try:
            signers = self._verifier.verify(self._mirror.git, (commit,), limit_s=self._mirror.limits.verify_s)
        except Refused:
            return False
        return not self._named or all(signer.name.rpartition("@")[2] == name for signer in signers)
