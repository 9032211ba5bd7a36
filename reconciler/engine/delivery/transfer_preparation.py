# SPDX-License-Identifier: Apache-2.0
"""From an action to a transfer job: a signed envelope for one device, and the payload that follows it.

Level-triggered like everything else: the sequence is one above what the device reports, or ever held. An interrupted
update is resumed by sending the same envelope again, byte for byte. If that envelope is no longer known, a new one is
made, which costs no more than the blocks that had arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import signing.envelope
from reconciler.compiler.payload.encoded_payload import EncodedPayload
from reconciler.devices.messages import TRANSFERS
from reconciler.devices.reports import CapabilitiesBody, DeviceReport
from reconciler.devices.transfer import TransferJob
from reconciler.engine.state.records import OrderRecord
from reconciler.model import DeviceId, Digest, PayloadEncoding, short_digest_to_bytes
from signing.gateway_keystore import GatewayKey
from signing.identifiers import EnvelopeTarget, device_id, vendor_id

SECTOR_BYTES = 4096
SEQUENCE_JUMP = 1024  # docs/specs/envelope.md, V20
NO_PAYLOAD = EncodedPayload(PayloadEncoding.RAW, b"")


@dataclass(frozen=True, slots=True)
class DeliveryTarget:
    """The device that an order is for, with its fresh report and its capabilities."""

    fleet: str
    device: DeviceId
    report: DeviceReport
    capabilities: CapabilitiesBody
    max_sequence: int = 0  # ever held: higher than the reported one after a factory reset

    @property
    def next_sequence(self) -> int:
        """Return the next sequence: above all that it ever obeyed, and at most as far ahead as it accepts."""
        floor = max(self.report.sequence, self.max_sequence)
        return min(floor + 1, self.report.sequence + SEQUENCE_JUMP)

    @property
    def identifiers(self) -> EnvelopeTarget:
        """The device's identifiers. It reports its class itself; the planner has checked what the class stands for."""
        vendor = vendor_id(self.fleet)
        return EnvelopeTarget(vendor, self.capabilities.class_id, device_id(vendor, self.device))


@dataclass(frozen=True, slots=True)
class PackPayloads:
    """A pack and the payloads as which it can be sent, the best first; none when the device holds the pack already."""

    digest: Digest
    pack_bytes: int
    payloads: tuple[EncodedPayload, ...] = ()


def fitting(payloads: Sequence[EncodedPayload], pack_bytes: int, target: DeliveryTarget) -> tuple[EncodedPayload, ...]:
    """Return the payloads that a device has room for, in the same order.

    An encoded payload is stored next to the pack that is decoded from it (flash.md, section 3), in whole sectors. A
    device with larger sectors than assumed refuses it, and then the pack is sent raw.
    """

    def sectors(count: int) -> int:
        return -(-count // SECTOR_BYTES) * SECTOR_BYTES

    room = target.capabilities.slot_bytes - sectors(pack_bytes)
    return tuple(each for each in payloads if each.encoding is PayloadEncoding.RAW or sectors(len(each.data)) <= room)


def install_job(
    gateway: GatewayKey, target: DeliveryTarget, pack: PackPayloads, link_block_bytes: int, before: OrderRecord | None
) -> tuple[TransferJob, OrderRecord]:
    """Order a device to run a pack; resume the interrupted order `before` if the device has it open."""
    payload = _resumable(target, pack, before)
    if payload is not None and before is not None and target.report.transfer is not None:
        job = _job(target, before, payload)
        return replace(job, block_bytes=target.report.transfer.block_bytes), before
    sequence = target.next_sequence
    order = signing.envelope.InstallOrder(sequence, bytes.fromhex(pack.digest), pack.pack_bytes)
    record = OrderRecord(pack.digest, sequence, _envelope(gateway, target, order))
    job = _job(target, record, pack.payloads[0] if pack.payloads else NO_PAYLOAD)
    return replace(job, block_bytes=link_block_bytes), record


def configure_job(
    gateway: GatewayKey, target: DeliveryTarget, digest: Digest, values: Mapping[int, int]
) -> tuple[TransferJob, OrderRecord]:
    """Order a device to set parameters, with an envelope alone."""
    sequence = target.next_sequence
    order = signing.envelope.ConfigureOrder(sequence, bytes.fromhex(digest), values)
    record = OrderRecord(digest, sequence, _envelope(gateway, target, order))
    return replace(_job(target, record, NO_PAYLOAD), digest16=None), record


def _envelope(gateway: GatewayKey, target: DeliveryTarget, order: signing.envelope.Order) -> bytes:
    """Sign an order; the delegation goes with it only if the device does not hold it yet."""
    held = (target.report.gateway, target.report.epoch) == (gateway.delegation.key_id, gateway.delegation.epoch)
    return signing.envelope.make(gateway.signer, target.identifiers, order, None if held else gateway.cwt)


def _resumable(target: DeliveryTarget, pack: PackPayloads, before: OrderRecord | None) -> EncodedPayload | None:
    """Return the payload of the device's unfinished order, if we sent that order and know it byte for byte."""
    transfer = target.report.transfer
    if before is None or transfer is None:
        return None
    same = (
        before.digest == pack.digest
        and before.sequence == target.report.sequence
        and transfer.digest16 == short_digest_to_bytes(pack.digest)
    )
    if not same:
        return None
    shape = (int(transfer.encoding), transfer.payload_bytes)
    return next((each for each in pack.payloads if (int(each.encoding), len(each.data)) == shape), None)


def _job(target: DeliveryTarget, order: OrderRecord, payload: EncodedPayload) -> TransferJob:
    return TransferJob(
        device=target.device,
        transfer=order.sequence % TRANSFERS,
        envelope=order.envelope,
        sequence=order.sequence,
        counter=target.report.counter,
        digest16=short_digest_to_bytes(order.digest),
        payload=payload.data,
        encoding=payload.encoding,
        block_gap_s=target.capabilities.block_ms / 1000,
        answer_s=target.capabilities.answer_ms / 1000,
    )
