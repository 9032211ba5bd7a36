# SPDX-License-Identifier: Apache-2.0
"""From an action to what is sent: a signed envelope for one device, and the payload that travels with it.

Level-triggered like all else: the sequence is one above what the device says it holds. An update that was cut off is
taken up by sending the same envelope again, to the letter; when that is not known any more a new one is made, which
costs the blocks that had arrived and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import signing.envelope
from reconciler.devices.bodies import CapabilitiesBody, Report
from reconciler.devices.codec import Encoding
from reconciler.devices.transfer import Job
from reconciler.engine.state import Delivery
from reconciler.model import DeviceId, Digest
from signing.gatewaystore import Gateway
from signing.names import Target, device_id, vendor_id

TRANSFER_NAMES = 24


@dataclass(frozen=True, slots=True)
class Addressee:
    """One device as orders need it: its name, and what it last said under its signature."""

    fleet: str
    device: DeviceId
    report: Report
    capabilities: CapabilitiesBody

    @property
    def target(self) -> Target:
        """Its identifiers. The class is the device's own word; planning has compared what stands behind it."""
        vendor = vendor_id(self.fleet)
        return Target(vendor, self.capabilities.class_id, device_id(vendor, self.device))


@dataclass(frozen=True, slots=True)
class Parcel:
    """A pack and the ways in which its bytes may travel; none when the device holds it already."""

    digest: Digest
    pack_bytes: int
    payloads: Mapping[Encoding, bytes]


def install_job(
    gateway: Gateway, to: Addressee, parcel: Parcel, link_block_bytes: int, before: Delivery | None
) -> tuple[Job, Delivery]:
    """Order a pack to be run; take up an interrupted order where there is one."""
    resumed = _resumable(to, parcel, before)
    if resumed is not None and to.report.transfer is not None:
        open_transfer = to.report.transfer
        payload = parcel.payloads[open_transfer.encoding]
        job = _job(to, resumed, open_transfer.encoding, payload)
        return replace(job, block_bytes=open_transfer.block_bytes), resumed
    sequence = to.report.sequence + 1
    order = signing.envelope.Install(sequence, bytes.fromhex(parcel.digest), parcel.pack_bytes)
    delivery = Delivery(parcel.digest, sequence, _envelope(gateway, to, order))
    if not parcel.payloads:
        return _job(to, delivery, Encoding.RAW, b""), delivery
    encoding = min(parcel.payloads, key=lambda each: (len(parcel.payloads[each]), each))
    job = _job(to, delivery, encoding, parcel.payloads[encoding])
    return replace(job, block_bytes=link_block_bytes), delivery


def configure_job(gateway: Gateway, to: Addressee, digest: Digest, values: Mapping[int, int]) -> tuple[Job, Delivery]:
    """Order parameters to be set, by an envelope alone."""
    sequence = to.report.sequence + 1
    order = signing.envelope.Configure(sequence, bytes.fromhex(digest), values)
    delivery = Delivery(digest, sequence, _envelope(gateway, to, order))
    return replace(_job(to, delivery, Encoding.RAW, b""), digest16=None), delivery


def _envelope(gateway: Gateway, to: Addressee, order: signing.envelope.Order) -> bytes:
    held = (to.report.gateway, to.report.epoch) == (gateway.delegation.key_id, gateway.delegation.epoch)
    return signing.envelope.make(gateway.signer, to.target, order, None if held else gateway.cwt)


def _resumable(to: Addressee, parcel: Parcel, before: Delivery | None) -> Delivery | None:
    """Return the order that the device has open, if it is the one that we would give and know to the letter."""
    transfer = to.report.transfer
    if before is None or transfer is None or transfer.encoding not in parcel.payloads:
        return None
    same = (
        before.digest == parcel.digest
        and before.sequence == to.report.sequence
        and transfer.digest16 == bytes.fromhex(parcel.digest)[:16]
        and transfer.payload_bytes == len(parcel.payloads[transfer.encoding])
    )
    return before if same else None


def _job(to: Addressee, delivery: Delivery, encoding: Encoding, payload: bytes) -> Job:
    return Job(
        device=to.device,
        transfer=delivery.sequence % TRANSFER_NAMES,
        envelope=delivery.envelope,
        sequence=delivery.sequence,
        counter=to.report.counter,
        digest16=bytes.fromhex(delivery.digest)[:16],
        payload=payload,
        encoding=encoding,
        block_gap_s=to.capabilities.block_ms / 1000,
    )
