# SPDX-License-Identifier: Apache-2.0
"""A fleet in which actions take effect at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Artifact,
    ArtifactKey,
    Configure,
    Desired,
    DeviceId,
    Digest,
    Install,
    ModelRef,
    Observed,
    ObservedDevice,
    Origin,
    Phase,
)
from tests.plan.example_fleet import NOW, artifact, capabilities_of


@dataclass
class InstantFleet:
    """Devices that execute every order at once; those in `broken` fail every new model."""

    desired: Desired
    now: datetime = NOW
    broken: frozenset[DeviceId] = frozenset()
    devices: dict[DeviceId, ObservedDevice] = field(default_factory=dict)
    artifacts: dict[ArtifactKey, Artifact] = field(default_factory=dict)
    quarantined: set[tuple[DeviceId, Digest]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name, each in self.desired.devices.items():
            kind = self.desired.types[each.type]
            self.devices[name] = ObservedDevice(self.now, Phase.IDLE, None, capabilities=capabilities_of(kind))

    def observed(self) -> Observed:
        devices = {name: replace(each, last_seen=self.now) for name, each in self.devices.items()}
        return Observed(devices, dict(self.artifacts), frozenset(self.quarantined))

    def apply(self, actions: Iterable[Action]) -> set[DeviceId]:
        """Let actions take effect; return the devices that they changed."""
        changed = set()
        for action in actions:
            if isinstance(action, Install | ActivatePrebaked | Configure):
                if isinstance(action, Install) and action.origin is Origin.BUILD:
                    self._build(action.model, action.device)
                    continue
                changed.add(action.device)
                self._change(action)
        return changed

    def _build(self, ref: ModelRef, name: DeviceId) -> Digest:
        kind = self.desired.devices[name].type
        built = artifact(ref, kind)
        self.artifacts[ref, kind] = built
        return built.digest

    def _change(self, action: Install | ActivatePrebaked | Configure) -> None:
        before = self.devices[action.device]
        running = before.running
        if not isinstance(action, Configure):
            running = built = self._build(action.model, action.device)
            if isinstance(action, Install) and action.device in self.broken:
                self.quarantined.add((action.device, built))
                return
        self.devices[action.device] = replace(
            before,
            phase=Phase.CONFIRMED,
            running=running,
            parameters=dict(action.parameters),
            confirmed_since=self.now,
            sequence=before.sequence + 1,
        )
