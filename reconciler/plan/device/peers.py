# SPDX-License-Identifier: Apache-2.0
"""Devices that other gateways serve, as these gateways report them.

What no gateway reports is unknown, and a wave never opens on what is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC

from reconciler.model import (
    DeviceId,
    GatewayId,
    Hold,
    HoldReason,
    NoChange,
    Observed,
    PeerReport,
    RolloutId,
    RolloutReport,
)
from reconciler.plan.device.verdict import (
    DeviceVerdict,
    DueDevice,
    FailedDevice,
    MissingDevice,
    OutDevice,
    SettledDevice,
)


@dataclass(frozen=True, slots=True)
class PeerDevices:
    """The devices of one rollout that one other gateway serves."""

    rollout: RolloutId
    gateway: GatewayId
    report: RolloutReport | None  # None: the gateway has reported nothing about the current revision
    description: str  # the gateway, and the age of its report

    def verdict(self, device: DeviceId) -> DeviceVerdict:
        """Evaluate one device."""
        report, peer = self.report, self.description
        if report is None:
            return self._unreported(device)
        if device in report.done:
            message = f"gateway {self.gateway} reports that it runs what rollout {self.rollout} wants"
            return SettledDevice(NoChange(device, message), proven=True, peer=peer)
        if device in report.soaking:
            return DueDevice(self._hold(device, "reports that it is soaking"), begun=True, peer=peer)
        if device in report.begun:
            return DueDevice(self._hold(device, "reports that it is being updated"), begun=True, away=True, peer=peer)
        return self._lost(device, report) or self._not_begun(device, report)

    def _lost(self, device: DeviceId, report: RolloutReport) -> DeviceVerdict | None:
        peer = self.description
        if device in report.failed:
            return FailedDevice(self._hold(device, "reports that it failed"), away=True, peer=peer)
        if device in report.missing:
            return MissingDevice(self._hold(device, "reports that it has fallen silent"), peer=peer)
        if device in report.out:
            return OutDevice(self._hold(device, "reports that it cannot have the model"), away=True, peer=peer)
        return None

    def _not_begun(self, device: DeviceId, report: RolloutReport) -> DeviceVerdict:
        if device in report.due:
            return DueDevice(self._hold(device, "reports that its update has not begun"), peer=self.description)
        return self._unreported(device)

    def _unreported(self, device: DeviceId) -> DeviceVerdict:
        return DueDevice(self._hold(device, "does not report on it"), away=True, peer=self.description)

    def _hold(self, device: DeviceId, statement: str) -> Hold:
        message = f"gateway {self.gateway} serves it and {statement}"
        return Hold(device, self.rollout, HoldReason.OTHER_GATEWAY, message)


def is_peer_device(observed: Observed, gateway: GatewayId) -> bool:
    """Return whether the gateway that serves these devices is another one than the observer."""
    return observed.gateway is not None and gateway != observed.gateway


def peer_devices(observed: Observed, rollout: RolloutId, gateway: GatewayId, revision: str) -> PeerDevices:
    """Find what another gateway reports about one rollout. A report about another revision is ignored."""
    peer = observed.peers.get(gateway)
    report = peer.rollouts.get(rollout) if peer is not None else None
    current = report if report is not None and report.revision == revision else None
    return PeerDevices(rollout, gateway, current, _describe(gateway, peer, report, current))


def _describe(
    gateway: GatewayId, peer: PeerReport | None, report: RolloutReport | None, current: RolloutReport | None
) -> str:
    """Describe the gateway and the last change of its report. The text stays the same while nothing changes."""
    if peer is None:
        return f"gateway {gateway}, which has never reported"
    if report is None:
        return f"gateway {gateway}, which does not report this rollout"
    when = f"{report.at.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}" if report.at else ""
    if current is not None:
        return f"gateway {gateway}, unchanged{when and f' since {when}'}"
    return f"gateway {gateway}, whose last report{when and f' of {when}'} is about another revision"


def stopped_by_peer(peers: Mapping[GatewayId, PeerReport], rollout: RolloutId, revision: str) -> str:
    """Return why another gateway has stopped a rollout, or an empty string. A stop at one gateway stops them all."""
    for name in sorted(peers):
        report = peers[name].rollouts.get(rollout)
        if report is not None and report.revision == revision and report.stopped:
            return report.stopped if "(at gateway " in report.stopped else f"{report.stopped} (at gateway {name})"
    return ""
