# SPDX-License-Identifier: Apache-2.0
"""The seeds of the fuzzers: the vectors that Python and C share, and complete updates as messages."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import heatshrink2

from reconciler.compiler.payload.patch import make_patch
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.devices.messages import Inquire, Message, Missing, ReportKind, Stage, encode
from reconciler.devices.operation_messages import CallBuiltin
from reconciler.devices.stage_messages import FetchStage, OpenSession
from reconciler.model import PayloadEncoding
from tests.firmware.bench import Bench, Made, make_failing_pack, make_pack
from tests.firmware.learning import FORM, RECIPE, learning_pack
from tests.firmware.orders import NONCE, Delivery
from tests.pipeline.networks import branched

REGION: Final = "region.bin"
_VECTORS: Final = Path(__file__).resolve().parents[2] / "tests" / "vectors"
_INPUTS: Final = 300
STAGE_PACK: Final = CutNetwork(branched()).stage(0, 3, DeviceLimits(arena_bytes=16384)).data
STAGE_INPUT_BYTES: Final = 192


def _vectors(name: str) -> Any:  # noqa: ANN401 - JSON of five shapes
    return json.loads((_VECTORS / f"{name}.json").read_text())


def _frames() -> Iterator[bytes]:
    frames = _vectors("frames")
    yield from (bytes.fromhex(vector["bytes"]) for vector in frames["decode"])
    yield from (bytes.fromhex(vector["frame"]) for vector in frames["encode"])


def _envelopes() -> Iterator[bytes]:
    for vector in _vectors("envelope")["vectors"]:
        envelope = bytes.fromhex(vector["envelope"])
        yield envelope
        # the manifest is at the end, after key 3 and a head of two bytes
        if vector["verdict"] == "OK":
            yield envelope[envelope.rindex(b"\x03\x58") + 3 :]


def _packs() -> Iterator[bytes]:
    yield from (bytes.fromhex(vector["pack"]) for vector in _vectors("pack")["good"])


def _patches() -> Iterator[bytes]:
    for vector in _vectors("patch"):
        source = bytes.fromhex(vector["source"])
        yield len(source).to_bytes(2, "little") + source + bytes.fromhex(vector["patch"])


def _heatshrink() -> Iterator[bytes]:
    yield from (bytes(heatshrink2.compress(pack, window_sz2=8, lookahead_sz2=4)) for pack in _packs())


def _concatenate(messages: list[Message]) -> bytes:
    coded = [encode(message) for message in messages]
    return b"".join(len(message).to_bytes(2, "little") + message for message in coded)


def _all_of(delivery: Delivery) -> list[Message]:
    blocks = [delivery.block(index) for index in range(delivery.blocks)]
    return [delivery.offer, *blocks, Missing(delivery.name), Stage(delivery.name), delivery.offer]


def _deliveries(bench: Bench, made: Made) -> Iterator[Delivery]:
    one, two, failing = make_pack(2, inputs=_INPUTS), make_pack(3, inputs=_INPUTS), make_failing_pack(4, inputs=_INPUTS)
    yield Delivery(bench.install(made, one, 1), one)
    yield Delivery(bench.configure(made, one, 2, {0: 5}))
    yield Delivery(bench.install(made, two, 3), make_patch(two, one), PayloadEncoding.PATCH, block_bytes=64)
    yield Delivery(bench.install(made, failing, 4), failing)
    yield Delivery(bench.install(made, one, 5))
    compressed = bytes(heatshrink2.compress(one, window_sz2=8, lookahead_sz2=4))
    yield Delivery(bench.install(made, one, 6), compressed, PayloadEncoding.HEATSHRINK, block_bytes=64)
    learns = learning_pack(replace(FORM, trees=2, subsample=4), replace(RECIPE, rows=4, every=1, most_anomalous=1000))
    yield Delivery(bench.install(made, learns, 7), learns)
    yield Delivery(bench.configure(made, learns, 8, {1: 1}))


def _messages(bench: Bench, made: Made) -> Iterator[bytes]:
    protocol = _vectors("protocol")
    coded = [bytes.fromhex(vector["bytes"]) for family in ("messages", "malformed") for vector in protocol[family]]
    yield b"".join(len(message).to_bytes(2, "little") + message for message in coded)
    yield _concatenate([Inquire(what, NONCE) for what in ReportKind])
    together: list[Message] = []
    for delivery in _deliveries(bench, made):
        yield _concatenate(_all_of(delivery))
        together += _all_of(delivery)
    yield _concatenate(together)


def _records(*records: tuple[int, bytes]) -> bytes:
    return b"".join(bytes([kind, len(content)]) + content for kind, content in records)


def _stages() -> Iterator[bytes]:
    """Sessions, inputs in pieces, and questions (fuzz_stage.c)."""
    opening = (0, b"\x01" + bytes(range(31)))
    pieces = [(at, min(48, STAGE_INPUT_BYTES - at)) for at in range(0, STAGE_INPUT_BYTES, 48)]
    feeds = [(1, struct.pack("<II", 1, at) + bytes(range(size))) for at, size in pieces]
    fetches = [
        (2, encode(FetchStage(seq, offset, most))) for seq, offset, most in ((1, 0, 600), (1, 9, 1), (2, 0, 600))
    ]
    yield _records(opening, *feeds, (3, b""), *fetches)
    yield _records(opening, *feeds[:2], *fetches, (0, b"\x02"), *feeds, *fetches)
    yield _records(opening, *(each for feed in feeds for each in (feed, feed)), fetches[0], (1, feeds[0][1]))
    yield _records(*((2, encode(question)) for question in (OpenSession(1, bytes(16), bytes(32), bytes(64)),)))


def _operations() -> Iterator[bytes]:
    """Sessions, calls, requests and replies (fuzz_operations.c)."""
    opening = (0, b"\x01" + bytes(range(31)))
    calls = [(1, struct.pack("<IB", seq, function) + data) for seq, function, data in _CALLS]
    replies = [(2, struct.pack("<Ib", 1, code)) for code in (1, 1, 0, -8)]
    ask, polled = (4, b""), (5, b"")
    yield _records(opening, *calls, calls[0], calls[-1], ask, polled, *replies, ask, polled, polled, *calls)
    yield _records(ask, polled, opening, polled, calls[2], replies[0], (0, b"\x02"), *calls, *replies[2:])
    yield _records(
        calls[0], ask, ask, *((3, encode(CallBuiltin(1, function, b"", bytes(16)))) for function in range(3))
    )
    yield _records(opening, (3, encode(OpenSession(3, bytes(16), bytes(32), bytes(64)))), *calls)


_CALLS: Final = ((1, 1, b""), (2, 2, b"\x05"), (3, 3, b""), (4, 0, b""), (5, 99, b""), (6, 2, b"too long"))


def _mqtt() -> Iterator[bytes]:
    """What a broker sends: to a device that connects, messages of both kinds, and refusals."""
    admitted, subscribed = bytes.fromhex("20020000"), bytes.fromhex("9003000101")
    topic = b"\x00\x1btinyfleet/plant/pump-1/down"
    once = b"\x32\x26" + topic + b"\x00\x07" + b"message"
    lost = b"\x30\xa4\x01" + topic + bytes(135)
    yield admitted + subscribed + once + lost + once + bytes.fromhex("40020002 d000")
    yield bytes.fromhex("20020005") + admitted + bytes.fromhex("9003000180") + admitted + subscribed + once * 6


_BENCH: Final = Bench("fuzz")
_MADE: Final = _BENCH.device("pump-1")
SEEDS: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "frames": _frames,
    "messages": lambda: _messages(_BENCH, _MADE),
    "envelope": _envelopes,
    "pack": _packs,
    "patch": _patches,
    "heatshrink": _heatshrink,
    "stage": _stages,
    "operations": _operations,
    "mqtt": _mqtt,
}


def write_seeds(folder: Path) -> None:
    """Write the seeds of all targets, and the provisioned regions for the targets `messages` and `stage`."""
    (folder / REGION).write_bytes(_MADE.region(make_pack(1)))
    (folder / f"{REGION}.stage").write_bytes(_MADE.region(STAGE_PACK))
    for target, seeds in SEEDS.items():
        into = folder / "seeds" / target
        into.mkdir(parents=True, exist_ok=True)
        for seed in seeds():
            (into / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
