# SPDX-License-Identifier: Apache-2.0
"""A small fake device that follows docs/specs/protocol.md, for behaviour that the real C agent does not show.

Its "signature" is the nonce before the body, so that a stale answer is rejected as with a real device. Its "envelope"
is the sequence number (4 bytes) and the digest16 of the pack.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.devices.errors import Malformed
from reconciler.devices.messages import (
    Answer,
    Block,
    Have,
    Inquire,
    Message,
    Missing,
    Offer,
    Signed,
    Stage,
    TransferResult,
    encode,
    parse,
)
from reconciler.devices.reports import DecisionReason, DeviceReport, Flag, ModelLocation, OpenTransfer, encode_body
from reconciler.devices.serial_frame import Deframer, encode_frame
from reconciler.devices.transfer import TransferJob
from reconciler.errors import Refused
from reconciler.model import DeviceId, PayloadEncoding, Phase

DIGEST16 = bytes(range(16))


def open_fake(device: DeviceId, cose: bytes, nonce: bytes) -> bytes:
    """Check the fake signature."""
    del device
    if not cose.startswith(bytes([len(nonce)]) + nonce):
        raise Refused("another nonce")
    return cose[1 + len(nonce) :]


def fake_envelope(sequence: int, digest16: bytes = DIGEST16) -> bytes:
    """Return a fake envelope."""
    return sequence.to_bytes(4, "big") + digest16


def job_for(device: str, payload: bytes, *, sequence: int = 1, block_bytes: int = 64) -> TransferJob:
    """Return a job that a fake device accepts."""
    return TransferJob(
        device=DeviceId(device),
        transfer=sequence % 24,
        envelope=fake_envelope(sequence),
        sequence=sequence,
        counter=0,
        digest16=DIGEST16,
        payload=payload,
        encoding=PayloadEncoding.RAW,
        block_bytes=block_bytes,
    )


@dataclass
class FakeDevice:
    """The device's side of the protocol."""

    fails_trial: bool = False
    restarts_late: bool = False  # the failed pack still runs when the failure is reported
    refuses_with: int | None = None
    polls_in_trial: int = 0
    sequence: int = 0
    running: bytes | None = None
    failed: bytes | None = None
    counter: int = 0
    boots: int = 1
    phase: Phase = Phase.IDLE
    offer: Offer | None = None
    blocks: dict[int, bytes] = field(default_factory=dict)
    blocks_heard: int = 0

    def answer(self, message: Message) -> Answer | None:
        """Answer as the protocol requires."""
        match message:
            case Inquire(nonce=nonce):
                return Signed(bytes([len(nonce)]) + nonce + encode_body(self.report()))
            case Offer() as offer:
                return self._take_offer(offer)
            case Block(transfer, index, data):
                self.blocks_heard += 1
                if self.offer and transfer == self.offer.transfer:
                    self.blocks.setdefault(index, data)
                return None
            case Missing(transfer):
                return self._have(transfer)
            case Stage(transfer):
                return self._stage(transfer)
            case _:
                return None

    def report(self) -> DeviceReport:
        """Report the state; a trial ends after `polls_in_trial` reports."""
        self.counter += 1
        if self.phase is Phase.TRIAL:
            self.polls_in_trial -= 1
            if self.polls_in_trial < 0:
                self._end_trial()
        return DeviceReport(
            counter=self.counter,
            sequence=self.sequence,
            epoch=1,
            gateway=bytes(8),
            phase=self.phase,
            location=ModelLocation.SLOT_A if self.running else ModelLocation.NOWHERE,
            running=self.running,
            other=None,
            why=self._why,
            failed=self.failed,
            error=-87 if self.failed else 0,
            flags=Flag(0),
            parameters=0,
            boots=self.boots,
            inferences=0,
            anomalies=0,
            faults=0,
            transfer=self._open_transfer(),
        )

    def _open_transfer(self) -> OpenTransfer | None:
        if self.phase is not Phase.RECEIVING or not self.offer or not self.offer.payload:
            return None
        shape = self.offer.payload
        have = self._have(self.offer.transfer)
        first = have.first if isinstance(have, Have) else 0
        return OpenTransfer(self.offer.envelope[4:], shape.encoding, shape.payload_bytes, shape.block_bytes, first)

    def content(self) -> bytes:
        """Return the payload received so far."""
        return b"".join(data for _, data in sorted(self.blocks.items()))

    def _end_trial(self) -> None:
        assert self.offer
        digest16 = self.offer.envelope[4:]
        self.phase = Phase.CONFIRMED
        if self.fails_trial:
            self.failed = digest16
            self.running = digest16 if self.restarts_late else self.running
        else:
            self.running = digest16
        self.offer = None

    @property
    def _why(self) -> DecisionReason:
        if self.failed and self.restarts_late:
            return DecisionReason.ON_TRIAL
        return DecisionReason.CONFIRMED if self.running else DecisionReason.NOTHING_CAN

    def _take_offer(self, offer: Offer) -> Answer:
        if self.refuses_with is not None:
            return TransferResult(offer.transfer, self.refuses_with)
        if self.offer is None or offer.envelope != self.offer.envelope or offer.payload != self.offer.payload:
            self.blocks = {}
        self.offer = offer
        self.sequence = int.from_bytes(offer.envelope[:4], "big")
        if offer.payload is None:
            self.phase = Phase.TRIAL
            return TransferResult(offer.transfer, 1)
        self.phase = Phase.RECEIVING
        return self._have(offer.transfer)

    def _have(self, transfer: int) -> Answer:
        if not self.offer or not self.offer.payload or transfer != self.offer.transfer:
            return TransferResult(transfer, -72)
        count = self.offer.payload.blocks
        first = next((i for i in range(count) if i not in self.blocks), count)
        marks = sum(1 << (i - first - 1) for i in self.blocks if i > first)
        return Have(transfer, first, marks.to_bytes(512, "little").rstrip(b"\0"))

    def _stage(self, transfer: int) -> Answer:
        have = self._have(transfer)
        if self.phase is Phase.TRIAL:
            return TransferResult(transfer, 0)
        if isinstance(have, Have) and self.offer and self.offer.payload and have.first == self.offer.payload.blocks:
            self.phase = Phase.TRIAL
            return TransferResult(transfer, 1)
        return have


class FakeStation:
    """A fake device at an address of a simulated line."""

    def __init__(self, address: int, device: FakeDevice, *, mute: bool = False) -> None:
        self.address = address
        self.device = device
        self.mute = mute
        self._deframer = Deframer(coded_bytes_max=4200)

    def hear(self, data: bytes, now_s: float) -> bytes:
        """Answer frames for this address."""
        del now_s
        sent = b""
        for frame in self._deframer.feed(data):
            if frame.address != self.address or self.mute:
                continue
            try:
                answer = self.device.answer(parse(frame.message))
            except Malformed:
                continue
            if answer:
                sent += encode_frame(self.address, encode(answer), opening=True)
        return sent
