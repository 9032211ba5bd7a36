# SPDX-License-Identifier: Apache-2.0
"""The agent in MicroPython against the vectors of both agents: each answer is that of the agent in C."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signing.verification_error import VerificationCode
from tests.firmware.conftest import build
from tests.firmware.core_process import CoreProcess
from tests.firmware.edwards import holds, other_encodings, torsion
from tests.micropython.interpreter import ON_DEVICE, Interpreter, unix_command, webassembly_command

VECTORS = Path(__file__).parents[1] / "vectors"
CHECK = ON_DEVICE / "vectors.py"
RECEIVER_BYTES = 1157  # messages of 1,152 bytes, address and CRC


class Asked(Protocol):
    """Either agent."""

    def ask(self, command: str, *arguments: bytes | int) -> str: ...


def load(name: str) -> Any:  # noqa: ANN401 - whatever the file holds
    return json.loads((VECTORS / f"{name}.json").read_text())


ENVELOPES, FRAMES, STANDARDS, ROTATIONS = (load(name) for name in ("envelope", "frames", "cryptography", "rotation"))


@pytest.fixture(scope="module", params=["unix", "webassembly"])
def micropython(request: pytest.FixtureRequest) -> Iterator[Interpreter]:
    command = unix_command(CHECK) if request.param == "unix" else webassembly_command(CHECK)
    if command is None:
        pytest.skip("`make micropython-wasm` has not installed the WebAssembly build")
    process = Interpreter(command)
    yield process
    process.close()


@pytest.fixture(scope="module")
def core() -> Iterator[CoreProcess]:
    process = CoreProcess(build("host-asan") / "core-check-small")
    yield process
    process.close()


def test_the_interpreter_is_micropython(micropython: Interpreter) -> None:
    assert micropython.ask("implementation") == "micropython"


@pytest.mark.parametrize("vector", STANDARDS["hashes"], ids=lambda vector: vector["message"] or "empty")
def test_hashes_of_the_standard(micropython: Interpreter, vector: dict[str, str]) -> None:
    message = bytes.fromhex(vector["message"])
    assert micropython.ask("sha256", message) == vector["sha256"]
    assert micropython.ask("sha512", message) == vector["sha512"]


def test_hashes_of_every_length(micropython: Interpreter, core: CoreProcess) -> None:
    source = random.Random(1)
    for length in range(1, 260):
        message = source.randbytes(length)
        assert micropython.ask("sha512", message) == core.ask("sha512", message)


@pytest.mark.parametrize("vector", STANDARDS["ed25519"], ids=("1", "2", "3"))
def test_ed25519_of_the_standard(micropython: Interpreter, vector: dict[str, str]) -> None:
    seed, public, message, signature = (
        bytes.fromhex(vector[name]) for name in ("seed", "public", "message", "signature")
    )
    assert micropython.ask("sign", seed, public, message) == signature.hex()
    assert micropython.ask("verify", signature, public, message) == "0"


def test_signatures_of_others_and_flipped_bits(micropython: Interpreter) -> None:
    source = random.Random(2)
    message, signature, public = b"", b"", b""
    for _ in range(20):
        key = Ed25519PrivateKey.from_private_bytes(source.randbytes(32))
        seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
        message = source.randbytes(source.randrange(1, 200))
        signature = key.sign(message)
        assert micropython.ask("sign", seed, public, message) == signature.hex()
        assert micropython.ask("verify", signature, public, message) == "0"
        damaged = bytearray(signature)
        damaged[source.randrange(64)] ^= 1 << source.randrange(8)
        assert micropython.ask("verify", bytes(damaged), public, message) == "-16"
    order = 2**252 + 27742317777372353535851937790883648493
    malleable = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert micropython.ask("verify", malleable, public, message) == "-16"


def test_points_of_small_order_and_forbidden_encodings_count_as_in_c(
    micropython: Interpreter, core: CoreProcess
) -> None:
    """Signatures that no honest signer makes: s is 0, and R and the key have a small order."""
    source = random.Random(3)
    small = torsion()
    keys = [point.encode() for point in small] + [data for point in small for data in other_encodings(point)]
    taken = 0
    for key in keys:
        for r in keys[:6]:
            message = source.randbytes(9)
            verdict = core.ask("verify", r + bytes(32), key, message)
            assert micropython.ask("verify", r + bytes(32), key, message) == verdict, (key.hex(), r.hex())
            assert (verdict == "0") == holds(r + bytes(32), key, message)
            taken += verdict == "0"
    assert 0 < taken < 6 * len(keys)


def ask_envelope(agent: Asked, state: dict[str, Any], envelope: bytes) -> str:
    held = state["held"] or {"key": "", "epoch": 0, "not_after": None}
    return agent.ask(
        "envelope",
        *(bytes.fromhex(state[name]) for name in ("root", "vendor", "class", "device")),
        state["sequence"],
        *(bytes.fromhex(held["key"]), held["epoch"], held["not_after"] or 0),
        bytes.fromhex(state["running"] or ""),
        state["slot_bytes"],
        state["now"] or 0,
        envelope,
    )


def test_each_envelope_gets_the_answer_of_the_agent_in_c(micropython: Interpreter, core: CoreProcess) -> None:
    seen = set()
    for vector in ENVELOPES["vectors"]:
        state, envelope = ENVELOPES["states"][vector["state"]], bytes.fromhex(vector["envelope"])
        answer = ask_envelope(micropython, state, envelope)
        assert answer == ask_envelope(core, state, envelope), vector["name"]
        assert int(answer.split()[0]) == -VerificationCode[vector["verdict"]], vector["name"]
        seen.add(vector["verdict"])
    assert seen == {code.name for code in VerificationCode} - {"IMAGE", "AUTHENTICATION"}


def damaged_envelopes() -> Iterator[bytes]:
    accepted = next(v for v in ENVELOPES["vectors"] if v["verdict"] == "OK" and v["accepted"]["held"])
    envelope = bytes.fromhex(accepted["envelope"])
    for bit in range(0, 8 * len(envelope), 11):
        damaged = bytearray(envelope)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)
    yield from (envelope[:length] for length in range(0, len(envelope), 5))
    yield from (envelope + bytes((byte,)) for byte in (0, 0xA0, 0xFF))


def test_damaged_envelopes_get_the_same_error_number(micropython: Interpreter, core: CoreProcess) -> None:
    state = ENVELOPES["states"]["new"]
    for envelope in damaged_envelopes():
        answer = ask_envelope(micropython, state, envelope)
        assert int(answer) < 0
        assert answer == ask_envelope(core, state, envelope), envelope.hex()


def test_each_rotation_gets_the_answer_of_the_agent_in_c(micropython: Interpreter, core: CoreProcess) -> None:
    whole = [vector for vector in ROTATIONS if not vector["name"].startswith("payload ")]
    damaged = [vector for vector in ROTATIONS if vector["name"].startswith("payload ")]
    for vector in (*whole, *damaged[::9]):  # each takes the check of a signature
        state = vector["state"]
        parts = (bytes.fromhex(vector[name]) for name in ("rotation", "delegation"))
        keys = bytes.fromhex(state["root"]), bytes.fromhex(state["vendor"])
        question = ("rotation", *keys, state["number"], *parts)
        answer = micropython.ask(*question)
        assert answer == core.ask(*question), vector["name"]
        assert int(answer.split()[0]) == -VerificationCode[vector["verdict"]], vector["name"]


@pytest.mark.parametrize("vector", FRAMES["encode"], ids=lambda vector: vector["name"])
def test_frame_to_the_line(micropython: Interpreter, vector: dict[str, Any]) -> None:
    assert micropython.ask("encode", vector["address"], bytes.fromhex(vector["message"])) == vector["frame"]


@pytest.mark.parametrize("vector", FRAMES["decode"], ids=lambda vector: vector["name"])
def test_frames_from_the_line(micropython: Interpreter, vector: dict[str, Any]) -> None:
    wanted = [
        f"{'corrected' if frame['corrected'] else 'ready'} {frame['address']} {frame['message'] or '-'}"
        for frame in vector["frames"]
    ]
    assert micropython.ask("push", RECEIVER_BYTES, bytes.fromhex(vector["bytes"])) == " ".join(wanted)


def test_noise_is_read_as_in_c(micropython: Interpreter, core: CoreProcess) -> None:
    source = random.Random(4)
    for length in (1, 2, 30, 253, 254, 255, 256, 600):
        message = bytes(source.choice((0, 0, 1, 255, 77)) for _ in range(length))
        line = bytearray.fromhex(core.ask("encode", 9, message, length + 20))
        assert micropython.ask("encode", 9, message) == bytes(line).hex()
        for flips in (1, 1, 2, 3):
            noisy = bytearray(line)
            for bit in source.sample(range(8 * len(line)), flips):
                noisy[bit // 8] ^= 1 << bit % 8
            found = core.ask("push", RECEIVER_BYTES, bytes(noisy)).split()  # a message ends with a dash there
            kept = " ".join(word.rstrip("-") for word in found if word != "bad")
            assert micropython.ask("push", RECEIVER_BYTES, bytes(noisy)) == kept
