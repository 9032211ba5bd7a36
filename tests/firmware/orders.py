# SPDX-License-Identifier: Apache-2.0
"""A simple gateway without faults: takes one device through one update, message by message."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from reconciler.devices.messages import (
    Answer,
    Block,
    Have,
    Inquire,
    Offer,
    PayloadOffer,
    ReportKind,
    RotateRoot,
    Stage,
    TransferResult,
    encode,
    parse_answer,
)
from reconciler.devices.messages import Signed as SignedAnswer
from reconciler.devices.reports import DeviceReport, ParametersBody, parse_body
from reconciler.model import PayloadEncoding
from tests.firmware.bench import Bench, Made, make_failing_pack, make_pack
from tests.firmware.host import Geometry, HostAgent

NONCE = b"12345678"
ROUNDS_MAX = 60
WORKING = 1


PREBAKED, SECOND_PREBAKED = make_pack(1), make_pack(9)
OLD, NEW, THIRD = make_pack(2, inputs=1500), make_pack(3, inputs=1500), make_pack(4, inputs=1500)
FAILING = make_failing_pack(5, inputs=1500)
SMALL = Geometry(erase=512, write=8, provisioned=0x1000, journal=0x1000, marks=0x800, slot=0x2000)


def digest(pack: bytes) -> bytes:
    return hashlib.sha256(pack).digest()


def put(agent: HostAgent, question: Offer | Stage | Inquire | RotateRoot) -> Answer:
    """Ask a question that must be answered. Does not handle restarts."""
    return parse_answer(agent.handle(encode(question)))


def report(agent: HostAgent, made: Made) -> DeviceReport:
    answer = put(agent, Inquire(ReportKind.REPORT, NONCE))
    assert isinstance(answer, SignedAnswer)
    body = parse_body(made.open_signed(answer.cose, NONCE))
    assert isinstance(body, DeviceReport)
    return body


def parameters(agent: HostAgent, made: Made) -> dict[int, int]:
    answer = put(agent, Inquire(ReportKind.PARAMETERS, NONCE))
    assert isinstance(answer, SignedAnswer)
    body = parse_body(made.open_signed(answer.cose, NONCE))
    assert isinstance(body, ParametersBody)
    return dict(body.values)


@dataclass(frozen=True)
class Delivery:
    """One envelope, with the payload that the device may need."""

    envelope: bytes
    payload: bytes = b""
    encoding: PayloadEncoding = PayloadEncoding.RAW
    block_bytes: int = 128
    name: int = 3

    @property
    def offer(self) -> Offer:
        shape = PayloadOffer(self.encoding, len(self.payload), self.block_bytes) if self.payload else None
        return Offer(self.name, self.envelope, shape)

    @property
    def blocks(self) -> int:
        return -(-len(self.payload) // self.block_bytes)

    def block(self, index: int) -> Block:
        return Block(self.name, index, self.payload[index * self.block_bytes : (index + 1) * self.block_bytes])

    def missing(self, have: Have) -> list[int]:
        """Which blocks the device is missing."""
        held = {
            have.first + 1 + at * 8 + bit for at, byte in enumerate(have.held) for bit in range(8) if byte >> bit & 1
        }
        return [index for index in range(have.first, self.blocks) if index not in held]

    def send(self, agent: HostAgent, index: int, *, corrected: bool = False) -> None:
        assert agent.handle(encode(self.block(index)), corrected=corrected) == b""


def install(bench: Bench, made: Made, pack: bytes, sequence: int) -> Delivery:
    """Install a pack, sent raw."""
    return Delivery(bench.install(made, pack, sequence), pack)


@dataclass(frozen=True)
class Outcome:
    """The outcome: the code of the result, and how many blocks were sent."""

    code: int
    blocks_sent: int


def deliver(agent: HostAgent, delivery: Delivery) -> Outcome:
    """Run an update to its result; the device restarts in between on request."""
    sent = 0
    question: Offer | Stage = delivery.offer
    answer = put(agent, question)
    for _ in range(ROUNDS_MAX):
        if isinstance(answer, TransferResult) and answer.code != WORKING:
            return Outcome(answer.code, sent)
        if isinstance(answer, Have):
            for index in delivery.missing(answer):
                delivery.send(agent, index)
                sent += 1
            question = Stage(delivery.name)
        else:
            agent.settle()
        answer = put(agent, question)
    raise AssertionError(f"no end: {answer}")


def stage(agent: HostAgent, delivery: Delivery) -> None:
    """Run an update until the device requests the restart into the trial."""
    answer = put(agent, delivery.offer)
    assert isinstance(answer, Have)
    for index in range(delivery.blocks):
        delivery.send(agent, index)
    assert put(agent, Stage(delivery.name)) == TransferResult(delivery.name, WORKING)
    while not agent.wants_reset:
        agent.poll()


def begin_trial(agent: HostAgent, delivery: Delivery) -> None:
    """Run an update up to the start of the trial, without a step of the trial itself."""
    stage(agent, delivery)
    agent.boot()
