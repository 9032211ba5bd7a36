# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/protocol.json and frames.json from the fixed inputs below.

Run it when the protocol changes: `python -m tests.devices.make_vectors`. A test compares the files with the output.
"""

from __future__ import annotations

import json
from pathlib import Path

from reconciler.devices import reports
from reconciler.devices.messages import (
    Attest,
    Block,
    Have,
    Inquire,
    Message,
    Missing,
    Offer,
    PayloadOffer,
    Piece,
    Pull,
    ReportKind,
    RotateRoot,
    SampleSpace,
    Signed,
    Stage,
    TransferResult,
    encode,
)
from reconciler.devices.operation_messages import BuiltinReturned, CallBuiltin, DeviceRequest, ReplyToRequest
from reconciler.devices.reports import Body, encode_body
from reconciler.devices.serial_frame import Deframer, encode_frame
from reconciler.devices.stage_messages import FeedStage, FetchStage, OpenSession, StageOutput, StageState
from reconciler.model import PayloadEncoding, Phase

FOLDER = Path(__file__).parents[1] / "vectors"
COUNTING = bytes(range(256))
DIGEST_A, DIGEST_B = COUNTING[:16], COUNTING[16:32]

MESSAGES: dict[str, Message] = {
    "ask-report": Inquire(ReportKind.REPORT, COUNTING[:8]),
    "ask-parameters": Inquire(ReportKind.PARAMETERS, COUNTING[8:16]),
    "offer-without-payload": Offer(0, COUNTING[:40], None),
    "offer-raw": Offer(23, COUNTING + COUNTING[:19], PayloadOffer(PayloadEncoding.RAW, 55_296, 1024)),
    "offer-patch-heatshrink": Offer(1, COUNTING[:24], PayloadOffer(PayloadEncoding.RESERVED, 1, 16)),
    "offer-most-blocks": Offer(2, COUNTING[:23], PayloadOffer(PayloadEncoding.HEATSHRINK, 65_536, 16)),
    "offer-longest-envelope": Offer(3, COUNTING * 2, None),
    "block-first": Block(1, 0, COUNTING[:64]),
    "block-last": Block(23, 4095, b"\0"),
    "block-of-1024": Block(7, 256, COUNTING * 4),
    "missing": Missing(5),
    "stage": Stage(5),
    "signed": Signed(COUNTING[:100]),
    "signed-longest": Signed(COUNTING * 4),
    "have-nothing": Have(5, 0, b""),
    "have-some": Have(5, 3, bytes([0b0000_0101, 0, 0x80])),
    "have-all": Have(5, 4096, b""),
    "result-done": TransferResult(5, 0),
    "result-working": TransferResult(None, 1),
    "result-signature": TransferResult(5, -16),
    "result-no-transfer": TransferResult(0, -72),
    "pull": Pull(SampleSpace.ANOMALIES, 0, 600),
    "pull-nothing": Pull(SampleSpace.NORMALS, 0xFFFF_FFFF, 0),
    "attest": Attest(COUNTING[:8], SampleSpace.NORMALS, 64, 16_448),
    "piece-longest": Piece(SampleSpace.ANOMALIES, 32, COUNTING * 2 + COUNTING[:88]),
    "piece-empty": Piece(SampleSpace.NORMALS, 70_000, b""),
    "result-space": TransferResult(None, -79),
    "open": OpenSession(1_790_000_000, DIGEST_A, COUNTING[:32], COUNTING[64:128]),
    "feed": FeedStage(1, 0, COUNTING[:30], DIGEST_A),
    "feed-longest": FeedStage(0xFFFF_FFFF, 65_536, COUNTING * 4, DIGEST_B),
    "fetch": FetchStage(1, 600, 1024),
    "at": StageState(1_790_000_000, 0, 0, DIGEST_A),
    "out": StageOutput(1, 0, COUNTING[:10], DIGEST_B),
    "result-session": TransferResult(None, -95),
    "call": CallBuiltin(1, 255, COUNTING[:10], DIGEST_A),
    "call-longest": CallBuiltin(0xFFFF_FFFF, 1, COUNTING * 2 + COUNTING[:88], DIGEST_B),
    "call-for-a-request": CallBuiltin(2, 0, b"", DIGEST_A),
    "reply-taken": ReplyToRequest(1, 1, b"", DIGEST_A),
    "reply-done": ReplyToRequest(1, 0, COUNTING[:8], DIGEST_A),
    "reply-failed": ReplyToRequest(1, -128, b"", DIGEST_A),
    "request": DeviceRequest(1, 255, COUNTING[:20], DIGEST_B),
    "returned": BuiltinReturned(1, 0, COUNTING[:64], DIGEST_B),
    "returned-failed": BuiltinReturned(0xFFFF_FFFF, -96, b"", DIGEST_B),
    "rotate": RotateRoot(COUNTING[:140], COUNTING[:167]),
    "rotate-without-delegation": RotateRoot(COUNTING[:1], b""),
    "rotate-longest": RotateRoot(COUNTING[:160], COUNTING[:176]),
    "result-root": TransferResult(None, -9),
}

BODIES: dict[str, Body] = {
    "report-of-a-new-device": reports.DeviceReport(
        counter=1 << 20,
        sequence=0,
        epoch=0,
        gateway=bytes(8),
        phase=Phase.IDLE,
        location=reports.ModelLocation.NOWHERE,
        running=None,
        other=None,
        why=reports.DecisionReason.NOTHING_CAN,
        failed=None,
        error=0,
        flags=reports.Flag(0),
        parameters=0,
        boots=1,
        inferences=0,
        anomalies=0,
        faults=0,
        transfer=None,
    ),
    "report-with-everything": reports.DeviceReport(
        counter=(1 << 64) - 1,
        sequence=0xFFFF_FFFF,
        epoch=7,
        gateway=COUNTING[:8],
        phase=Phase.CONFIRMED,
        location=reports.ModelLocation.SLOT_B,
        running=DIGEST_A,
        other=DIGEST_B,
        why=reports.DecisionReason.FELL_BACK_TO_PREVIOUS,
        failed=DIGEST_B,
        error=-87,
        flags=reports.Flag(0xFF),
        parameters=0xDEAD_BEEF,
        boots=65_536,
        inferences=1_000_000,
        anomalies=12,
        faults=1,
        transfer=reports.OpenTransfer(DIGEST_B, PayloadEncoding.HEATSHRINK, 4141, 512, 3),
        root=COUNTING[8:16],
    ),
    "capabilities": reports.CapabilitiesBody(
        type="esp32-vibration",
        class_id=DIGEST_A,
        pack_format=1,
        operators=bytes([0b1001, 1]),
        slot_bytes=65_536,
        arena_bytes=16_384,
        block_bytes=1024,
        block_ms=0,
        updates=True,
        prebaked=(DIGEST_A, DIGEST_B),
        firmware="0.1.0",
    ),
    "capabilities-slow": reports.CapabilitiesBody(
        type="nrf51-vibration",
        class_id=DIGEST_B,
        pack_format=1,
        operators=b"",
        slot_bytes=65_536,
        arena_bytes=0,
        block_bytes=1024,
        block_ms=0,
        updates=True,
        prebaked=(),
        firmware="0.1.0",
        answer_ms=6_500,
    ),
    "summary": reports.Summary(
        DIGEST_A, 1000, 3, 0, 2, reports.Score(100, -5, 127, -(1 << 40), (1, 2, 3, 4, 5, 6, 7, 72))
    ),
    "summary-without-score": reports.Summary(None, 0, 0, 0, 0, None),
    "parameters": reports.ParametersBody(DIGEST_A, {0: -1, 15: 70_000}),
    "samples": reports.SamplesAttestation(
        running=DIGEST_A,
        parameters=0xDEAD_BEEF,
        anomalies=reports.HeldSamples(8_128, 70_016),
        normals=reports.HeldSamples(0, 0xFFFF_FFFF),
        space=SampleSpace.ANOMALIES,
        start=8_192,
        end=24_576,
        digest16=DIGEST_B,
        sample_every=120,
    ),
    "parameters-none": reports.ParametersBody(None, {}),
}

MALFORMED = {
    "empty": "",
    "not-an-array": "00",
    "type-false": "83f40048" + "00" * 8,
    "type-float": "82f9420001",
    "trailing-byte": "82030100",
    "indefinite": "9f0301ff",
    "number-not-shortest": "82031801",
    "tagged": "c1820301",
    "transfer-24": "82031818",
    "nonce-of-7": "830000" + "47" + "00" * 7,
    "what-4": "830004" + "48" + "00" * 8,
    "envelope-empty": "84010040f6",
    "envelope-of-513": "840100" + "590201" + "00" * 513 + "f6",
    "signed-of-1025": "820c" + "590401" + "00" * 1025,
    "block-size-24": "8401014165" + "8300184018" + "18",
    "block-size-0": "8401014165" + "8300184000",
    "block-empty": "8402010040",
    "index-4096": "840201191000" + "4100",
    "held-ends-in-zero": "840d0100420100",
    "result-2": "830e0102",
    "unknown-type": "820701",
    "pull-of-two-fields": "83050000",
    "attest-nonce-of-7": "850647" + "00" * 7 + "000000",
    "piece-of-601": "840f0000" + "590259" + "00" * 601,
    "call-0": "850a000140" + "50" + "00" * 16,
    "call-of-function-256": "850a0119010040" + "50" + "00" * 16,
    "call-of-601": "850a0101590259" + "00" * 601 + "50" + "00" * 16,
    "call-tag-of-15": "850a010140" + "4f" + "00" * 15,
    "reply-code-2": "850b010240" + "50" + "00" * 16,
    "reply-code-below": "850b01388040" + "50" + "00" * 16,
    "request-0": "8512010040" + "50" + "00" * 16,
    "returned-code-1": "8513010140" + "50" + "00" * 16,
    "rotation-empty": "831818" + "4040",
    "rotation-of-161": "831818" + "58a1" + "00" * 161 + "40",
    "delegation-of-177": "831818" + "4100" + "58b1" + "00" * 177,
    "text-for-bytes": "830000" + "68" + "61" * 8,
}


def _flipped(frame: bytes, *bits: int) -> bytes:
    damaged = bytearray(frame)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def protocol() -> dict[str, object]:
    """Return the content of protocol.json."""
    return {
        "messages": [
            {"name": name, "bytes": encode(message).hex(), "python": repr(message)}
            for name, message in MESSAGES.items()
        ],
        "bodies": [{"name": name, "bytes": encode_body(body).hex()} for name, body in BODIES.items()],
        "malformed": [{"name": name, "bytes": data} for name, data in MALFORMED.items()],
    }


def frames() -> dict[str, object]:
    """Return the content of frames.json: `encode` is exact, `decode` has the frames found in a stream."""
    contents = {
        "one-byte": (1, b"\x01"),
        "zeros": (0, bytes(20)),
        "run-of-249": (7, b"\x11" * 249),
        "run-of-253-and-zero": (7, b"\x11" * 253 + b"\0"),
        "run-of-254": (7, b"\x11" * 254),
        "run-of-600": (247, b"\xff" * 600),
        "counting": (200, COUNTING * 2),
        "ask": (5, encode(MESSAGES["ask-report"])),
    }
    ask = encode_frame(5, encode(MESSAGES["ask-report"]), opening=True)
    stage = encode_frame(9, encode(MESSAGES["stage"]))
    streams = {
        "whole": ask,
        "two-in-a-row": ask + stage,
        "empty-frames": bytes(5) + ask + bytes(3) + stage,
        "noise-before": b"\x55\xaa\x03" + ask,
        "too-short": b"\0\x05\x01\x02\x03\x04\0",
        "code-beyond-the-end": b"\0\x20\x01\x02\0" + stage,
        "flipped-in-message": _flipped(ask, 8 * 6 + 3),
        "flipped-in-address": _flipped(ask, 8 * 2 + 1),
        "flipped-in-crc": _flipped(ask, 8 * (len(ask) - 2) + 5),
        "two-flipped": _flipped(ask, 8 * 6 + 3, 8 * 9 + 1),
        "flipped-code-byte": _flipped(ask, 8 * 1 + 1) + stage,
        "flipped-delimiter": _flipped(ask, 8 * (len(ask) - 1) + 2) + stage + stage,
    }
    return {
        "encode": [
            {
                "name": name,
                "address": address,
                "message": message.hex(),
                "frame": encode_frame(address, message, opening=True).hex(),
            }
            for name, (address, message) in contents.items()
        ],
        "decode": [
            {"name": name, "bytes": stream.hex(), "frames": _received(stream)} for name, stream in streams.items()
        ],
    }


def _received(stream: bytes) -> list[dict[str, object]]:
    return [
        {"address": frame.address, "message": frame.message.hex(), "corrected": frame.corrected}
        for frame in Deframer(coded_bytes_max=1200).feed(stream)
    ]


def main() -> None:
    """Write both files."""
    for name, content in (("protocol", protocol()), ("frames", frames())):
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
