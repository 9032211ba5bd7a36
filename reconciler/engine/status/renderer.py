# SPDX-License-Identifier: Apache-2.0
"""From a pass to the status files that changed: only a device whose action or report changed is rendered again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model import Action, Artifact, DeviceId, GatewayId, Observed, ObservedDevice, RolloutId, RolloutReport
from reconciler.page.page_model import PageModel
from reconciler.page.routes import INDEX, committed
from reconciler.report.device_status import DeviceStatus, Distrust, PassStamp, device_status
from reconciler.report.gateway_status import GatewayFacts, GatewayStatus, gateway_status
from reconciler.report.rollout_file import read_rollout_file, rollout_file
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, rollout_status
from reconciler.report.status_files import device_file, gateway_file, read_device_file, read_gateway_file, readme

README = "README.md"
GATEWAY = "gateway.yaml"
ROLLOUTS = "rollouts/"


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What one pass has to tell."""

    gateway: GatewayFacts
    actions: tuple[Action, ...]
    observed: Observed
    by_digest16: Mapping[str, Artifact]
    rollouts: Mapping[DeviceId, RolloutId]  # that has each device
    moment: PassStamp
    doubts: Mapping[DeviceId, Distrust] = field(default_factory=dict)
    rollout_facts: tuple[RolloutFacts, ...] = ()


@dataclass(slots=True)
class _PublishedStatus:
    action: Action
    seen: ObservedDevice | None
    doubt: Distrust | None
    status: DeviceStatus


class StatusRenderer:
    """What was told last, so that what has not changed is not told again."""

    def __init__(self, name: GatewayId, before: Mapping[str, bytes], *, page: bool = False) -> None:
        self._name = name
        self._committed = before  # from before a restart: tells since when
        self._page = page  # for a browser, beside the README
        self._page_differs = page != (INDEX in before)  # the configuration says something else than it did
        self._told: dict[DeviceId, _PublishedStatus] = {}
        self._gateway = read_gateway_file(before[GATEWAY]) if GATEWAY in before else None
        told = [read_rollout_file(body) for path, body in before.items() if path.startswith(ROLLOUTS)]
        self._rollouts = {status.facts.rollout: status for status in told}

    @property
    def devices(self) -> tuple[DeviceStatus, ...]:
        """Return every device's status."""
        return tuple(told.status for told in self._told.values())

    @property
    def gateway(self) -> GatewayStatus | None:
        """Return the gateway's status."""
        return self._gateway

    @property
    def rollouts(self) -> Mapping[RolloutId, RolloutStatus]:
        """Return every rollout's status."""
        return self._rollouts

    @property
    def words(self) -> dict[RolloutId, RolloutReport]:
        """Return what was said last of our devices in each rollout."""
        return {name: status.facts.word for name, status in self._rollouts.items()}

    def changed(self, picture: PassOutcome) -> tuple[dict[str, bytes], set[str]]:
        """Return the files that are new or different, and the paths that are gone."""
        files: dict[str, bytes] = {}
        present = set()
        for action in picture.actions:
            present.add(action.device)
            self._tell(action, picture, files)
        gone = {_path(device) for device in self._told.keys() - present}
        gone |= {path for path in self._committed if path.startswith("devices/") and path[8:-5] not in present}
        for device in self._told.keys() - present:
            del self._told[device]
        gone |= self._tell_rollouts(picture, files)
        gateway = gateway_status(picture.gateway, picture.moment, self._gateway)
        if files or gone or gateway != self._gateway or self._page_differs:
            self._gateway = gateway
            files[GATEWAY] = gateway_file(gateway)
            files[README] = readme(gateway, self.devices, picture.rollouts, self._rollouts.values())
            if self._page:
                files[INDEX] = committed(PageModel(gateway, self.devices, tuple(self._rollouts.values())))
            elif self._page_differs:
                gone.add(INDEX)
            self._page_differs = False
        self._committed = {}
        return files, gone

    def _tell_rollouts(self, picture: PassOutcome, files: dict[str, bytes]) -> set[str]:
        """Tell of the rollouts that changed; return the paths of those that are gone."""
        present = {}
        for facts in picture.rollout_facts:
            before = self._rollouts.get(facts.rollout)
            status = rollout_status(facts, picture.moment, before)
            present[facts.rollout] = status
            if status != before:
                files[_rollout_path(facts.rollout)] = rollout_file(status)
        gone = {_rollout_path(name) for name in self._rollouts.keys() - present.keys()}
        self._rollouts = present
        return gone

    def _tell(self, action: Action, picture: PassOutcome, files: dict[str, bytes]) -> None:
        device = action.device
        seen = picture.observed.devices.get(device)
        told = self._told.get(device)
        doubt = picture.doubts.get(device)
        if told is not None and told.seen is seen and told.doubt == doubt and told.action == action:
            return
        model = _model(seen, picture.by_digest16)
        status = device_status(action, seen, model, picture.moment, self._previous(device), doubt)
        self._told[device] = _PublishedStatus(action, seen, doubt, status)
        if told is None or status != told.status:
            files[_path(device)] = device_file(status)

    def _previous(self, device: DeviceId) -> DeviceStatus | None:
        if device in self._told:
            return self._told[device].status
        body = self._committed.get(_path(device))
        return read_device_file(body) if body is not None else None


def has_stopped(before: Mapping[RolloutId, RolloutStatus], after: Mapping[RolloutId, RolloutStatus]) -> bool:
    """Tell whether a rollout has just stopped. Other gateways go on with it until they read that."""
    return any(
        status.facts.word.stopped and not (name in before and before[name].facts.word.stopped)
        for name, status in after.items()
    )


def _path(device: DeviceId) -> str:
    return f"devices/{device}.yaml"


def _rollout_path(rollout: RolloutId) -> str:
    return f"{ROLLOUTS}{rollout}.yaml"


def _model(seen: ObservedDevice | None, by_digest16: Mapping[str, Artifact]) -> str | None:
    if seen is None or seen.running is None:
        return None
    artifact = by_digest16.get(seen.running)
    return str(artifact.model) if artifact is not None else None
