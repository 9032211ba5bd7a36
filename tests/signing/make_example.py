# SPDX-License-Identifier: Apache-2.0
"""Prints a new worked example for docs/specs/envelope.md: `python -m tests.signing.make_example`.

Its keys are generated and then discarded. tests/signing/test_example.py recomputes the example in the specification.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from signing.delegation import Delegation, delegate
from signing.envelope import InstallOrder, make
from signing.identifiers import EngineContract, target
from tests.signing.forgery import Key

FLEET, DEVICE, ENGINE = "plant", "pump-1", EngineContract(1, frozenset({"ADD", "CONV_2D"}))
ORDER = InstallOrder(sequence=1, digest=bytes(range(32)), size=4096)
EPOCH = 1


def annotated(envelope: bytes) -> Iterator[tuple[bytes, str]]:
    """Cut an example into lines of bytes and meaning; it relies on the example's sizes."""
    at = 0
    for size, meaning in LAYOUT:
        yield envelope[at : at + size], meaning
        at += size
    assert at == len(envelope)


LAYOUT = [
    (3, "tag 107, map of 3"),
    (3, "1: delegation, byte string"),
    (4, "[[ byte string"),
    (2, "tag 18, array of 4"),
    (5, "protected: {1: -19, 4:"),
    (9, "    root's key id }"),
    (1, "unprotected {}"),
    (2, "claims, byte string"),
    (4, "{8: {1:"),
    (5, "  {1: 1, -1: 6,"),
    (35, "   -2: gateway's public key }}"),
    (22, " -65537: vendor id"),
    (6, " -65538: epoch 1 }"),
    (66, "signature by the root"),
    (3, "2: authentication, byte string"),
    (1, "array of 2"),
    (4, "digest: [-16,"),
    (34, "    SHA-256 of key 3's value ]"),
    (2, "signature, byte string"),
    (2, "tag 18, array of 4"),
    (5, "protected: {1: -19, 4:"),
    (9, "    gateway's key id }"),
    (2, "unprotected {}, payload nil"),
    (66, "signature by the gateway"),
    (3, "3: manifest, byte string"),
    (3, "{1: version 1,"),
    (2, " 2: sequence number 1,"),
    (3, " 3: common, byte string"),
    (6, "  {2: [[h'00']],"),
    (3, "   4: shared sequence, byte string"),
    (3, "    [20, {"),
    (18, "      1: vendor id"),
    (18, "      2: class id"),
    (3, "      3: image digest, byte string"),
    (36, "         [-16, digest]"),
    (4, "     14: size 4096"),
    (19, "     24: device id }"),
    (7, "     1, 15, 2, 15, 24, 15]}"),
    (5, " 7: validate [3, 15]"),
    (5, " 20: install [3, 15]}"),
]


def main() -> None:
    """Print the block for the specification."""
    root, gateway = Key(), Key()
    device = target(FLEET, DEVICE, ENGINE)
    cwt = delegate(root, Delegation(gateway.public_key, device.vendor, EPOCH))
    envelope = make(gateway, device, ORDER, cwt)
    lines = [f"root     {root.public_key.hex()}", f"gateway  {gateway.public_key.hex()}", ""]
    for part, meaning in annotated(envelope):
        rows = [part[at : at + 18].hex() for at in range(0, len(part), 18)]
        lines += [f"{rows[0]:<38}{meaning}", *rows[1:]]
    sys.stdout.write("\n".join(f"    {line}".rstrip() for line in lines) + "\n")


if __name__ == "__main__":
    main()
