# SPDX-License-Identifier: Apache-2.0
"""The core in C against the vectors that it shares with Python, under the sanitizers."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heatshrink2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.poly1305 import Poly1305

from signing.session import x25519_public_key
from signing.verification_error import VerificationCode
from tests.firmware.conftest import build
from tests.firmware.core_process import CoreProcess

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
SIGNATURE = -16
STREAM = -81
RECEIVER_BYTES = 1157  # messages of 1,152 bytes, address and CRC


def load(name: str) -> Any:  # noqa: ANN401 - whatever the file holds
    return json.loads((VECTORS / f"{name}.json").read_text())


@pytest.fixture(scope="module", params=["monocypher", "small"])
def curve(request: pytest.FixtureRequest) -> Iterator[CoreProcess]:
    """The core with either of the two curves."""
    process = CoreProcess(build("host-asan") / f"core-check-{request.param}")
    yield process
    process.close()


@pytest.fixture(scope="module")
def core() -> Iterator[CoreProcess]:
    process = CoreProcess(build("host-asan") / "core-check-small")
    yield process
    process.close()


# ---------------------------------------------------------------- cryptography

STANDARDS = load("cryptography")


@pytest.mark.parametrize("vector", STANDARDS["hashes"], ids=lambda vector: vector["message"] or "empty")
def test_hashes_of_the_standard(core: CoreProcess, vector: dict[str, str]) -> None:
    message = bytes.fromhex(vector["message"])
    assert core.ask("sha256", message) == vector["sha256"]
    assert core.ask("sha512", message) == vector["sha512"]


def test_hashes_of_every_length_in_any_pieces(core: CoreProcess) -> None:
    source = random.Random(1)
    for length in range(1, 300):
        message = source.randbytes(length)
        cut = source.randrange(1, length + 1)
        pieces = [piece for piece in (message[:cut], message[cut:]) if piece]
        assert core.ask("sha256", *pieces) == hashlib.sha256(message).hexdigest()
        assert core.ask("sha512", *pieces) == hashlib.sha512(message).hexdigest()


@pytest.mark.parametrize("vector", STANDARDS["ed25519"], ids=("1", "2", "3"))
def test_ed25519_of_the_standard(curve: CoreProcess, vector: dict[str, str]) -> None:
    seed, public, message, signature = (
        bytes.fromhex(vector[name]) for name in ("seed", "public", "message", "signature")
    )
    assert curve.ask("sign", seed, public, message) == signature.hex()
    assert curve.ask("verify", signature, public, message) == "0"


def test_signs_like_cryptography_and_refuses_every_flipped_bit(curve: CoreProcess) -> None:
    source = random.Random(2)
    key = Ed25519PrivateKey.from_private_bytes(source.randbytes(32))
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    message = source.randbytes(77)
    signature = key.sign(message)
    assert curve.ask("sign", seed, public, message[:40], message[40:]) == signature.hex()
    for bit in range(0, 8 * len(signature), 7):
        damaged = bytearray(signature)
        damaged[bit // 8] ^= 1 << bit % 8
        assert curve.ask("verify", bytes(damaged), public, message) == str(SIGNATURE)
    # the order of the group added to s: the same point, another signature; RFC 8032 refuses it
    order = 2**252 + 27742317777372353535851937790883648493
    malleable = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert curve.ask("verify", malleable, public, message) == str(SIGNATURE)


def test_both_curves_sign_and_verify_what_cryptography_does(curve: CoreProcess) -> None:
    source = random.Random(6)
    for _ in range(60):
        key = Ed25519PrivateKey.from_private_bytes(source.randbytes(32))
        seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
        message = source.randbytes(source.randrange(1, 90))
        assert curve.ask("sign", seed, public, message) == key.sign(message).hex()
        assert curve.ask("verify", key.sign(message), public, message) == "0"
        assert curve.ask("verify", key.sign(message), public, message + b"x") == str(SIGNATURE)


@pytest.mark.parametrize("key", ["00" * 32, "02" + "00" * 31, "ec" + "ff" * 30 + "7f", "ff" * 32])
def test_keys_that_are_no_points_or_of_small_order_verify_nothing(curve: CoreProcess, key: str) -> None:
    source = random.Random(7)
    for _ in range(8):
        signature = source.randbytes(63) + b"\0"
        assert curve.ask("verify", signature, bytes.fromhex(key), source.randbytes(20)) == str(SIGNATURE)


@pytest.mark.parametrize("vector", STANDARDS["x25519"], ids=("1", "2"))
def test_x25519_of_the_standard(curve: CoreProcess, vector: dict[str, Any]) -> None:
    """The small curve refuses a peer that is not on the curve: no key generator makes one."""
    shared = curve.ask("x25519", bytes.fromhex(vector["scalar"]), bytes.fromhex(vector["peer"]))
    assert shared == vector["shared"] or (not vector["on_curve"] and shared == "00" * 32)


def test_both_curves_agree_with_cryptography(curve: CoreProcess) -> None:
    source = random.Random(8)
    for _ in range(60):
        device = Ed25519PrivateKey.from_private_bytes(source.randbytes(32))
        peer = X25519PrivateKey.from_private_bytes(source.randbytes(32))
        public = X25519PublicKey.from_public_bytes(x25519_public_key(device.public_key().public_bytes_raw()))
        shared = curve.ask("agree", device.private_bytes_raw(), peer.public_key().public_bytes_raw())
        assert shared == peer.exchange(public).hex()


@pytest.mark.parametrize("peer", ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ed" + "ff" * 30 + "7f"])
def test_no_key_is_agreed_with_a_peer_of_small_order(curve: CoreProcess, peer: str) -> None:
    assert curve.ask("agree", bytes(range(32)), bytes.fromhex(peer)) == str(SIGNATURE)


@pytest.mark.parametrize("vector", STANDARDS["poly1305"], ids=lambda vector: vector["tag"])
def test_poly1305_of_the_standard(core: CoreProcess, vector: dict[str, str]) -> None:
    assert core.ask("poly1305", bytes.fromhex(vector["key"]), bytes.fromhex(vector["message"])) == vector["tag"]


def test_poly1305_of_every_length_like_cryptography(core: CoreProcess) -> None:
    source = random.Random(9)
    for length in range(200):
        key, message = source.randbytes(32), source.choice((source.randbytes(length), b"\xff" * length))
        assert core.ask("poly1305", key, message) == Poly1305.generate_tag(key, message).hex()


# ---------------------------------------------------------------- envelopes

ENVELOPES = load("envelope")


def ask_envelope(core: CoreProcess, state: dict[str, Any], envelope: bytes) -> list[str]:
    held = state["held"] or {"key": "", "epoch": 0, "not_after": None}
    return core.ask(
        "envelope",
        *(bytes.fromhex(state[name]) for name in ("root", "vendor", "class", "device")),
        state["sequence"],
        *(bytes.fromhex(held["key"]), held["epoch"], held["not_after"] or 0),
        bytes.fromhex(state["running"] or ""),
        state["slot_bytes"],
        state["now"] or 0,
        envelope,
    ).split()


@pytest.mark.parametrize("vector", ENVELOPES["vectors"], ids=lambda vector: vector["name"])
def test_envelope(core: CoreProcess, vector: dict[str, Any]) -> None:
    state = ENVELOPES["states"][vector["state"]]
    answer = ask_envelope(core, state, bytes.fromhex(vector["envelope"]))
    assert int(answer[0]) == -VerificationCode[vector["verdict"]]
    if vector["accepted"] is None:
        return
    accepted = vector["accepted"]
    held = accepted["held"] or state["held"]
    assert answer[5:8] == [held["key"], str(held["epoch"]), str(held["not_after"] or 0)]
    assert answer[2:4] == [str(accepted["sequence"]), accepted["digest"]]
    if "values" in accepted:
        assert answer[1] == "configure"
        assert list(map(int, answer[8:])) == [number for pair in accepted["values"] for number in pair]
    else:
        assert (answer[1], answer[4]) == ("install", str(accepted["size"]))
        # kept without delegation it verifies again at boot; not with an older sequence held, nor for another digest
        assert answer[8:] == ["kept", "0", "0", str(-VerificationCode.SEQUENCE), str(-VerificationCode.IMAGE)]


def test_any_flipped_bit_of_an_envelope_is_refused(core: CoreProcess) -> None:
    accepted = next(v for v in ENVELOPES["vectors"] if v["verdict"] == "OK" and v["accepted"]["held"])
    state = ENVELOPES["states"][accepted["state"]]
    envelope = bytes.fromhex(accepted["envelope"])
    for bit in range(8 * len(envelope)):
        damaged = bytearray(envelope)
        damaged[bit // 8] ^= 1 << bit % 8
        assert int(ask_envelope(core, state, bytes(damaged))[0]) < 0, f"bit {bit}"


def test_envelope_with_any_other_number_of_parts_is_refused(core: CoreProcess) -> None:
    """No signature covers the head of the outer map."""
    for name in ("no delegation, held already", "delegation sent again"):
        vector = next(v for v in ENVELOPES["vectors"] if v["name"] == name)
        envelope = bytearray.fromhex(vector["envelope"])
        genuine = envelope[2]
        for head in range(256):
            envelope[2] = head
            error = int(ask_envelope(core, ENVELOPES["states"][vector["state"]], bytes(envelope))[0])
            assert (error == 0) == (head == genuine), hex(head)


def test_envelope_with_bytes_after_its_delegation_is_refused(core: CoreProcess) -> None:
    """No signature covers them."""
    vector = next(v for v in ENVELOPES["vectors"] if v["name"] == "delegation sent again")
    envelope = bytes.fromhex(vector["envelope"])
    chain = envelope[6 : 6 + envelope[5]]
    assert envelope.startswith(bytes([0xD8, 107, 0xA3, 1, 0x58, len(chain)]) + chain)
    longer = envelope[:5] + bytes([len(chain) + 1]) + chain + b"\0" + envelope[6 + len(chain) :]
    answer = ask_envelope(core, ENVELOPES["states"][vector["state"]], longer)
    assert int(answer[0]) == -VerificationCode.TRAILING


def test_envelope_of_a_delegation_without_end_is_accepted_at_any_time(core: CoreProcess) -> None:
    vector = next(v for v in ENVELOPES["vectors"] if v["name"] == "no delegation, held already")
    for now in (0, 1, 2**31, 2**32 - 1):
        state = {**ENVELOPES["states"][vector["state"]], "now": now}
        assert ask_envelope(core, state, bytes.fromhex(vector["envelope"]))[0] == "0"


def test_any_shortened_envelope_is_refused(core: CoreProcess) -> None:
    accepted = next(v for v in ENVELOPES["vectors"] if v["verdict"] == "OK" and v["accepted"]["held"])
    envelope = bytes.fromhex(accepted["envelope"])
    for length in range(len(envelope)):
        assert int(ask_envelope(core, ENVELOPES["states"][accepted["state"]], envelope[:length])[0]) < 0


# ---------------------------------------------------------------- rotations of the root

ROTATIONS = load("rotation")


def ask_rotation(core: CoreProcess, state: dict[str, Any], rotation: bytes, delegation: bytes) -> list[str]:
    keys = bytes.fromhex(state["root"]), bytes.fromhex(state["vendor"])
    return core.ask("rotation", *keys, state["number"], rotation, delegation).split()


@pytest.mark.parametrize("vector", ROTATIONS, ids=lambda vector: vector["name"])
def test_rotation(core: CoreProcess, vector: dict[str, Any]) -> None:
    answer = ask_rotation(core, vector["state"], bytes.fromhex(vector["rotation"]), bytes.fromhex(vector["delegation"]))
    assert int(answer[0]) == -VerificationCode[vector["verdict"]]
    accepted = vector["accepted"]
    if accepted is not None:
        held = accepted["held"]
        said = [held["key"], held["epoch"], held["not_after"] or 0] if held else []
        assert answer[1:] == [str(each) for each in (accepted["root"], accepted["number"], *said)]


def test_any_flipped_bit_of_a_rotation_or_its_delegation_is_refused(core: CoreProcess) -> None:
    vector = ROTATIONS[0]
    signed = bytes.fromhex(vector["rotation"]), bytes.fromhex(vector["delegation"])
    for which in range(2):
        for bit in range(8 * len(signed[which])):
            damaged = [bytearray(part) for part in signed]
            damaged[which][bit // 8] ^= 1 << bit % 8
            error = int(ask_rotation(core, vector["state"], bytes(damaged[0]), bytes(damaged[1]))[0])
            assert error < 0, f"bit {bit} of part {which}"


# ---------------------------------------------------------------- frames

FRAMES = load("frames")


@pytest.mark.parametrize("vector", FRAMES["encode"], ids=lambda vector: vector["name"])
def test_frame_to_the_line(core: CoreProcess, vector: dict[str, Any]) -> None:
    frame, message = bytes.fromhex(vector["frame"]), bytes.fromhex(vector["message"])
    assert core.ask("encode", vector["address"], message, len(frame)) == frame.hex()
    assert core.ask("encode", vector["address"], message, len(frame) - 1) == ""


def frames_of(core: CoreProcess, line: bytes, capacity: int = RECEIVER_BYTES) -> list[tuple[str, int, str]]:
    words = iter(core.ask("push", capacity, line).split())
    found = [(word, int(next(words)), next(words).rstrip("-")) for word in words if word != "bad"]
    return [(event, address, message) for event, address, message in found]


@pytest.mark.parametrize("vector", FRAMES["decode"], ids=lambda vector: vector["name"])
def test_frames_from_the_line(core: CoreProcess, vector: dict[str, Any]) -> None:
    wanted = [
        ("corrected" if frame["corrected"] else "ready", frame["address"], frame["message"])
        for frame in vector["frames"]
    ]
    assert frames_of(core, bytes.fromhex(vector["bytes"])) == wanted


def test_a_frame_round_trips_and_any_corrected_bit_is_reported(core: CoreProcess) -> None:
    source = random.Random(3)
    for length in (1, 2, 3, 60, 253, 254, 255, 256, 600):
        message = bytes(source.choice((0, 0, 1, 255, 77)) for _ in range(length))
        line = bytes.fromhex(core.ask("encode", 9, message, length + 20))
        assert frames_of(core, line) == [("ready", 9, message.hex())]
        for _ in range(60):
            bit = source.randrange(8, 8 * len(line) - 8)
            damaged = bytearray(line)
            damaged[bit // 8] ^= 1 << bit % 8
            for event, address, got in frames_of(core, bytes(damaged)):
                assert (event, address, got) == ("corrected", 9, message.hex())


def test_two_flipped_bits_are_never_repaired_as_one(core: CoreProcess) -> None:
    source = random.Random(4)
    message = bytes(source.randrange(1, 255) for _ in range(200))
    line = bytes.fromhex(core.ask("encode", 9, message, 300))
    for _ in range(400):
        damaged = bytearray(line)
        for bit in source.sample(range(8, 8 * len(line) - 8), 2):
            damaged[bit // 8] ^= 1 << bit % 8
        # both may hit the CRC and the data, but what comes out as a frame is the message
        assert all(frame[1:] == (9, message.hex()) for frame in frames_of(core, bytes(damaged)))


def test_a_frame_longer_than_the_buffer_is_dropped_and_the_next_one_read(core: CoreProcess) -> None:
    long, short = (bytes.fromhex(core.ask("encode", 1, bytes(range(1, n)), 300)) for n in (200, 20))
    assert frames_of(core, long + short, capacity=30) == [("ready", 1, bytes(range(1, 20)).hex())]


# ---------------------------------------------------------------- payloads


@pytest.mark.parametrize("vector", load("patch"), ids=lambda vector: vector["name"])
def test_patch(core: CoreProcess, vector: dict[str, Any]) -> None:
    source, patch = bytes.fromhex(vector["source"]), bytes.fromhex(vector["patch"])
    error, *result = core.ask("patch", vector["length"], source, patch).split()
    if vector["result"] is None:
        assert int(error) < 0
    else:
        assert (error, "".join(result)) == ("0", vector["result"])


def test_heatshrink_of_the_library_comes_back(core: CoreProcess) -> None:
    source = random.Random(5)
    for length in (1, 2, 255, 256, 257, 3000):
        for alphabet in (1, 3, 250):
            data = bytes(source.randrange(alphabet) for _ in range(length))
            packed = heatshrink2.compress(data, window_sz2=8, lookahead_sz2=4)
            assert core.ask("heatshrink", length, packed).split() == ["0", data.hex()]


def test_heatshrink_cut_short_is_refused(core: CoreProcess) -> None:
    data = bytes(range(256)) * 2
    packed = heatshrink2.compress(data, window_sz2=8, lookahead_sz2=4)
    for length in range(len(packed) - 1):
        assert core.ask("heatshrink", len(data), packed[:length]).split()[0] == str(STREAM)
