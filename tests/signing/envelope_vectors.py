# SPDX-License-Identifier: Apache-2.0
"""The vectors, in families. The expected codes are written here, never taken from the verifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.signing.forgery import Algorithm, Forgery, Key, Wrap, encode, sign_cose
from tests.signing.parties import (
    INT32_MAX,
    OTHER_DIGEST,
    OTHER_ID,
    UINT32_MAX,
    YEAR_2030,
    Parties,
)


@dataclass(frozen=True)
class Vector:
    """One blob and its expected code."""

    name: str
    state: str
    verdict: str
    envelope: bytes
    accepted: dict[str, object] | None = None


def _accepted(forgery: Forgery) -> dict[str, object]:
    """The expected order, and the delegation that the device then holds (null: unchanged)."""
    order: dict[str, object] = {"sequence": forgery.sequence, "digest": forgery.digest.hex()}
    if isinstance(forgery.values, dict):
        order["values"] = [[index, value] for index, value in forgery.values.items()]
    else:
        order["size"] = forgery.size
    held = None
    if forgery.delegated:
        key = (forgery.delegated_key or forgery.gateway.public_key).hex()
        held = {"key": key, "epoch": forgery.epoch, "not_after": forgery.not_after}
    return {**order, "held": held}


def _good(name: str, state: str, forgery: Forgery) -> Vector:
    return Vector(name, state, "OK", forgery.build(), _accepted(forgery))


def accepted(parties: Parties) -> Iterator[Vector]:
    """Envelopes that a device must accept."""
    first = replace(parties.forgery(), delegated=True)
    yield _good("first contact brings the delegation", "new", first)
    yield _good("delegation that expires, device without a clock", "new", replace(first, not_after=1))
    yield _good(
        "delegation that has not expired", "works with clock", replace(first, sequence=8, epoch=3, not_after=YEAR_2030)
    )
    yield _good(
        "held delegation on its last second",
        "works with clock, held expires today",
        replace(parties.forgery(), sequence=8),
    )
    yield _good("smallest numbers", "new", replace(first, size=1))
    yield _good("fills the slot", "new", replace(first, size=8192))
    works = replace(parties.forgery(), sequence=8)
    yield _good("no delegation, held already", "works", works)
    yield _good("delegation sent again", "works", replace(works, delegated=True, epoch=3))
    yield _good("newer epoch, same key", "works", replace(works, delegated=True, epoch=4))
    yield _good(
        "newer epoch, new key", "works", replace(works, gateway=parties.second_gateway, delegated=True, epoch=4)
    )
    yield _good(
        "second gateway of the same epoch",
        "works",
        replace(works, gateway=parties.second_gateway, delegated=True, epoch=3),
    )
    yield _good(
        "largest epoch and date", "works", replace(works, delegated=True, epoch=UINT32_MAX, not_after=UINT32_MAX)
    )
    yield _good("back to an older pack by a newer envelope", "works", replace(works, digest=OTHER_DIGEST))
    yield _good("pre-baked pack, activated by its digest", "works", replace(works, digest=bytes(32), size=640))
    yield _good("jump as far as allowed", "works", replace(works, sequence=7 + 1024))
    yield _good("largest sequence number", "nearly out of numbers", replace(works, sequence=UINT32_MAX))
    yield _good("configure nothing", "works", replace(works, values={}))
    yield _good("configure one", "works", replace(works, values={0: 30}))
    yield _good("configure three", "works", replace(works, values={0: INT32_MAX, 7: -1 - INT32_MAX, 15: -1}))
    yield _good(
        "configure eight", "works", replace(works, values={index: -1 - index * 1000 for index in range(0, 16, 2)})
    )
    yield _good("configure with delegation", "works", replace(works, values={3: 100000}, delegated=True, epoch=3))


def attacks(parties: Parties) -> Iterator[Vector]:
    """Well-formed envelopes that a device must reject."""
    forgery = parties.forgery()
    works = replace(forgery, sequence=8)
    first = replace(forgery, delegated=True)
    thief = parties.thief
    key_of_thief = replace(works, gateway=thief)
    rows: list[tuple[str, str, str, Forgery]] = [
        ("arbitrary model: delegation by another root", "new", "ROOT", replace(first, root=thief)),
        (
            "arbitrary model: delegation kid of the root, signed by another",
            "new",
            "DELEGATION_SIGNATURE",
            replace(first, root=_alias(thief, parties.root)),
        ),
        ("arbitrary model: signed by a key nobody delegated", "works", "SIGNER", key_of_thief),
        (
            "arbitrary model: kid of the gateway, signed by another",
            "works",
            "SIGNATURE",
            replace(works, gateway=_alias(thief, parties.gateway)),
        ),
        (
            "arbitrary model: delegation of the gateway, signed by another",
            "new",
            "SIGNER",
            replace(first, gateway=thief, delegated_key=parties.gateway.public_key),
        ),
        ("arbitrary model: signed by the root itself", "works", "SIGNER", replace(works, gateway=parties.root)),
        ("delegation for another fleet", "new", "FLEET", replace(first, delegated_vendor=OTHER_ID)),
        ("no delegation, none held", "new", "NO_DELEGATION", forgery),
        ("stolen gateway key: epoch has passed", "works", "REVOKED", replace(works, delegated=True, epoch=2)),
        (
            "stolen gateway key: revoked, shows its old delegation",
            "has seen a revocation",
            "REVOKED",
            replace(works, delegated=True, epoch=3),
        ),
        ("stolen gateway key: revoked, hides its delegation", "has seen a revocation", "SIGNER", works),
        (
            "stolen gateway key: raises its own epoch",
            "has seen a revocation",
            "ROOT",
            replace(works, delegated=True, root=parties.gateway, epoch=5),
        ),
        (
            "delegation has expired",
            "works with clock",
            "EXPIRED",
            replace(works, delegated=True, epoch=3, not_after=YEAR_2030 - 1),
        ),
        ("held delegation has expired", "works with clock, held expires", "EXPIRED", works),
        ("another fleet", "works", "VENDOR", replace(works, vendor=OTHER_ID)),
        ("wrong device: another engine", "works", "CLASS", replace(works, klass=OTHER_ID)),
        ("wrong device: another device", "works", "DEVICE", replace(works, device=OTHER_ID)),
        (
            "wrong device: configure for another device",
            "works",
            "DEVICE",
            replace(works, device=OTHER_ID, values={0: 1}),
        ),
        ("replay: the sequence number that is held", "works", "SEQUENCE", replace(works, sequence=7)),
        ("rollback: an older sequence number", "works", "SEQUENCE", replace(works, sequence=6)),
        ("rollback: the first sequence number", "works", "SEQUENCE", replace(works, sequence=1)),
        (
            "replay: configure of the number that is held",
            "works",
            "SEQUENCE",
            replace(works, sequence=7, values={0: 1}),
        ),
        ("replay: the largest number again", "out of numbers", "SEQUENCE", replace(works, sequence=UINT32_MAX)),
        ("freeze: burns all sequence numbers", "works", "SEQUENCE_JUMP", replace(works, sequence=UINT32_MAX)),
        ("freeze: one further than allowed", "works", "SEQUENCE_JUMP", replace(works, sequence=7 + 1025)),
        ("endless data: larger than the slot", "works", "SIZE", replace(works, size=8193)),
        ("endless data: the largest number", "works", "SIZE", replace(works, size=UINT32_MAX)),
        (
            "mix-and-match: parameters of another pack",
            "works",
            "MODEL",
            replace(works, digest=OTHER_DIGEST, values={0: 1}),
        ),
        ("mix-and-match: parameters, nothing runs", "runs nothing", "MODEL", replace(works, values={0: 1})),
    ]
    for name, state, verdict, forged in rows:
        yield Vector(name, state, verdict, forged.build())
    yield from _spliced(parties)


def _alias(thief: Key, victim: Key) -> Key:
    """The key of a thief with the key id of a victim."""
    alias = Key()
    alias.sign = thief.sign  # type: ignore[method-assign]  # the point of the forgery
    alias.kid = victim.kid
    alias.public_key = victim.public_key
    return alias


def _spliced(parties: Parties) -> Iterator[Vector]:
    """Parts of genuine envelopes in new combinations."""
    works = replace(parties.forgery(), sequence=8)
    manifest = encode(works.manifest_tree())
    other = encode(replace(works, digest=OTHER_DIGEST).manifest_tree())
    spliced = {2: Wrap(works.authentication_tree(manifest)), 3: other}
    yield Vector("mix-and-match: signature of one, manifest of another", "works", "DIGEST", tagged(spliced))
    cwt = replace(works, delegated=True, epoch=3)
    as_envelope = {2: Wrap(cwt.authentication_tree(manifest)), 3: manifest}
    swapped = {1: Wrap([[cwt.authentication_tree(manifest)[1]]]), **as_envelope}
    yield Vector("mix-and-match: an envelope's signature as delegation", "works", "UNEXPECTED", tagged(swapped))
    report = encode([Algorithm(-16), bytes(32)])
    foreign = sign_cose(parties.gateway, report, detached=True, external=b"tinyfleet/report/1")
    digest = works.authentication_tree(manifest)[0]
    yield Vector(
        "a signature with external data", "works", "SIGNATURE", tagged({2: Wrap([digest, Wrap(foreign)]), 3: manifest})
    )


def tagged(envelope: object) -> bytes:
    return b"\xd8\x6b" + encode(envelope)
