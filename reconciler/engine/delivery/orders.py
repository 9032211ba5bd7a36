# SPDX-License-Identifier: Apache-2.0
"""From an action to what is sent: a signed envelope for one device, and the payload that travels with it.

Level-triggered like all else: the sequence is one above what the device says it holds, or ever held. An update that
was cut off is taken up by sending the same envelope again, to the letter; when that is not known any more a new one is
made, which costs the blocks that had arrived and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import signing.envelope
from reconciler.compiler.payload.codec import EncodedPayload
from reconciler.compiler.payload.codec import PayloadEncoding as Packed
from reconciler.devices.messages import PayloadEncoding
from reconciler.devices.reports import CapabilitiesBody, DeviceReport
from reconciler.devices.transfer import TransferJob
from reconciler.engine.state.database import Delivery
from reconciler.model import DeviceId, Digest
from signing.gateway_keystore import GatewayKey
from signing.identifiers import EnvelopeTarget, device_id, vendor_id

TRANSFER_NAMES = 24
SECTOR_BYTES = 4096
SEQUENCE_JUMP = 1024  # docs/specs/envelope.md, V20
NO_PAYLOAD = EncodedPayload(Packed.RAW, b"")


@dataclass(frozen=True, slots=True)
class DeliveryTarget:
    """One device as orders need it: its name, and what it last said under its signature."""

    fleet: str
    device: DeviceId
    report: DeviceReport
    capabilities: CapabilitiesBody
    highest_sequence: int = 0  # that it ever held: more than now if it was reset to factory

    @property
    def next_sequence(self) -> int:
        """Return the next sequence: above all that it ever obeyed, and no larger step than it takes."""
        floor = max(self.report.sequence, self.highest_sequence)
        return min(floor + 1, self.report.sequence + SEQUENCE_JUMP)

    @property
    def target(self) -> EnvelopeTarget:
        """Its identifiers. The class is the device's own word; planning has compared what stands behind it."""
        vendor = vendor_id(self.fleet)
        return EnvelopeTarget(vendor, self.capabilities.class_id, device_id(vendor, self.device))


@dataclass(frozen=True, slots=True)
class PackPayloads:
    """A pack and the ways in which its bytes may travel, the best first; none when the device holds it already."""

    digest: Digest
    pack_bytes: int
    payloads: tuple[EncodedPayload, ...] = ()


def fitting(forms: Sequence[EncodedPayload], pack_bytes: int, to: DeliveryTarget) -> tuple[EncodedPayload, ...]:
    """Return the forms in which a pack can travel to this device, in the same order.

    An encoded payload lies beside the pack that is made of it (flash.md, section 3), in whole sectors; a device
    whose sectors are larger than we think refuses, and then the pack travels raw.
    """

    def sectors(count: int) -> int:
        return -(-count // SECTOR_BYTES) * SECTOR_BYTES

    room = to.capabilities.slot_bytes - sectors(pack_bytes)
    return tuple(form for form in forms if form.encoding is Packed.RAW or sectors(len(form.data)) <= room)


def install_job(
    gateway: GatewayKey, to: DeliveryTarget, parcel: PackPayloads, link_block_bytes: int, before: Delivery | None
) -> tuple[TransferJob, Delivery]:
    """Order a pack to be run; take up an interrupted order where there is one."""
    payload = _resumable(to, parcel, before)
    if payload is not None and before is not None and to.report.transfer is not None:
        job = _job(to, before, payload)
        return replace(job, block_bytes=to.report.transfer.block_bytes), before
    sequence = to.next_sequence
    order = signing.envelope.InstallOrder(sequence, bytes.fromhex(parcel.digest), parcel.pack_bytes)
    delivery = Delivery(parcel.digest, sequence, _envelope(gateway, to, order))
    job = _job(to, delivery, parcel.payloads[0] if parcel.payloads else NO_PAYLOAD)
    return replace(job, block_bytes=link_block_bytes), delivery


def configure_job(
    gateway: GatewayKey, to: DeliveryTarget, digest: Digest, values: Mapping[int, int]
) -> tuple[TransferJob, Delivery]:
    """Order parameters to be set, by an envelope alone."""
    sequence = to.next_sequence
    order = signing.envelope.ConfigureOrder(sequence, bytes.fromhex(digest), values)
    delivery = Delivery(digest, sequence, _envelope(gateway, to, order))
    return replace(_job(to, delivery, NO_PAYLOAD), digest16=None), delivery


def _envelope(gateway: GatewayKey, to: DeliveryTarget, order: signing.envelope.Order) -> bytes:
    held = (to.report.gateway, to.report.epoch) == (gateway.delegation.key_id, gateway.delegation.epoch)
    return signing.envelope.make(gateway.signer, to.target, order, None if held else gateway.cwt)


def _resumable(to: DeliveryTarget, parcel: PackPayloads, before: Delivery | None) -> EncodedPayload | None:
    """Return the payload of the order that the device has open, if it is ours and we know it to the letter."""
    transfer = to.report.transfer
    if before is None or transfer is None:
        return None
    same = (
        before.digest == parcel.digest
        and before.sequence == to.report.sequence
        and transfer.digest16 == bytes.fromhex(parcel.digest)[:16]
    )
    if not same:
        return None
    shape = (int(transfer.encoding), transfer.payload_bytes)
    return next((each for each in parcel.payloads if (int(each.encoding), len(each.data)) == shape), None)


def _job(to: DeliveryTarget, delivery: Delivery, payload: EncodedPayload) -> TransferJob:
    return TransferJob(
        device=to.device,
        transfer=delivery.sequence % TRANSFER_NAMES,
        envelope=delivery.envelope,
        sequence=delivery.sequence,
        counter=to.report.counter,
        digest16=bytes.fromhex(delivery.digest)[:16],
        payload=payload.data,
        encoding=PayloadEncoding(int(payload.encoding)),
        block_gap_s=to.capabilities.block_ms / 1000,
    )
