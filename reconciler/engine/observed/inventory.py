# SPDX-License-Identifier: Apache-2.0
"""The devices as this gateway sees them: what each said last, and what that means."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Summary, encode_body, parse_body
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.observed.identity import IdentityHistories
from reconciler.engine.observed.interpret import Facts, is_newer, observed_device, taken
from reconciler.engine.observed.trust import TrustLedger
from reconciler.engine.state.database import DeviceRecord, Failure, StateDatabase
from reconciler.model import (
    Artifact,
    ArtifactKey,
    Before,
    DeviceId,
    Digest,
    Observed,
    ObservedDevice,
    Parameters,
    RolloutId,
)


class Inventory:
    """All that devices said, in memory and in the database; `observed` is made anew only when something changed."""

    def __init__(self, state: StateDatabase, steady_s: Callable[[], float] = time.monotonic) -> None:
        self.histories = IdentityHistories(state)
        self.doubts = TrustLedger(self.histories)
        self.evidence = GateEvidence(state, steady_s)
        self.silent_after_s = float("inf")
        self._heard_by_us: set[DeviceId] = set()  # since the start: a gateway that was down heard nobody
        self._state = state
        self._heard: dict[DeviceId, DeviceRecord] = {heard.device: heard for heard in state.heard()}
        self._facts = Facts()
        self._devices: dict[DeviceId, ObservedDevice] = {}
        self._stale: set[DeviceId] = set(self._heard)
        self._snapshot: Mapping[DeviceId, ObservedDevice] = {}
        self._failures = {(failure.device, failure.digest): failure for failure in state.quarantined()}
        self._quarantined = frozenset(self._failures)
        self._observed = Observed()

    def report_of(self, device: DeviceId) -> DeviceReport | None:
        """Return the last report of a device."""
        heard = self._heard.get(device)
        body = parse_body(heard.report) if heard else None
        return body if isinstance(body, DeviceReport) else None

    def capabilities_of(self, device: DeviceId) -> CapabilitiesBody | None:
        """Return what a device says that it can hold and run."""
        heard = self._heard.get(device)
        body = parse_body(heard.capabilities) if heard and heard.capabilities else None
        return body if isinstance(body, CapabilitiesBody) else None

    def take_report(self, device: DeviceId, report: DeviceReport, now: datetime, *, asked: bool) -> bool:
        """Take in a verified report. One that nobody asked for must be newer than the last, else it is a replay."""
        previous = self._heard.get(device)
        self.doubts.believe(device)
        if not asked and not is_newer(previous, report):
            return False
        if previous is not None and device in self._heard_by_us:
            silent_s = (now - previous.seen_at).total_seconds()
            if silent_s >= self.silent_after_s:
                self.evidence.flapped(device, now)
        self._heard_by_us.add(device)
        self._keep(taken(previous, device, report, now))
        if asked:
            self.histories.take(device, report)
            self.evidence.paces.take(device, report)
        return True

    def take_capabilities(self, device: DeviceId, capabilities: CapabilitiesBody) -> None:
        """Take in verified capabilities, of a device that has reported."""
        self._keep(replace(self._heard[device], capabilities=encode_body(capabilities)))

    def take_summary(self, device: DeviceId, summary: Summary) -> bool:
        """Take in what a device counted, where a gate waits for it; tell whether one does."""
        heard = self._heard.get(device)
        if heard is None or not self.evidence.take(device, heard, summary):
            return False
        self._stale.add(device)
        return True

    def note_before(self, device: DeviceId, revision: str, summary: Summary | None) -> None:
        """Note what a device is before a rollout first changes it."""
        heard = self._heard[device]
        seen = observed_device(heard, self._facts)
        self.evidence.note_before(device, Before(revision, seen.running, seen.parameters), summary)
        self._stale.add(device)

    def take_parameters(self, device: DeviceId, values: Parameters, check: int) -> None:
        """Remember parameters as Git has them, and by which check the device will tell that it holds them."""
        self._keep(replace(self._heard[device], parameters=values, parameters_check=check))

    def know(self, public_keys: Mapping[DeviceId, str]) -> None:
        """Take the public keys from Git: a new one is a new identity."""
        self.histories.know(public_keys)
        self._stale |= self._heard.keys()

    @property
    def reports(self) -> Mapping[DeviceId, DeviceRecord]:
        """Return the last that each device said."""
        return self._heard

    def count_flags(self) -> Counter[str]:
        """Count how many devices raise each error flag."""
        reports = (self.report_of(device) for device in self._heard)
        return Counter(flag.name or "" for report in reports if report is not None for flag in report.flags)

    def quarantine(self, failure: Failure) -> None:
        """Note that a pack failed on a device."""
        self._state.quarantine(failure)
        self._failures[failure.device, failure.digest] = failure
        self._quarantined = frozenset(self._failures)

    def why_quarantined(self, device: DeviceId, digest: Digest) -> str | None:
        """Tell how a pack failed on a device."""
        failure = self._failures.get((device, digest))
        return failure.why if failure else None

    def release_outdated(self, revisions: Mapping[RolloutId, str]) -> None:
        """Give packs another chance whose rollout is gone, or says something else than when they failed."""
        outdated = [
            pair for pair, failure in self._failures.items() if revisions.get(failure.rollout) != failure.revision
        ]
        for pair in outdated:
            self._state.release(*pair)
            del self._failures[pair]
        if outdated:
            self._quarantined = frozenset(self._failures)

    def forget(self, device: DeviceId) -> None:
        """Forget a device that is no longer ours."""
        self._state.forget(device)
        self.histories.forget(device)
        self.evidence.forget(device)
        self._heard.pop(device, None)
        self._stale.add(device)
        self._failures = {pair: failure for pair, failure in self._failures.items() if pair[0] != device}
        self._quarantined = frozenset(self._failures)

    def observed(self, facts: Facts, artifacts: Mapping[ArtifactKey, Artifact]) -> Observed:
        """Return what is observed now; the same object while nothing changed."""
        if facts is not self._facts:
            self._facts = facts
            self._stale |= self._heard.keys()
        if self._stale:
            self._refresh()
        same = (
            self._observed.devices is self._snapshot
            and self._observed.artifacts is artifacts
            and self._observed.quarantined is self._quarantined
        )
        if not same:
            self._observed = Observed(self._snapshot, artifacts, self._quarantined)
        return self._observed

    def _refresh(self) -> None:
        changed = False
        for device in self._stale:
            heard = self._heard.get(device)
            if heard is None:
                changed |= self._devices.pop(device, None) is not None
                continue
            seen = self._conclude(device, heard)
            if self._devices.get(device) != seen:
                self._devices[device] = seen
                changed = True
        self._stale.clear()
        if changed:
            self._snapshot = dict(self._devices)

    def _conclude(self, device: DeviceId, heard: DeviceRecord) -> ObservedDevice:
        seen = observed_device(heard, self._facts, cloned=self.histories.cloned(device))
        flaps, flapped_at = self.evidence.unrest(device)
        return replace(
            seen,
            health=self.evidence.health(device, seen.running, seen.confirmed_since),
            before=self.evidence.before(device),
            flaps=flaps,
            flapped_at=flapped_at,
        )

    def _keep(self, heard: DeviceRecord) -> None:
        self._state.hear(heard)
        self._heard[heard.device] = heard
        self._stale.add(heard.device)
