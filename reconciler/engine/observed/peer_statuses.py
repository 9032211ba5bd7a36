# SPDX-License-Identifier: Apache-2.0
"""What other gateways report of rollouts that span gateways, from their status refs."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from reconciler.errors import FleetError
from reconciler.git.peer_status import PeerStatusReader
from reconciler.model import Commit, GatewayId, PeerReport, RolloutId, RolloutReport
from reconciler.model.snapshot_cache import reuse_if_equal
from reconciler.report.rollout_file import InvalidRolloutStatus, read_rollout_file

log = logging.getLogger(__name__)

FOLDER = "rollouts/"
MAX_BYTES = 8 << 20  # a hundred thousand names; a larger file is ignored


class PeerStatuses:
    """Reads the status refs of other gateways. For the Git thread only."""

    def __init__(self, peers: PeerStatusReader, ours: GatewayId) -> None:
        self._peers = peers
        self._ours = ours
        self._read: dict[GatewayId, tuple[Commit, PeerReport]] = {}
        self._reports: Mapping[GatewayId, PeerReport] = {}
        self._refused: Mapping[str, Commit] = {}

    def fetch(self) -> Mapping[GatewayId, PeerReport]:
        """Return each gateway's last report, as a snapshot (reconciler.model.snapshot_cache).

        While the remote is unreachable, the last reports stay valid: they describe a past that was true, and can open
        no wave that it did not open.
        """
        try:
            commits = self._peers.fetch()
        except FleetError as failure:
            log.warning("cannot fetch the status of other gateways: %s", failure, extra={"reason": failure.reason})
            return self._reports
        self._log_refused()
        found = {
            GatewayId(name): self._last_of(GatewayId(name), commit)
            for name, commit in commits.items()
            if name != self._ours
        }
        self._read = {gateway: known for gateway, known in found.items() if known is not None}
        self._reports = reuse_if_equal(self._reports, {gateway: report for gateway, (_, report) in self._read.items()})
        return self._reports

    def _log_refused(self) -> None:
        """Log once which status is not signed by its gateway's key."""
        refused = {name: commit for name, commit in self._peers.refused.items() if name != self._ours}
        for name, commit in refused.items() - self._refused.items():
            message = "the status of gateway %s (%s) is ignored: no key of that gateway signed it"
            log.warning(message, name, commit[:12], extra={"reason": "Refused"})
        self._refused = refused

    def _last_of(self, gateway: GatewayId, commit: Commit) -> tuple[Commit, PeerReport] | None:
        """Return the last report of one gateway; one that can't be read does not affect the others."""
        before = self._read.get(gateway)
        if before is not None and before[0] == commit:
            return before
        try:
            report = self._parse(gateway, commit)
        except FleetError as failure:
            log.warning("cannot read the status of gateway %s: %s", gateway, failure, extra={"reason": failure.reason})
            return before
        return commit, reuse_if_equal(before[1] if before is not None else None, report)

    def _parse(self, gateway: GatewayId, commit: Commit) -> PeerReport:
        reports: dict[RolloutId, RolloutReport] = {}
        with self._peers.tree(commit) as tree:
            for entry in tree.entries():
                if not entry.path.startswith(FOLDER) or entry.size > MAX_BYTES:
                    continue
                try:
                    facts = read_rollout_file(tree.read(entry)).facts
                except InvalidRolloutStatus as wrong:
                    log.warning("%s of gateway %s: %s", entry.path, gateway, wrong, extra={"reason": wrong.reason})
                    continue
                reports[facts.rollout] = facts.report
        return PeerReport(reports)
