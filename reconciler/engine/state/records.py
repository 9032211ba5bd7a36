# SPDX-License-Identifier: Apache-2.0
"""The rows of the state database as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.devices.reports import CapabilitiesBody, DeviceReport
from reconciler.model import Before, DeviceId, Digest, Parameters, RolloutId


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device's last verified report, and the parameters that were sent to it. Bodies are bytes only in the file."""

    device: DeviceId
    seen_at: datetime
    report: DeviceReport
    capabilities: CapabilitiesBody | None = None
    confirmed_since: datetime | None = None
    parameters: Parameters | None = None  # as Git has them, if this gateway set them
    parameters_crc32: int = 0  # what the device reports while it holds exactly those parameters


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order that a device may have accepted. Sent again unchanged, it resumes where it was interrupted."""

    digest: Digest
    sequence: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class QuarantineRecord:
    """A pack that failed on a device, and the rollout revision for which it was sent."""

    device: DeviceId
    digest: Digest
    why: str
    rollout: RolloutId
    revision: str  # when the rollout's revision changes, the pack gets another chance


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """What a device's fresh reports said over time, for one public key."""

    device: DeviceId
    public_key: str
    counter: int  # of the last report
    max_counter: int  # ever
    max_sequence: int  # ever held
    alternations: int = 0  # between two counters, as two devices with one identity cause them


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """What a device counted with the pack that it runs, for a gate."""

    running: str
    since: float  # when this pack was confirmed, as a Unix timestamp
    body: bytes
    seconds: float  # that the device took for what it counted; 0: unknown


@dataclass(frozen=True, slots=True)
class BaselineRecord:
    """What a device ran, and what it had counted, before a rollout first changed it."""

    before: Before
    body: bytes | None
    seconds: float  # that the device took for what it counted; 0: unknown


@dataclass(frozen=True, slots=True)
class FlappingRecord:
    """How often a device fell silent and came back, and when it last did."""

    flaps: int
    flapped_at: datetime


@dataclass(frozen=True, slots=True)
class SummaryRecord:
    """The last summary of a device for one pack."""

    device: DeviceId
    running: str
    body: bytes
    at: datetime | None  # when it was reported; None: before this was recorded
