# SPDX-License-Identifier: Apache-2.0
"""One test for each attack of docs/threat-model.md that ends at the envelope."""

from __future__ import annotations

from dataclasses import replace

import pytest

from signing.delegation import Delegation, delegate
from signing.envelope import ConfigureOrder, InstallOrder, make
from signing.identifiers import EngineContract, EnvelopeTarget, target
from signing.verification_error import VerificationError
from signing.verify import DeviceState, verify
from tests.signing.forgery import Key

ROOT, GATEWAY, THIEF = Key(), Key(), Key()
ENGINE = EngineContract(1, frozenset({"CONV_2D", "FULLY_CONNECTED"}))
PUMP = target("plant", "pump-1", ENGINE)
GRANT = Delegation(GATEWAY.public_key, PUMP.vendor, 2)
GOOD, OLD, EVIL = bytes([1]) * 32, bytes([2]) * 32, bytes([6]) * 32
STATE = DeviceState(ROOT.public_key, PUMP, slot_bytes=16384, sequence=9, held=GRANT, running=GOOD)


def _install(sequence: int = 10, digest: bytes = GOOD, size: int = 5000) -> InstallOrder:
    return InstallOrder(sequence, digest, size)


def _verdict(envelope: bytes, state: DeviceState = STATE) -> str:
    try:
        verify(envelope, state)
    except VerificationError as refusal:
        return refusal.code.name
    return "OK"


def test_the_envelope_that_all_attacks_start_from_is_accepted() -> None:
    assert _verdict(make(GATEWAY, PUMP, _install())) == "OK"


def test_arbitrary_model() -> None:
    """Without a key, access to the link, the broker or the gateway's disk does not let an attacker install a model."""
    assert _verdict(make(THIEF, PUMP, _install(digest=EVIL))) == "SIGNER"
    own_root = delegate(THIEF, Delegation(THIEF.public_key, PUMP.vendor, 9))
    assert _verdict(make(THIEF, PUMP, _install(digest=EVIL), own_root)) == "ROOT"
    genuine = make(GATEWAY, PUMP, _install())
    assert _verdict(genuine.replace(GOOD, EVIL)) == "DIGEST"


def test_rollback() -> None:
    """A genuine envelope from last week is rejected."""
    last_week = make(GATEWAY, PUMP, _install(sequence=4, digest=OLD))
    assert _verdict(last_week) == "SEQUENCE"


def test_an_intended_rollback_has_a_newer_envelope() -> None:
    assert _verdict(make(GATEWAY, PUMP, _install(sequence=10, digest=OLD))) == "OK"


@pytest.mark.parametrize("order", [_install(), ConfigureOrder(10, GOOD, {0: 5})], ids=["install", "configure"])
def test_replay(order: InstallOrder | ConfigureOrder) -> None:
    """An accepted envelope is not accepted again."""
    envelope = make(GATEWAY, PUMP, order)
    accepted = verify(envelope, STATE)
    after = replace(STATE, sequence=accepted.order.sequence)
    assert _verdict(envelope, after) == "SEQUENCE"


def test_freeze_by_burning_the_sequence_numbers() -> None:
    """A stolen key can't use up all sequence numbers of a device with one envelope."""
    assert _verdict(make(GATEWAY, PUMP, _install(sequence=2**32 - 1))) == "SEQUENCE_JUMP"
    assert _verdict(make(GATEWAY, PUMP, _install(sequence=9 + 1025))) == "SEQUENCE_JUMP"


def test_wrong_device() -> None:
    """An envelope for one device is rejected by its twin."""
    twin = target("plant", "pump-2", ENGINE)
    assert _verdict(make(GATEWAY, twin, _install())) == "DEVICE"


def test_wrong_engine() -> None:
    """A device whose engine lacks an operator has another class."""
    simpler = target("plant", "pump-1", EngineContract(1, frozenset({"CONV_2D"})))
    assert _verdict(make(GATEWAY, simpler, _install())) == "CLASS"
    newer = target("plant", "pump-1", replace(ENGINE, pack_format=2))
    assert _verdict(make(GATEWAY, newer, _install())) == "CLASS"


def test_wrong_fleet() -> None:
    """A gateway of one fleet has no rights in another, even under the same root."""
    other = target("harbour", "pump-1", ENGINE)
    cwt = delegate(ROOT, Delegation(THIEF.public_key, other.vendor, 9))
    assert _verdict(make(THIEF, PUMP, _install(), cwt)) == "FLEET"
    assert _verdict(make(GATEWAY, EnvelopeTarget(other.vendor, PUMP.klass, PUMP.device), _install())) == "VENDOR"


def test_mix_and_match() -> None:
    """Parameters tuned for one model are not set on another."""
    assert _verdict(make(GATEWAY, PUMP, ConfigureOrder(10, OLD, {0: 1}))) == "MODEL"
    one, other = make(GATEWAY, PUMP, _install()), make(GATEWAY, PUMP, _install(sequence=11))
    cut = len(one) - 141
    assert _verdict(one[:cut] + other[cut:]) == "DIGEST"


def test_truncated() -> None:
    envelope = make(GATEWAY, PUMP, _install())
    assert {_verdict(envelope[:length]) for length in range(len(envelope))} == {"TRUNCATED"}


def test_endless_data() -> None:
    """The signed size is checked before the first block is accepted, and an envelope itself has a limit."""
    assert _verdict(make(GATEWAY, PUMP, _install(size=16385))) == "SIZE"
    assert _verdict(make(GATEWAY, PUMP, _install()) + bytes(512)) == "TOO_LONG"


def test_stolen_gateway_key() -> None:
    """A device that has seen the next epoch rejects the stolen key."""
    successor = Key()
    cwt = delegate(ROOT, Delegation(successor.public_key, PUMP.vendor, 3))
    accepted = verify(make(successor, PUMP, _install(), cwt), STATE)
    after = replace(STATE, sequence=10, held=accepted.delegation)
    old = delegate(ROOT, GRANT)
    assert _verdict(make(GATEWAY, PUMP, _install(sequence=11), old), after) == "REVOKED"
    assert _verdict(make(GATEWAY, PUMP, _install(sequence=11)), after) == "SIGNER"
    forged = delegate(GATEWAY, Delegation(GATEWAY.public_key, PUMP.vendor, 4))
    assert _verdict(make(GATEWAY, PUMP, _install(sequence=11), forged), after) == "ROOT"


def test_stolen_gateway_key_after_its_last_day() -> None:
    """A device that knows the time rejects an expired delegation, whether included or held."""
    expiring = replace(GRANT, not_after=1_000)
    cwt = delegate(ROOT, expiring)
    assert _verdict(make(GATEWAY, PUMP, _install(), cwt), replace(STATE, now=1_001)) == "EXPIRED"
    assert _verdict(make(GATEWAY, PUMP, _install()), replace(STATE, held=expiring, now=1_001)) == "EXPIRED"
    assert _verdict(make(GATEWAY, PUMP, _install()), replace(STATE, held=expiring, now=1_000)) == "OK"
    assert _verdict(make(GATEWAY, PUMP, _install()), replace(STATE, held=expiring)) == "OK"  # it has no clock


def test_first_contact_without_delegation() -> None:
    assert _verdict(make(GATEWAY, PUMP, _install()), replace(STATE, held=None)) == "NO_DELEGATION"
