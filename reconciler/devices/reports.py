# SPDX-License-Identifier: Apache-2.0
"""Parses the signed bodies that devices send about themselves (docs/specs/protocol.md section 2).

The caller verifies the signature with `signing` before it parses a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import Final

from reconciler.devices.errors import Malformed
from reconciler.devices.messages import BLOCK_BYTES_MAX, BLOCKS_MAX, SampleSpace
from reconciler.devices.strict_cbor import UINT64_END, dump, integer, items, load, octets, text, truth, uint
from reconciler.model import SHORT_DIGEST_BYTES, LearningProgress, LearningStage, PayloadEncoding, Phase

TEXT_BYTES_MAX = 31
PREBAKED_MAX = 8
HISTOGRAM_BINS = 8
SHARED_MAX = 1024  # keys, digests and capabilities that are kept once for all devices
ANSWER_MS, ANSWER_MS_MAX = 2_000, 60_000  # what every gateway allows, and the longest that a device may ask for

PHASES: Final = (Phase.IDLE, Phase.RECEIVING, Phase.STAGED, Phase.TRIAL, Phase.CONFIRMED)  # by number


class ModelLocation(IntEnum):
    """Where the running model is stored."""

    NOWHERE = 0
    PREBAKED = 1
    SLOT_A = 2
    SLOT_B = 3


class DecisionReason(IntEnum):
    """Why this model runs."""

    NOTHING_CAN = 0
    CONFIRMED = 1
    ON_TRIAL = 2
    FELL_BACK_TO_PREVIOUS = 3
    FELL_BACK_TO_PREBAKED = 4
    PREBAKED_REQUESTED = 5


class Flag(IntFlag):
    """What went wrong on the device since its last report."""

    JOURNAL_REPAIRED = 1 << 0
    SLOT_BAD_AT_BOOT = 1 << 1
    GOLDEN_VECTORS_FAILED = 1 << 2
    TRIAL_ENDED_BY_RESET = 1 << 3
    INFERENCE_FAULT = 1 << 4
    MALFORMED_MESSAGES = 1 << 5
    ENVELOPE_REFUSED = 1 << 6
    SENSOR_INPUT_BAD = 1 << 7


@dataclass(frozen=True, slots=True)
class OpenTransfer:
    """A transfer that the device can resume at block `first`."""

    digest16: bytes
    encoding: PayloadEncoding
    payload_bytes: int
    block_bytes: int
    first: int


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """The state of the device's update state machine, and its counters."""

    counter: int
    sequence: int
    epoch: int
    gateway: bytes
    phase: Phase
    location: ModelLocation
    running: bytes | None
    other: bytes | None
    why: DecisionReason
    failed: bytes | None
    error: int
    flags: Flag
    parameters: int  # CRC-32 of their encoding; 0: none set
    boots: int
    inferences: int
    anomalies: int
    faults: int
    transfer: OpenTransfer | None
    root: bytes | None = None  # key id of the root in force; None: the agent knows no rotation


@dataclass(frozen=True, slots=True)
class CapabilitiesBody:
    """What the device can hold and run."""

    type: str
    class_id: bytes
    pack_format: int
    operators: bytes  # bit i, least significant first: operator number i of docs/specs/pack.md
    slot_bytes: int
    arena_bytes: int
    block_bytes: int
    block_ms: int
    updates: bool
    prebaked: tuple[bytes, ...]
    firmware: str
    answer_ms: int = ANSWER_MS  # the longest time to an answer


@dataclass(frozen=True, slots=True)
class Score:
    """The distribution of the scores of sampled inferences."""

    count: int
    minimum: int
    maximum: int
    total: int
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Counters and sampled scores of the running model."""

    running: bytes | None
    inferences: int
    anomalies: int
    faults: int
    resets: int
    score: Score | None


@dataclass(frozen=True, slots=True)
class ParametersBody:
    """The active parameters, and the pack that they apply to."""

    digest16: bytes | None
    values: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeldSamples:
    """The offsets that a log of samples has."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class SamplesAttestation:
    """What the device holds of its samples, and the digest of the range that was asked about."""

    running: bytes | None
    parameters: int  # CRC-32 of their encoding; 0: none set
    anomalies: HeldSamples
    normals: HeldSamples
    space: SampleSpace
    start: int
    end: int
    digest16: bytes
    sample_every: int  # one in this many normal windows is kept; 0: none
    learning: LearningProgress | None = None  # None: its firmware does not learn


Body = DeviceReport | CapabilitiesBody | Summary | ParametersBody | SamplesAttestation


