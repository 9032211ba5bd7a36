# SPDX-License-Identifier: Apache-2.0
"""What other gateways say of the rollouts that we share with them, from their status refs."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from reconciler.errors import FleetError
from reconciler.git.peer_status import PeerStatusReader
from reconciler.model import Commit, GatewayId, PeerReport, RolloutId, RolloutReport
from reconciler.report.rollout_file import InvalidRolloutStatus, read_rollout_file

log = logging.getLogger(__name__)

FOLDER = "rollouts/"
LARGEST = 8 << 20  # bytes: a hundred thousand names; what is larger is not believed


class PeerStatuses:
    """Reads what is new. For the thread that may block on Git."""

    def __init__(self, peers: PeerStatusReader, ours: GatewayId) -> None:
        self._peers = peers
        self._ours = ours
        self._read: dict[GatewayId, tuple[Commit, PeerReport]] = {}
        self._words: Mapping[GatewayId, PeerReport] = {}
        self._refused: Mapping[str, Commit] = {}

    def look(self) -> Mapping[GatewayId, PeerReport]:
        """Return each gateway's last word; the same value while none says anything new.

        While Git is away the last words stand: they are a past that was true, and open nothing that it did not open.
        """
        try:
            commits = self._peers.fetch()
        except FleetError as failure:
            log.warning("what other gateways say can't be fetched: %s", failure, extra={"reason": failure.reason})
            return self._words
        self._tell_refused()
        found = {
            GatewayId(name): self._last_of(GatewayId(name), commit)
            for name, commit in commits.items()
            if name != self._ours
        }
        self._read = {gateway: known for gateway, known in found.items() if known is not None}
        words = {gateway: word for gateway, (_, word) in self._read.items()}
        if words != self._words:
            self._words = words
        return self._words

    def _tell_refused(self) -> None:
        """Say once whose status is not signed by its gateway's key."""
        refused = {name: commit for name, commit in self._peers.refused.items() if name != self._ours}
        for name, commit in refused.items() - self._refused.items():
            words = "the status of gateway %s (%s) is not signed by a key of that gateway, and counts for nothing"
            log.warning(words, name, commit[:12], extra={"reason": "Refused"})
        self._refused = refused

    def _last_of(self, gateway: GatewayId, commit: Commit) -> tuple[Commit, PeerReport] | None:
        """Return the last word of one gateway; what can't be read of one takes no other's word away."""
        before = self._read.get(gateway)
        if before is not None and before[0] == commit:
            return before
        try:
            word = self._parse(gateway, commit)
        except FleetError as failure:
            words = "what gateway %s says can't be read: %s"
            log.warning(words, gateway, failure, extra={"reason": failure.reason})
            return before
        # The same object for the same word: planning takes that for unchanged.
        return (commit, before[1]) if before is not None and before[1] == word else (commit, word)

    def _parse(self, gateway: GatewayId, commit: Commit) -> PeerReport:
        said: dict[RolloutId, RolloutReport] = {}
        with self._peers.tree(commit) as tree:
            for entry in tree.entries():
                if not entry.path.startswith(FOLDER) or entry.size > LARGEST:
                    continue
                try:
                    facts = read_rollout_file(tree.read(entry)).facts
                except InvalidRolloutStatus as wrong:
                    log.warning("%s of gateway %s: %s", entry.path, gateway, wrong, extra={"reason": wrong.reason})
                    continue
                said[facts.rollout] = facts.word
        return PeerReport(said)
