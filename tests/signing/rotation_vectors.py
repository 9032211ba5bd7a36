# SPDX-License-Identifier: Apache-2.0
"""The vectors of rotations: the expected codes are written here, never taken from the verifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.signing.forgery import Forgery, Free, Key, damaged_forms, encode, sign_cose
from tests.signing.parties import OTHER_ID, VENDOR, Parties

NUMBER_MAX = 2**16 - 1


@dataclass(frozen=True)
class Turn:
    """A rotation and the delegation that comes with it; `replace` one part and `build` the rest around it."""

    signer: Key
    next_root: Key
    gateway: Key
    number: int = 1
    epoch: int = 1
    not_after: int | None = None
    delegated: bool = True
    delegated_vendor: bytes = VENDOR
    delegation_signer: Key | None = None  # another one than the new root
    payload: object = None
    algorithm: int = -19

    def payload_tree(self) -> object:
        key = {1: 1, -1: 6, -2: Free(self.next_root.public_key)}
        return {8: {1: key}, -65539: Free(self.number)} if self.payload is None else self.payload

    def rotation(self, payload: bytes | None = None) -> bytes:
        signed = encode(self.payload_tree()) if payload is None else payload
        return encode(sign_cose(self.signer, signed, algorithm=self.algorithm))

    def delegation(self) -> bytes:
        if not self.delegated:
            return b""
        root = self.delegation_signer or self.next_root
        forgery = Forgery(self.gateway, root, VENDOR, b"", b"", b"", epoch=self.epoch, not_after=self.not_after)
        return encode(replace(forgery, delegated_vendor=self.delegated_vendor).cwt_tree())

    def accepted(self) -> dict[str, object]:
        key = self.gateway.public_key.hex()
        held = {"key": key, "epoch": self.epoch, "not_after": self.not_after} if self.delegated else None
        return {"root": self.next_root.public_key.hex(), "number": self.number, "held": held}


@dataclass(frozen=True)
class RotationVector:
    """A rotation, what the device knows, and the expected code."""

    name: str
    verdict: str
    rotation: bytes
    delegation: bytes
    state: dict[str, object]
    accepted: dict[str, object] | None = None


@dataclass
class _Maker:
    root: bytes
    made: list[RotationVector] = field(default_factory=list)

    def add(self, name: str, verdict: str, turn: Turn, *, rotation: bytes | None = None, **state: object) -> None:
        known = {"root": self.root.hex(), "vendor": VENDOR.hex(), "number": 0, **state}
        signed = turn.rotation() if rotation is None else rotation
        accepted = turn.accepted() if verdict == "OK" else None
        self.made.append(RotationVector(name, verdict, signed, turn.delegation(), known, accepted))


def rotations(parties: Parties) -> Iterator[RotationVector]:
    """All vectors of rotations."""
    next_root = Key()
    turn = Turn(parties.root, next_root, parties.gateway)
    make = _Maker(parties.root.public_key)
    make.add("first rotation", "OK", turn)
    make.add("without a delegation", "OK", replace(turn, delegated=False))
    make.add("delegation that expires", "OK", replace(turn, not_after=1))
    make.add("largest number", "OK", replace(turn, number=NUMBER_MAX), number=NUMBER_MAX - 1)
    make.add("epoch far below any earlier one", "OK", replace(turn, number=8, epoch=1), number=7)

    make.add("signed by a thief", "ROOT", replace(turn, signer=parties.thief))
    make.add("signed by the delegated gateway", "ROOT", replace(turn, signer=parties.gateway))
    make.add("repeated after it was accepted", "ROOT", turn, root=next_root.public_key.hex(), number=1)
    good = turn.rotation()
    make.add("signature damaged", "DELEGATION_SIGNATURE", turn, rotation=good[:-1] + bytes([good[-1] ^ 1]))
    swapped = replace(turn, next_root=parties.thief).rotation()[:-64] + good[-64:]
    make.add("signature of another rotation", "DELEGATION_SIGNATURE", turn, rotation=swapped)
    make.add("number of an accepted rotation", "SEQUENCE", turn, number=1)
    make.add("number of an earlier rotation", "SEQUENCE", replace(turn, number=2), number=3)
    make.add("no number", "OUT_OF_RANGE", replace(turn, number=0))
    make.add("number too large", "SEQUENCE", replace(turn, number=NUMBER_MAX + 1))
    make.add("a delegation instead of a rotation", "UNEXPECTED", turn, rotation=_delegation_by(parties))
    make.add("another algorithm", "ALGORITHM", replace(turn, algorithm=-8))
    make.add("delegation by the old root", "ROOT", replace(turn, delegation_signer=parties.root))
    make.add("delegation for another fleet", "FLEET", replace(turn, delegated_vendor=OTHER_ID))
    for name, verdict, payload in damaged_forms(turn.payload_tree()):
        make.add(f"payload {name}", verdict, turn, rotation=turn.rotation(payload))
    for name, verdict, data in damaged_forms(sign_cose(parties.root, encode(turn.payload_tree()))):
        make.add(f"frame {name}", verdict, turn, rotation=data)
    return iter(make.made)


def _delegation_by(parties: Parties) -> bytes:
    return encode(Forgery(parties.gateway, parties.root, VENDOR, b"", b"", b"").cwt_tree())