def parse_body(data: bytes) -> Body:
    """Parse a body, or raise `Malformed`."""
    kind, *fields = items(load(data), "a body", 3, 7, 12, 13, 17, 19, 20)
    match uint(kind, "kind of body"):
        case 0:
            return _report(fields)
        case 1:
            return _capabilities(fields)
        case 2:
            return _summary(fields)
        case 3:
            return _parameters(fields)
        case 4:
            return _attestation(fields)
        case other:
            raise Malformed(f"unknown kind of body {other}")


def encode_body(body: Body) -> bytes:
    """Encode a body, as simulated devices of the tests do."""
    match body:
        case DeviceReport():
            return dump(_report_fields(body))
        case CapabilitiesBody() as c:
            limits = [c.slot_bytes, c.arena_bytes, c.block_bytes, c.block_ms, c.updates]
            slow = [c.answer_ms] if c.answer_ms > ANSWER_MS else []
            held = [list(c.prebaked), c.firmware]
            return dump([1, c.type, c.class_id, c.pack_format, c.operators, *limits, *held, *slow])
        case Summary() as s:
            score = s.score and [
                s.score.count,
                s.score.minimum,
                s.score.maximum,
                s.score.total,
                list(s.score.histogram),
            ]
            return dump([2, s.running, s.inferences, s.anomalies, s.faults, s.resets, score])
        case ParametersBody(digest16, values):
            return dump([3, digest16, dict(values)])
        case SamplesAttestation() as a:
            logs = [a.anomalies.first, a.anomalies.end, a.normals.first, a.normals.end]
            asked = [int(a.space), a.start, a.end, a.digest16]
            own = a.learning
            learned = [int(own.stage), own.rows, own.tree, own.forest_bytes, own.anomalous] if own else []
            return dump([4, a.running, a.parameters, *logs, *asked, a.sample_every, *learned])


def _report_fields(r: DeviceReport) -> list[object]:
    transfer = r.transfer and [
        r.transfer.digest16,
        int(r.transfer.encoding),
        r.transfer.payload_bytes,
        r.transfer.block_bytes,
        r.transfer.first,
    ]
    identity: list[object] = [r.counter, r.sequence, r.epoch, r.gateway]
    state = [PHASES.index(r.phase), int(r.location), r.running, r.other, int(r.why), r.failed, r.error, int(r.flags)]
    root = [] if r.root is None else [r.root]
    return [0, *identity, *state, r.parameters, r.boots, r.inferences, r.anomalies, r.faults, transfer, *root]


def _report(fields: list[object]) -> DeviceReport:
    counter, sequence, epoch, gateway, phase, location, *rest = items(fields, "report", 18, 19)
    running, other, why, failed, error, flags, parameters, boots, inferences, anomalies, faults, transfer, *root = rest
    return DeviceReport(
        counter=uint(counter, "counter", end=UINT64_END),
        sequence=uint(sequence, "sequence"),
        epoch=uint(epoch, "epoch"),
        gateway=_key_id(gateway, "gateway"),
        phase=PHASES[uint(phase, "phase", end=len(PHASES))],
        location=ModelLocation(uint(location, "location", end=len(ModelLocation))),
        running=_digest16(running),
        other=_digest16(other),
        why=DecisionReason(uint(why, "why", end=len(DecisionReason))),
        failed=_digest16(failed),
        error=integer(error, "error"),
        flags=Flag(uint(flags, "flags")),
        parameters=uint(parameters, "parameters"),
        boots=uint(boots, "boots"),
        inferences=uint(inferences, "inferences"),
        anomalies=uint(anomalies, "anomalies"),
        faults=uint(faults, "faults"),
        transfer=None if transfer is None else _open_transfer(transfer),
        root=_key_id(root[0], "root") if root else None,
    )


@lru_cache(maxsize=SHARED_MAX)
def _shared_octets(value: bytes) -> bytes:
    """Return the same object for equal octets, which many devices report."""
    return value


@lru_cache(maxsize=SHARED_MAX)
def _shared_capabilities(value: CapabilitiesBody) -> CapabilitiesBody:
    """Likewise."""
    return value


def _key_id(value: object, name: str) -> bytes:
    return _shared_octets(octets(value, name, min_bytes=8, max_bytes=8))


def _open_transfer(value: object) -> OpenTransfer:
    digest16, encoding, payload_bytes, block_bytes, first = items(value, "transfer", 5)
    return OpenTransfer(
        octets(digest16, "digest16", min_bytes=SHORT_DIGEST_BYTES, max_bytes=SHORT_DIGEST_BYTES),
        PayloadEncoding(uint(encoding, "encoding", end=len(PayloadEncoding))),
        uint(payload_bytes, "payload-bytes"),
        uint(block_bytes, "block-bytes", end=BLOCK_BYTES_MAX + 1),
        uint(first, "first", end=BLOCKS_MAX + 1),
    )


