# SPDX-License-Identifier: Apache-2.0
"""The worked example of the specification is recomputed to the byte, and verified."""

from __future__ import annotations

import re
from pathlib import Path

from signing.delegation import Delegation, delegate
from signing.envelope import make
from signing.identifiers import target
from signing.verify import DeviceState, verify
from tests.signing.make_example import DEVICE, ENGINE, EPOCH, FLEET, LAYOUT, ORDER, annotated

SPECIFICATION = Path(__file__).parents[2] / "docs" / "specs" / "envelope.md"


class Replayed:
    """Returns the signatures of the specification, because the private keys were discarded."""

    def __init__(self, public_key: bytes, signature: bytes) -> None:
        self.public_key = public_key
        self._signature = signature

    def sign(self, message: bytes) -> bytes:
        assert message.startswith(b"\x84\x6aSignature1\x4d")
        return self._signature


def _example() -> tuple[bytes, bytes, bytes]:
    block = SPECIFICATION.read_text(encoding="utf-8").split("## 8. Worked example")[1]
    root, gateway = (
        bytes.fromhex(key) for key in re.findall(r"^    (?:root|gateway) +([0-9a-f]{64})$", block, re.MULTILINE)
    )
    octets = re.findall(r"^    ([0-9a-f]{2,36})(?:  .*)?$", block, re.MULTILINE)
    return root, gateway, bytes.fromhex("".join(octets))


def test_the_example_is_recomputed() -> None:
    root, gateway, envelope = _example()
    signatures = [part[2:] for part, meaning in annotated(envelope) if meaning.startswith("signature by")]
    device = target(FLEET, DEVICE, ENGINE)
    cwt = delegate(Replayed(root, signatures[0]), Delegation(gateway, device.vendor, EPOCH))
    assert make(Replayed(gateway, signatures[1]), device, ORDER, cwt) == envelope


def test_the_example_is_accepted() -> None:
    root, gateway, envelope = _example()
    accepted = verify(envelope, DeviceState(root, target(FLEET, DEVICE, ENGINE), slot_bytes=4096))
    assert accepted.order == ORDER
    assert accepted.delegation.gateway_key == gateway


def test_each_line_of_the_example_has_a_comment() -> None:
    text = SPECIFICATION.read_text(encoding="utf-8")
    assert [meaning for _, meaning in LAYOUT if meaning not in text] == []
