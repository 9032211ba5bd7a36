# SPDX-License-Identifier: Apache-2.0
"""Every head of an envelope, damaged in every way, is rejected with the code that the specification requires."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from signing.delegation import Delegation
from signing.identifiers import EnvelopeTarget
from signing.verification_error import VerificationError
from signing.verify import DeviceState, verify
from tests.signing.forgery import Forgery, damaged_forms, encode
from tests.signing.parties import CLASS, DEVICE, DIGEST, VENDOR, YEAR_2030, Parties

CAST = Parties()
FULL = replace(CAST.forgery(), delegated=True, not_after=YEAR_2030)
CONFIGURE = replace(FULL, values={0: 5, 7: -70000, 15: 2**31 - 1})
STATE = DeviceState(CAST.root.public_key, EnvelopeTarget(VENDOR, CLASS, DEVICE), 8192, running=DIGEST)


def _refusal(envelope: bytes, state: DeviceState = STATE) -> str:
    with pytest.raises(VerificationError) as refusal:
        verify(envelope, state)
    return refusal.value.code.name


def _spoilt(forgery: Forgery) -> Iterator[tuple[str, str, bytes]]:
    for name, verdict, manifest in damaged_forms(forgery.manifest_tree()):
        yield f"manifest {name}", verdict, encode(forgery.tree(manifest=manifest))
    for name, verdict, claims in damaged_forms(forgery.claims_tree()):
        yield f"claims {name}", verdict, encode(forgery.tree(claims=claims))
    for name, verdict, envelope in damaged_forms(forgery.tree()):
        yield f"frame {name}", verdict, envelope


@pytest.mark.parametrize("forgery", [FULL, CONFIGURE], ids=["install", "configure"])
def test_every_damaged_head_is_rejected_with_its_code(forgery: Forgery) -> None:
    verify(forgery.build(), STATE)  # undamaged, it is accepted
    forms = list(_spoilt(forgery))
    assert len(forms) > 500
    wrong = {name: (verdict, found) for name, verdict, data in forms if (found := _refusal(data)) != verdict}
    assert not wrong


@pytest.mark.parametrize("forgery", [FULL, CONFIGURE], ids=["install", "configure"])
def test_every_flipped_bit_is_refused(forgery: Forgery) -> None:
    envelope = forgery.build()
    for at in range(len(envelope)):
        for bit in range(8):
            flipped = bytearray(envelope)
            flipped[at] ^= 1 << bit
            _refusal(bytes(flipped))


@pytest.mark.parametrize("forgery", [FULL, CONFIGURE], ids=["install", "configure"])
def test_every_flipped_bit_is_refused_without_delegation(forgery: Forgery) -> None:
    envelope = replace(forgery, delegated=False).build()
    state = replace(STATE, held=Delegation(CAST.gateway.public_key, VENDOR, 1))
    verify(envelope, state)
    for at in range(len(envelope)):
        for bit in range(8):
            flipped = bytearray(envelope)
            flipped[at] ^= 1 << bit
            _refusal(bytes(flipped), state)


@pytest.mark.parametrize("forgery", [FULL, CONFIGURE], ids=["install", "configure"])
def test_every_truncation_is_truncated(forgery: Forgery) -> None:
    envelope = forgery.build()
    assert {_refusal(envelope[:length]) for length in range(len(envelope))} == {"TRUNCATED"}
