# SPDX-License-Identifier: Apache-2.0
"""Vectors of envelopes outside the profile, signed by the right keys or damaged around the signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.signing.envelope_vectors import Vector, tagged
from tests.signing.forgery import Forgery, Pairs, Raw, Tag, Wrap, damaged_forms, encode
from tests.signing.parties import INT32_MAX, YEAR_2030, Parties


def out_of_range(parties: Parties) -> Iterator[Vector]:
    """Signed by the right key, with numbers outside the profile."""
    works = replace(parties.forgery(), sequence=8)
    first = replace(parties.forgery(), delegated=True)
    rows: list[tuple[str, str, str, Forgery]] = [
        ("sequence number 0", "works", "OUT_OF_RANGE", replace(works, sequence=0)),
        ("size 0", "works", "OUT_OF_RANGE", replace(works, size=0)),
        ("epoch 0", "new", "OUT_OF_RANGE", replace(first, epoch=0)),
        ("exp 0", "new", "OUT_OF_RANGE", replace(first, not_after=0)),
        ("nine values", "works", "OUT_OF_RANGE", replace(works, values=dict.fromkeys(range(9), 1))),
        ("index 16", "works", "OUT_OF_RANGE", replace(works, values={16: 1})),
        ("value over 31 bits", "works", "OUT_OF_RANGE", replace(works, values={0: INT32_MAX + 1})),
        ("value under 31 bits", "works", "OUT_OF_RANGE", replace(works, values={0: -2 - INT32_MAX})),
        ("values descending", "works", "NOT_CANONICAL", replace(works, values={1: 1, 0: 1})),
        ("value twice", "works", "NOT_CANONICAL", replace(works, values=Pairs(((0, 1), (0, 2))))),
        ("index is negative", "works", "UNEXPECTED", replace(works, values={-1: 1})),
        ("value is text", "works", "UNEXPECTED", replace(works, values=Pairs(((0, Raw(b"\x61a")),)))),
        ("one value fewer than counted", "works", "TRUNCATED", replace(works, values=Raw(b"\xa2\x00\x01"))),
    ]
    for name, state, verdict, forged in rows:
        yield Vector(name, state, verdict, forged.build())


def algorithms(parties: Parties) -> Iterator[Vector]:
    """Signed, but with an algorithm outside the profile."""
    works = replace(parties.forgery(), sequence=8)
    first = replace(parties.forgery(), delegated=True)
    rows: list[tuple[str, str, Forgery]] = [
        ("signature algorithm EdDSA (-8)", "works", replace(works, signature_algorithm=-8)),
        ("signature algorithm ES256 (-7)", "works", replace(works, signature_algorithm=-7)),
        ("signature algorithm HMAC (5)", "works", replace(works, signature_algorithm=5)),
        ("manifest digest SHA-512 (-44)", "works", replace(works, digest_algorithm=-44)),
        ("image digest SHA-512 (-44)", "works", replace(works, image_algorithm=-44)),
        ("image digest of configure SHA-512 (-44)", "works", replace(works, image_algorithm=-44, values={})),
        ("delegation's algorithm EdDSA (-8)", "new", replace(first, root_algorithm=-8)),
    ]
    for name, state, forged in rows:
        yield Vector(name, state, "ALGORITHM", forged.build())


def components(parties: Parties) -> Iterator[Vector]:
    """Signed, but with a component outside the profile."""
    works = replace(parties.forgery(), sequence=8)
    rows: list[tuple[str, Forgery]] = [
        ("install of the parameters", replace(works, components=[[b"\x01"]])),
        ("install of an unknown component", replace(works, components=[[b"\x02"]])),
        ("component named in two parts", replace(works, components=[[b"\x00", b"\x00"]])),
        ("component with a longer name", replace(works, components=[[b"\x00\x00"]])),
        ("component without a name", replace(works, components=[[b""]])),
        ("install of two components", replace(works, components=[[b"\x00"], [b"\x01"]])),
        ("configure of the model", replace(works, components=[[b"\x00"], [b"\x00"]], values={})),
        ("configure with the components swapped", replace(works, components=[[b"\x01"], [b"\x00"]], values={})),
        ("configure of one component", replace(works, components=[[b"\x00"]], values={})),
    ]
    for name, forged in rows:
        yield Vector(name, "works", "UNEXPECTED", forged.build())


def frames(parties: Parties) -> Iterator[Vector]:
    """Malformed around the signature."""
    good = replace(parties.forgery(), sequence=8).build()
    full = replace(parties.forgery(), delegated=True).build()
    yield Vector("nothing at all", "works", "TRUNCATED", b"")
    yield Vector("truncated by a byte", "works", "TRUNCATED", good[:-1])
    yield Vector("truncated by half", "works", "TRUNCATED", good[: len(good) // 2])
    yield Vector("a byte after the end", "works", "TRAILING", good + b"\x00")
    works = replace(parties.forgery(), sequence=8)
    longer = encode(works.manifest_tree()) + b"\x00"
    yield Vector("a byte after the manifest", "works", "TRAILING", encode(works.tree(manifest=longer)))
    first = replace(parties.forgery(), delegated=True)
    longer = encode(first.claims_tree()) + b"\x00"
    yield Vector("a byte after the claims", "new", "TRAILING", encode(first.tree(claims=longer)))
    yield from _headers(parties)
    yield Vector("513 bytes", "works", "TOO_LONG", good + bytes(513 - len(good)))
    yield Vector("512 bytes", "works", "TRAILING", good + bytes(512 - len(good)))
    yield Vector("without its tag", "works", "UNEXPECTED", good[2:])
    body = works.members()
    digest = works.authentication_tree(encode(works.manifest_tree()))[0]
    yield Vector("key 2 twice", "works", "UNEXPECTED", tagged(Pairs(((2, body[2]), (2, body[2]), (3, body[3])))))
    yield Vector("keys in another order", "works", "UNEXPECTED", tagged(Pairs(((3, body[3]), (2, body[2])))))
    yield Vector("an unknown key", "works", "UNEXPECTED", tagged({**body, 23: b"text"}))
    yield Vector("not signed at all", "works", "UNEXPECTED", tagged({2: Wrap([digest]), 3: body[3]}))
    in_signature = len(good) - len(encode(works.manifest_tree())) - 20
    yield Vector("a flipped bit in the signature", "works", "SIGNATURE", _flip(good, in_signature))
    yield Vector("a flipped bit in the manifest", "works", "DIGEST", _flip(good, len(good) - 20))
    yield Vector(
        "a flipped bit in the delegation's claims",
        "new",
        "DELEGATION_SIGNATURE",
        _flip(full, full.index(b"\x21\x58\x20") + 9),
    )


def _headers(parties: Parties) -> Iterator[Vector]:
    """Signed over headers outside the profile."""
    works = replace(parties.forgery(), sequence=8)
    manifest = encode(works.manifest_tree())
    digest = works.authentication_tree(manifest)[0]
    payload = encode(digest.inner)
    kid = parties.gateway.kid
    headers: list[tuple[str, dict[int, object], dict[int, object]]] = [
        ("an unknown critical header", {1: -19, 2: [99], 4: kid, 99: 1}, {}),
        ("no key id", {1: -19}, {}),
        ("the key id unprotected", {1: -19}, {4: kid}),
        ("something in the unprotected header", {1: -19, 4: kid}, {5: b""}),
        ("headers in another order", {4: kid, 1: -19}, {}),
    ]
    for name, protected, unprotected in headers:
        covered = [Raw(b"\x6aSignature1"), encode(protected), b"", payload]
        signature = Tag(18, [Wrap(protected), unprotected, None, parties.gateway.sign(encode(covered))])
        yield Vector(name, "works", "UNEXPECTED", tagged({2: Wrap([digest, Wrap(signature)]), 3: manifest}))


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def malformed(parties: Parties) -> Iterator[Vector]:
    """Damage every head, each in a sample of the possible ways."""
    works = replace(parties.forgery(), sequence=8, epoch=3)
    configure = replace(works, values={0: 5, 9: -70000})
    dated = replace(works, delegated=True, not_after=YEAR_2030)
    for what, forgery in (("install", works), ("configure", configure)):
        for name, verdict, manifest in _sample(forgery.manifest_tree()):
            yield Vector(f"{what} manifest: {name}", "works", verdict, encode(forgery.tree(manifest=manifest)))
    for name, verdict, claims in _sample(dated.claims_tree()):
        yield Vector(f"claims: {name}", "works", verdict, encode(dated.tree(claims=claims)))
    for name, verdict, envelope in _sample(dated.tree()):
        yield Vector(f"frame: {name}", "works", verdict, envelope)


def _sample(tree: object, keep: int = 3) -> Iterator[tuple[str, str, bytes]]:
    yield from (form for number, form in enumerate(damaged_forms(tree)) if number % keep == 0)
