# SPDX-License-Identifier: Apache-2.0
"""Reads the status branches of other gateways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

from reconciler.errors import Refused
from reconciler.git.commit_tree import CommitTree
from reconciler.git.errors import MirrorDamaged
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import CommitVerifier
from reconciler.model import Commit

_STATUS = "refs/heads/status"
_PEERS = "refs/tinyfleet/peers"


class PeerStatusReader:
    """The status of each gateway, one commit deep, in a separate mirror at `path`. Close it. Not thread-safe.

    With `named`, a status counts only if that gateway signed it: the principal of the key must be the
    gateway's name, or end in `@` and its name. Otherwise one gateway could report for another.
    """

    def __init__(
        self,
        path: Path,
        remote: Remote,
        verifier: CommitVerifier,
        *,
        limits: GitLimits | None = None,
        named: bool = False,
    ) -> None:
        self._named = named
        self._mirror = Mirror(path, replace(remote, ref=_STATUS), limits)
        self._verifier = verifier
        self.refused: dict[str, Commit] = {}  # what the last `fetch` skipped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the `cat-file` processes."""
        self._mirror.close()

    def fetch(self) -> dict[str, Commit]:
        """Return the status commit of each gateway, except those whose signature the policy refuses."""
        try:
            return self._fetch()
        except MirrorDamaged:
            self._mirror.discard()
            return self._fetch()

    def tree(self, commit: Commit) -> CommitTree:
        """Open the files of one status commit. Close what is returned."""
        return self._mirror.tree(commit)

    def _fetch(self) -> dict[str, Commit]:
        # One round trip; a transfer only if there is something new.
        offered = self._mirror.list_refs(f"{_STATUS}/*")
        if any(not self._mirror.has(commit) for commit in offered.values()):
            self._mirror.transfer("--depth=1", "--prune", refspec=f"+{_STATUS}/*:{_PEERS}/*")
            # Nobody needs what was replaced. To keep it for an hour would take git more memory than it may have.
            self._mirror.repack_if_due(prune="now")
        present = {
            ref.removeprefix(f"{_STATUS}/"): commit for ref, commit in offered.items() if self._mirror.has(commit)
        }
        trusted = {name: commit for name, commit in present.items() if self._trusted(name, commit)}
        self.refused = {name: commit for name, commit in present.items() if name not in trusted}
        return trusted

    def _trusted(self, name: str, commit: Commit) -> bool:
        # A bad signature of one gateway must not hide the others.
        try:
            signers = self._verifier.verify(self._mirror.git, (commit,), limit_s=self._mirror.limits.verify_s)
        except Refused:
            return False
        return not self._named or all(signer.name.rpartition("@")[2] == name for signer in signers)
