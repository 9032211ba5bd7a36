# SPDX-License-Identifier: Apache-2.0
"""Signed bodies: what a device says about itself (docs/specs/protocol.md section 2, docs/specs/report.md)."""

from binascii import crc32

from tinyfleet import cbor, ed25519
from tinyfleet.envelope import key_id
from tinyfleet.package import FORMAT
from tinyfleet.state import PREBAKED, RECEIVING, VERIFIED

REPORT, CAPABILITIES, SUMMARY, PARAMETERS = range(4)
FIRMWARE = "micropython-0.1.0"
BLOCK_MAX = 1024
_SIGNED = 12
_COUNTER_SHIFT = 20
_BINS = 8
_BITS_PER_BIN = 4
_ANSWER_MS_OF_ALL = 2000  # a gateway allows as much unless the capabilities say more
_CONTEXT = b"tinyfleet/report/1"


class Scores:
    """Counts of inferences, and of their scores since start."""

    def __init__(self) -> None:
        self.inferences = self.anomalies = self.faults = self.reports = 0
        self.least = self.most = self.sum = 0
        self.histogram = [0] * _BINS
        self.count = 0

    def add(self, decision: int, score: int) -> None:
        """Count one inference."""
        self.inferences += 1
        self.anomalies += decision != 0
        self.least = score if self.count == 0 else min(self.least, score)
        self.most = score if self.count == 0 else max(self.most, score)
        self.sum += score
        self.count += 1
        bits, magnitude = 0, abs(score)
        while magnitude:
            bits += 1
            magnitude >>= 1
        self.histogram[min(bits // _BITS_PER_BIN, _BINS - 1)] += 1


def _digest16(digest: "bytes | None") -> bytes:
    return cbor.octets(digest[:16]) if digest else cbor.NULL


def _numbers(*values: int) -> "list[bytes]":
    return [cbor.number(value) for value in values]


def _report(agent: object) -> bytes:
    state, scores = agent.state, agent.scores
    kid = key_id(state.gateway) if state.epoch else bytes(8)
    place = 1 if agent.running.place >= PREBAKED else agent.running.place
    transfer = cbor.NULL
    if state.phase == RECEIVING:
        shape = _numbers(state.encoding, state.payload_bytes, state.block_bytes, agent.transfer.first_missing())
        transfer = cbor.array(_digest16(state.slot(state.target).digest), *shape)
    parameters = crc32(cbor.mapping(agent.parameters_in_force())) if agent.parameters_in_force() else 0
    return cbor.array(
        *_numbers(REPORT, (state.boots << _COUNTER_SHIFT) + scores.reports, state.sequence, state.epoch),
        cbor.octets(kid),
        *_numbers(state.phase, place),
        _digest16(agent.running_digest()),
        _digest16(_other(agent)),
        cbor.number(agent.running.why),
        _digest16(state.failed),
        *_numbers(state.error, state.flags | agent.flags, parameters),
        *_numbers(state.boots, scores.inferences, scores.anomalies, scores.faults),
        transfer,
        cbor.octets(key_id(agent.identity["root"])),
    )


def _other(agent: object) -> "bytes | None":
    """Return the digest of the verified package in a slot that does not run."""
    for number, slot in enumerate(agent.state.slots):
        if slot.status >= VERIFIED and number + 2 != agent.running.place:
            return slot.digest
    return None


def _capabilities(agent: object) -> bytes:
    identity = agent.identity
    bits = 0
    for operator in identity["operators"]:
        bits |= 1 << operator
    operators = bits.to_bytes(4, "little").rstrip(b"\0")
    items = [cbor.number(CAPABILITIES), cbor.text(identity["type"]), cbor.octets(identity["class"])]
    items += [cbor.number(FORMAT), cbor.octets(operators)]
    items += _numbers(identity["slot_bytes"], identity["arena_bytes"], BLOCK_MAX, 0)
    items.append(cbor.TRUE if identity["slot_bytes"] else cbor.FALSE)
    items.append(cbor.array(*[_digest16(package["digest"]) for package in identity["prebaked"]]))
    items.append(cbor.text(FIRMWARE))
    if agent.answer_ms > _ANSWER_MS_OF_ALL:
        items.append(cbor.number(agent.answer_ms))
    return cbor.array(*items)


def _summary(agent: object) -> bytes:
    scores, found = agent.scores, cbor.NULL
    if scores.count:
        histogram = cbor.array(*_numbers(*scores.histogram))
        found = cbor.array(*_numbers(scores.count, scores.least, scores.most, scores.sum), histogram)
    counts = _numbers(scores.inferences, scores.anomalies, scores.faults, agent.state.boots)
    return cbor.array(cbor.number(SUMMARY), _digest16(agent.running_digest()), *counts, found)


def _parameters(agent: object) -> bytes:
    values = cbor.mapping(agent.parameters_in_force())
    return cbor.array(cbor.number(PARAMETERS), _digest16(agent.running_digest()), values)


_BODIES = (_report, _capabilities, _summary, _parameters)


def signed(agent: object, what: int, nonce: bytes) -> bytes:
    """Return the message `signed` around one of the bodies; an unsolicited one has an empty nonce."""
    agent.scores.reports += 1
    identity = agent.identity
    body = cbor.octets(_BODIES[what](agent))
    protected = cbor.octets(b"\xa2\x01\x32\x04" + cbor.octets(key_id(identity["public"])))
    external = cbor.array(cbor.octets(_CONTEXT), cbor.octets(identity["id"]), cbor.octets(nonce))
    covered = b"\x84\x6aSignature1" + protected + cbor.octets(external) + body
    signature = ed25519.sign(identity["seed"], identity["public"], covered)
    cose = b"\xd2\x84" + protected + b"\xa0" + body + cbor.octets(signature)
    return cbor.array(cbor.number(_SIGNED), cbor.octets(cose))