def _capabilities(fields: list[object]) -> CapabilitiesBody:
    kind, class_id, pack_format, operators, *rest = items(fields, "capabilities", 11, 12)
    slot, arena, block, block_ms, updates, prebaked, firmware, *slow = rest
    digests = items(prebaked, "prebaked")
    if len(digests) > PREBAKED_MAX:
        raise Malformed(f"{len(digests)} pre-baked models")
    body = CapabilitiesBody(
        type=text(kind, "type", max_bytes=TEXT_BYTES_MAX),
        class_id=octets(class_id, "class", min_bytes=16, max_bytes=16),
        pack_format=uint(pack_format, "pack-format"),
        operators=octets(operators, "operators", max_bytes=32),
        slot_bytes=uint(slot, "slot-bytes"),
        arena_bytes=uint(arena, "arena-bytes"),
        block_bytes=uint(block, "block-bytes", end=BLOCK_BYTES_MAX + 1),
        block_ms=uint(block_ms, "block-ms"),
        updates=truth(updates, "updates"),
        prebaked=tuple(
            octets(digest, "prebaked", min_bytes=SHORT_DIGEST_BYTES, max_bytes=SHORT_DIGEST_BYTES) for digest in digests
        ),
        firmware=text(firmware, "firmware", max_bytes=TEXT_BYTES_MAX),
        answer_ms=_answer_ms(slow[0]) if slow else ANSWER_MS,
    )
    return _shared_capabilities(body)


def _answer_ms(value: object) -> int:
    answer_ms = uint(value, "answer-ms", end=ANSWER_MS_MAX + 1)
    if answer_ms <= ANSWER_MS:
        raise Malformed(f"answer-ms must be left out unless it is more than {ANSWER_MS}")
    return answer_ms


def _summary(fields: list[object]) -> Summary:
    running, inferences, anomalies, faults, resets, score = items(fields, "summary", 6)
    return Summary(
        _digest16(running),
        uint(inferences, "inferences"),
        uint(anomalies, "anomalies"),
        uint(faults, "faults"),
        uint(resets, "resets"),
        None if score is None else _score(score),
    )


def _score(value: object) -> Score:
    count, minimum, maximum, total, histogram = items(value, "score", 5)
    return Score(
        uint(count, "count"),
        integer(minimum, "min"),
        integer(maximum, "max"),
        integer(total, "sum", bits=64),
        tuple(uint(bar, "histogram") for bar in items(histogram, "histogram", HISTOGRAM_BINS)),
    )


def _parameters(fields: list[object]) -> ParametersBody:
    digest16, values = items(fields, "parameters", 2)
    if type(values) is not dict:
        raise Malformed("parameters must be a map")
    return ParametersBody(
        _digest16(digest16),
        {uint(key, "parameter"): integer(value, "parameter value") for key, value in values.items()},
    )


def _attestation(fields: list[object]) -> SamplesAttestation:
    running, parameters, *rest = items(fields, "samples", 11, 16)
    first_anomaly, end_anomaly, first_normal, end_normal, space, start, end, digest16, sample_every, *learned = rest
    return SamplesAttestation(
        running=_digest16(running),
        parameters=uint(parameters, "parameters"),
        anomalies=HeldSamples(uint(first_anomaly, "first-anomaly"), uint(end_anomaly, "end-anomaly")),
        normals=HeldSamples(uint(first_normal, "first-normal"), uint(end_normal, "end-normal")),
        space=SampleSpace(uint(space, "space", end=len(SampleSpace))),
        start=uint(start, "from"),
        end=uint(end, "to"),
        digest16=octets(digest16, "digest16", min_bytes=SHORT_DIGEST_BYTES, max_bytes=SHORT_DIGEST_BYTES),
        sample_every=uint(sample_every, "sample-every"),
        learning=_learning(learned) if learned else None,
    )


def _learning(fields: list[object]) -> LearningProgress:
    stage, rows, tree, forest_bytes, anomalous = fields
    return LearningProgress(
        stage=LearningStage(uint(stage, "stage", end=len(LearningStage))),
        rows=uint(rows, "rows"),
        tree=uint(tree, "tree"),
        forest_bytes=uint(forest_bytes, "forest-bytes"),
        anomalous=uint(anomalous, "anomalous"),
    )


def _digest16(value: object) -> bytes | None:
    if value is None:
        return None
    return _shared_octets(octets(value, "digest16", min_bytes=SHORT_DIGEST_BYTES, max_bytes=SHORT_DIGEST_BYTES))
