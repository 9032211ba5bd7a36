# SPDX-License-Identifier: Apache-2.0
"""Devices that other gateways serve, by what those gateways say. What nobody says is not known, and opens no wave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC

from reconciler.model import DeviceId, GatewayId, Hold, HoldReason, NoChange, Observed, PeerReport, RolloutId, RolloutReport
from reconciler.plan.device.verdict import DeviceStanding, DeviceVerdict


@dataclass(frozen=True, slots=True)
class PeerDevices:
    """One rollout at one other gateway."""

    rollout: RolloutId
    gateway: GatewayId
    word: RolloutReport | None  # None: it has said nothing of what Git wants now
    who: str  # the gateway, with what is known of it

    def verdict(self, name: DeviceId) -> DeviceVerdict:
        """Judge one device."""
        word = self.word
        if word is None:
            return self._due(name, "has said nothing of it")
        if name in word.done:
            action = NoChange(name, f"gateway {self.gateway} has brought it where rollout {self.rollout} wants it")
            return DeviceVerdict(action, DeviceStanding.SETTLED, proven=True, elsewhere=self.who)
        if name in word.soaking:
            return self._held(name, DeviceStanding.DUE, "says that it soaks", begun=True)
        if name in word.begun:
            return self._held(name, DeviceStanding.DUE, "says that it has begun", begun=True, away=True)
        for names, standing, words in (
            (word.failed, DeviceStanding.FAILED, "says that it failed"),
            (word.missing, DeviceStanding.MISSING, "says that it does not report"),
            (word.out, DeviceStanding.OUT, "says that it can't have it"),
        ):
            if name in names:
                return self._held(name, standing, words, away=True)
        return self._due(name, "says that it is still to come" if name in word.due else "has said nothing of it")

    def _due(self, name: DeviceId, words: str) -> DeviceVerdict:
        known = self.word is not None and name in self.word.due
        return self._held(name, DeviceStanding.DUE, words, away=not known)

    def _held(
        self, name: DeviceId, standing: DeviceStanding, words: str, *, begun: bool = False, away: bool = False
    ) -> DeviceVerdict:
        action = Hold(name, self.rollout, HoldReason.ELSEWHERE, f"gateway {self.gateway} serves it, and {words}")
        return DeviceVerdict(action, standing, begun=begun, away=away, elsewhere=self.who)


def is_peer_device(observed: Observed, gateway: GatewayId) -> bool:
    """Tell whether another gateway than the one that observed serves these devices."""
    return observed.gateway is not None and gateway != observed.gateway


def peer_devices(observed: Observed, rollout: RolloutId, gateway: GatewayId, revision: str) -> PeerDevices:
    """See what another gateway says of one rollout. What it says of another revision counts for nothing."""
    peer = observed.peers.get(gateway)
    word = peer.rollouts.get(rollout) if peer is not None else None
    current = word if word is not None and word.revision == revision else None
    return PeerDevices(rollout, gateway, current, _who(gateway, peer, word, current))


def _who(gateway: GatewayId, peer: PeerReport | None, word: RolloutReport | None, current: RolloutReport | None) -> str:
    """Name the gateway, and since when it has said nothing new of this rollout: no time that changes without news."""
    if peer is None:
        return f"gateway {gateway}, never heard"
    if word is None:
        return f"gateway {gateway}, which says nothing of it"
    when = f"{word.at.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}" if word.at else ""
    if current is not None:
        return f"gateway {gateway}, no news{when and f' since {when}'}"
    return f"gateway {gateway}, whose last word{when and f' of {when}'} is of another version of it"


def stopped_by_peer(peers: Mapping[GatewayId, PeerReport], rollout: RolloutId, revision: str) -> str:
    """Say which gateway stopped a rollout, if any: one that stops stops all."""
    for name in sorted(peers):
        word = peers[name].rollouts.get(rollout)
        if word is not None and word.revision == revision and word.stopped:
            return word.stopped if "(at gateway " in word.stopped else f"{word.stopped} (at gateway {name})"
    return ""
