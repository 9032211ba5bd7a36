# SPDX-License-Identifier: Apache-2.0
"""The devices as this gateway sees them: each one's last reports, and what they mean to the planner."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Summary
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.observed.identity_history import IdentityHistories
from reconciler.engine.observed.interpret import PackDefaults, is_newer, observed_device, updated_record
from reconciler.engine.observed.trust import TrustLedger
from reconciler.engine.state.records import DeviceRecord, QuarantineRecord
from reconciler.engine.state.writer import StateWriter
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
from reconciler.model.snapshot_cache import SnapshotCache, reuse_if_equal


class Inventory:
    """All device records, in memory and in the database. For the event loop's thread only."""

    def __init__(self, state: StateWriter, steady_s: Callable[[], float] = time.monotonic) -> None:
        self.identities = IdentityHistories(state)
        self.trust = TrustLedger(self.identities)
        self.evidence = GateEvidence(state, steady_s)
        self.silent_after_s = float("inf")
        self._heard_since_start: set[DeviceId] = set()  # while this gateway was down, no silence was a device's fault
        self._state = state
        self._records: dict[DeviceId, DeviceRecord] = {record.device: record for record in state.devices()}
        self._defaults = PackDefaults()
        self._devices: dict[DeviceId, ObservedDevice] = {}
        self._stale: set[DeviceId] = set(self._records)  # devices to be interpreted again
        self._unsaved: set[DeviceId] = set()  # devices of which the database lacks the last report
        self._snapshot: Mapping[DeviceId, ObservedDevice] = {}
        self._failures = {(failure.device, failure.digest): failure for failure in state.quarantined()}
        self._quarantined = frozenset(self._failures)
        self._observed: SnapshotCache[Observed] = SnapshotCache()
        self._by_root: defaultdict[bytes | None, set[DeviceId]] = defaultdict(set)
        for device, record in self._records.items():
            self.identities.compare(device, record.report)
            self._by_root[record.report.root].add(device)

    @property
    def records(self) -> Mapping[DeviceId, DeviceRecord]:
        """Return the record of every device that ever reported."""
        return self._records

    def report_of(self, device: DeviceId) -> DeviceReport | None:
        """Return the last report of a device."""
        record = self._records.get(device)
        return record.report if record is not None else None

    def seen_at(self, device: DeviceId) -> datetime | None:
        """Return when a device last reported."""
        record = self._records.get(device)
        return record.seen_at if record is not None else None

    def capabilities_of(self, device: DeviceId) -> CapabilitiesBody | None:
        """Return what a device reports that it can hold and run."""
        record = self._records.get(device)
        return record.capabilities if record is not None else None

    def answer_s_of(self, device: DeviceId) -> float | None:
        """Return how long a device may take to an answer; None: not reported yet."""
        capabilities = self.capabilities_of(device)
        return capabilities.answer_ms / 1000 if capabilities is not None else None

    def record_report(self, device: DeviceId, report: DeviceReport, now: datetime, *, asked: bool) -> bool:
        """Record a verified report; return False for an unsolicited one that is not newer: it may be a replay."""
        previous = self._records.get(device)
        self.trust.record_verified(device)
        if not asked and not is_newer(previous, report):
            return False
        if previous is not None and device in self._heard_since_start:
            silent_s = (now - previous.seen_at).total_seconds()
            if silent_s >= self.silent_after_s:
                self.evidence.record_flap(device, now)
        self._heard_since_start.add(device)
        self._keep(updated_record(previous, device, report, now))
        if asked:  # only an answer to our own nonce is known to be fresh
            self.identities.record(device, report)
            self.evidence.rates.record(device, report)
        return True

    def record_capabilities(self, device: DeviceId, capabilities: CapabilitiesBody) -> None:
        """Record verified capabilities. The device must have reported before."""
        self._keep(replace(self._records[device], capabilities=capabilities))

    def record_summary(self, device: DeviceId, summary: Summary) -> bool:
        """Record what a device counted if a gate awaits it; return whether one does."""
        record = self._records.get(device)
        if record is None or not self.evidence.record(device, record, summary):
            return False
        self._stale.add(device)
        return True

    def record_baseline(self, device: DeviceId, revision: str, summary: Summary | None) -> None:
        """Record what a device is before a rollout first changes it."""
        seen = observed_device(self._records[device], self._defaults)
        self.evidence.record_baseline(device, Before(revision, seen.running, seen.parameters), summary)
        self._stale.add(device)

    def record_parameters(self, device: DeviceId, values: Parameters, crc32: int) -> None:
        """Record parameters as Git has them, and the CRC-32 that the device reports once it has them."""
        self._keep(replace(self._records[device], parameters=values, parameters_crc32=crc32))

    def set_public_keys(self, public_keys: Mapping[DeviceId, str]) -> None:
        """Take the public keys from Git: a new one is a new identity."""
        self.identities.set_public_keys(public_keys)
        self._stale |= self._records.keys()

    def count_flags(self) -> Counter[str]:
        """Count how many devices raise each error flag."""
        return Counter(flag.name or "" for record in self._records.values() for flag in record.report.flags)

    def with_another_root(self, root: bytes) -> frozenset[DeviceId]:
        """Return the devices that report another root than this one."""
        return frozenset().union(*(names for each, names in self._by_root.items() if each not in {root, None}))

    def quarantine(self, failure: QuarantineRecord) -> None:
        """Record that a pack failed on a device."""
        self._state.save_quarantine(failure)
        self._failures[failure.device, failure.digest] = failure
        self._quarantined = frozenset(self._failures)

    def why_quarantined(self, device: DeviceId, digest: Digest) -> str | None:
        """Return how a pack failed on a device; None: it did not."""
        failure = self._failures.get((device, digest))
        return failure.why if failure else None

    def release_outdated(self, revisions: Mapping[RolloutId, str]) -> None:
        """Give packs another chance whose rollout is gone or has another revision than when they failed."""
        outdated = [
            key for key, failure in self._failures.items() if revisions.get(failure.rollout) != failure.revision
        ]
        for key in outdated:
            self._state.release(*key)
            del self._failures[key]
        if outdated:
            self._quarantined = frozenset(self._failures)

    def forget(self, device: DeviceId) -> None:
        """Forget a device that this gateway no longer serves."""
        self._state.forget_device(device)
        self.identities.forget(device)
        self.evidence.forget(device)
        gone = self._records.pop(device, None)
        if gone is not None:
            self._by_root[gone.report.root].discard(device)
        self._unsaved.discard(device)
        self._stale.add(device)
        self._failures = {key: failure for key, failure in self._failures.items() if key[0] != device}
        self._quarantined = frozenset(self._failures)

    def save(self) -> None:
        """Write the reports that came since the last call, in one transaction; a failure leaves them to the next call.

        A report that is lost with the process was sent for nothing, but no decision depends on it: after a restart the
        device is asked again before anything is sent to it.
        """
        if not self._unsaved:
            return
        with self._state.transaction():
            self._state.save_devices(self._records[device] for device in self._unsaved)
            self._state.save_identities(self.identities.of(self._unsaved))
        self._unsaved.clear()

    def observed(self, defaults: PackDefaults, artifacts: Mapping[ArtifactKey, Artifact]) -> Observed:
        """Return what is observed now, as a snapshot (reconciler.model.snapshot_cache)."""
        if defaults is not self._defaults:
            self._defaults = defaults
            self._stale |= self._records.keys()
        if self._stale:
            self._refresh()
        parts = (self._snapshot, artifacts, self._quarantined)
        return self._observed.get(*parts) or self._observed.put(Observed(*parts), *parts)

    def _refresh(self) -> None:
        changed = False
        for device in self._stale:
            record = self._records.get(device)
            if record is None:
                changed |= self._devices.pop(device, None) is not None
                continue
            before = self._devices.get(device)
            seen = reuse_if_equal(before, self._interpreted(device, record))
            if seen is not before:
                self._devices[device] = seen
                changed = True
        self._stale.clear()
        if changed:
            self._snapshot = dict(self._devices)

    def _interpreted(self, device: DeviceId, record: DeviceRecord) -> ObservedDevice:
        seen = observed_device(record, self._defaults, cloned=self.identities.cloned(device))
        flaps, flapped_at = self.evidence.flapping(device)
        return replace(
            seen,
            health=self.evidence.health(device, seen.running, seen.confirmed_since),
            before=self.evidence.baseline(device),
            flaps=flaps,
            flapped_at=flapped_at,
        )

    def _keep(self, record: DeviceRecord) -> None:
        before = self._records.get(record.device)
        if before is None or before.report.root != record.report.root:
            if before is not None:
                self._by_root[before.report.root].discard(record.device)
            self._by_root[record.report.root].add(record.device)
        self._records[record.device] = record
        self._stale.add(record.device)
        self._unsaved.add(record.device)
