# SPDX-License-Identifier: Apache-2.0
"""Runs on MicroPython, not on CPython: one command a line on standard input, one answer a line on standard output.

The WebAssembly build has no standard input: there, tests/micropython/wasm.mjs calls answer(). The commands are those
of firmware/tests/core_check.c as far as both agents have them, so that a test can ask both. Arguments are numbers or
hexadecimal; `-` stands for no bytes.
"""

import sys
from binascii import hexlify, unhexlify
from hashlib import sha256

from tinyfleet import ed25519, envelope, frame, rotation
from tinyfleet.errors import Refused
from tinyfleet.sha512 import sha512


def octets(word: str) -> bytes:
    return b"" if word == "-" else unhexlify(word)


def word(data: bytes) -> str:
    return hexlify(data).decode() or "-"


def on_implementation(_arguments: list) -> str:
    return sys.implementation.name


def on_sha256(arguments: list) -> str:
    return word(sha256(b"".join([octets(argument) for argument in arguments])).digest())


def on_sha512(arguments: list) -> str:
    return word(sha512(b"".join([octets(argument) for argument in arguments])))


def on_verify(arguments: list) -> str:
    signature, public = octets(arguments[0]), octets(arguments[1])
    message = b"".join([octets(argument) for argument in arguments[2:]])
    return "0" if ed25519.verify(signature, public, message) else "-16"


def on_sign(arguments: list) -> str:
    seed, public = octets(arguments[0]), octets(arguments[1])
    return word(ed25519.sign(seed, public, b"".join([octets(argument) for argument in arguments[2:]])))


def on_envelope(arguments: list) -> str:
    root, vendor, klass, device = [octets(argument) for argument in arguments[:4]]
    sequence, key, epoch, exp = int(arguments[4]), octets(arguments[5]), int(arguments[6]), int(arguments[7])
    identity = {"root": root, "vendor": vendor, "class": klass, "id": device}
    trust = envelope.Trust(identity, sequence, envelope.Delegation(key, epoch, exp))
    trust.running = octets(arguments[8]) or None
    trust.slot_bytes, trust.now = int(arguments[9]), int(arguments[10])
    try:
        accepted = envelope.verify(octets(arguments[11]), trust)
    except Refused as refused:
        return str(refused.code)
    manifest, held = accepted.manifest, accepted.delegation
    kind = "configure" if manifest.configure else "install"
    said = ["0", kind, str(manifest.sequence), word(manifest.digest), str(manifest.size)]
    said += [word(held.key), str(held.epoch), str(held.exp)]
    if manifest.configure:
        return " ".join(said + [str(number) for pair in manifest.values for number in pair])
    return " ".join(said + ["kept"] + kept(accepted, trust))


def kept(accepted: envelope.Accepted, trust: envelope.Trust) -> list:
    """Verify the envelope as it is kept: at its own sequence, with an earlier one held, and for another digest."""
    manifest, key, found = accepted.manifest, accepted.delegation.key, ["0"]
    for sequence, digest in (
        (manifest.sequence, manifest.digest),
        (manifest.sequence - 1, manifest.digest),
        (manifest.sequence, bytes((manifest.digest[0] ^ 1,)) + manifest.digest[1:]),
    ):
        trust.sequence = sequence
        try:
            envelope.verify_kept(accepted.kept, key, trust, digest, manifest.size)
            found.append("0")
        except Refused as refused:
            found.append(str(refused.code))
    return found


def on_rotation(arguments: list) -> str:
    root, vendor = octets(arguments[0]), octets(arguments[1])
    try:
        key, number, held = rotation.verify(octets(arguments[3]), octets(arguments[4]), root, vendor, int(arguments[2]))
    except Refused as refused:
        return str(refused.code)
    said = ["0", word(key), str(number)]
    return " ".join(said + [word(held.key), str(held.epoch), str(held.exp)] if held.epoch else said)


def on_encode(arguments: list) -> str:
    return word(frame.encode(int(arguments[0]), octets(arguments[1])))


def on_push(arguments: list) -> str:
    receiver, line = frame.Receiver(int(arguments[0])), octets(arguments[1])
    found = []
    for at in range(len(line)):
        for address, message, corrected in receiver.push(line[at : at + 1]):
            found += ["corrected" if corrected else "ready", str(address), word(message)]
    return " ".join(found)


COMMANDS = {
    "implementation": on_implementation,
    "sha256": on_sha256,
    "sha512": on_sha512,
    "verify": on_verify,
    "sign": on_sign,
    "envelope": on_envelope,
    "rotation": on_rotation,
    "encode": on_encode,
    "push": on_push,
}


def answer(line: str) -> str:
    command, *arguments = line.split()
    return COMMANDS[command](arguments)


def main() -> None:
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        print(answer(line))


if __name__ == "__main__":
    main()
