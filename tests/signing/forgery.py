# SPDX-License-Identifier: Apache-2.0
"""Forges envelopes: any part can be replaced, and everything around it is signed again.

It does not use the package's own encoder: CBOR heads are written here by hand, so that each can be damaged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

UINT, NINT, BYTES, ARRAY, MAP, TAG, SIMPLE = 0, 1, 2, 4, 5, 6, 7


class Key:
    """A key that lives as long as the process."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.public_key = self._private.public_key().public_bytes_raw()
        self.kid = hashlib.sha256(self.public_key).digest()[:8]

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


@dataclass(frozen=True)
class Wrap:
    """CBOR inside a byte string."""

    inner: object


@dataclass(frozen=True)
class Tag:
    number: int
    inner: object


@dataclass(frozen=True)
class Pairs:
    """A map in the order given, duplicates and all."""

    pairs: tuple[tuple[object, object], ...]


@dataclass(frozen=True)
class Free:
    """A value that may vary: changing it is not a parse error."""

    inner: object


@dataclass(frozen=True)
class Algorithm:
    """A COSE algorithm: another one has an error code of its own."""

    number: int


@dataclass(frozen=True)
class Raw:
    """Bytes to write unchanged."""

    data: bytes


def head(major: int, argument: int, width: int | None = None) -> bytes:
    """Write a head: the shortest, or one of the given width."""
    if width is None:
        width = 0 if argument < 24 else next(w for w in (1, 2, 4, 8) if argument < 1 << (8 * w))
    if width == 0:
        return bytes([major << 5 | argument])
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + argument.to_bytes(width, "big")


@dataclass(frozen=True)
class WrittenHead:
    """One CBOR head that was written."""

    major: int
    argument: int
    mark: str  # "", "free", "wrap", "algorithm"


@dataclass
class HeadDamager:
    """Counts heads as they are written, and damages the one whose turn it is."""

    turn: int = -1
    kind: str = ""
    seen: list[WrittenHead] = field(default_factory=list)

    def strikes(self, major: int, argument: int, mark: str) -> bool:
        """Count a head, and return whether to damage it."""
        self.seen.append(WrittenHead(major, argument, mark))
        return len(self.seen) - 1 == self.turn


class CutError(Exception):
    """The byte string that is being written ends here."""


def _cut(_major: int, _argument: int) -> bytes:
    raise CutError


def _wider(major: int, argument: int) -> bytes:
    shortest = len(head(major, argument)) - 1
    return head(major, argument, width={0: 1, 1: 2, 2: 4, 4: 8}[shortest])


HEADS: dict[str, Callable[[int, int], bytes]] = {
    "longer-head": _wider,
    "indefinite": lambda major, _: bytes([major << 5 | 31]),
    "reserved": lambda major, _: bytes([major << 5 | 28]),
    "eight-bytes": lambda major, argument: head(major, argument, width=8),
    "other-type": lambda major, argument: head(UINT if major == SIMPLE else SIMPLE, argument),
    "one-more": lambda major, argument: head(major, argument + 1),
    "cut": _cut,
}
CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "trailing": lambda content: content + b"\x00",
    "byte-more": lambda content: content + b"\x00",
    "byte-less": lambda content: content[:-1],
}


def encode(item: object, damager: HeadDamager | None = None) -> bytes:
    """Encode a tree of the classes above, integers, bytes, lists, dicts and None."""
    return _Writer(damager or HeadDamager()).whole(item)


class _Writer:
    def __init__(self, damager: HeadDamager) -> None:
        self.damager = damager

    def whole(self, item: object) -> bytes:
        """Encode the content of a byte string; a cut ends it at that point."""
        out = bytearray()
        with suppress(CutError):
            self._write(out, item, "")
        return bytes(out)

    def _head(self, major: int, argument: int, mark: str) -> bytes:
        if self.damager.strikes(major, argument, mark):
            return HEADS.get(self.damager.kind, head)(major, argument)
        return head(major, argument)

    def _write(self, out: bytearray, item: object, mark: str) -> None:
        match item:
            case Free():
                self._write(out, item.inner, "free")
            case Algorithm():
                self._write(out, item.number, "algorithm")
            case Raw():
                out += item.data
            case Wrap():
                self._write_bytes(out, lambda: self.whole(item.inner), "wrap")
            case bytes():
                self._write_bytes(out, lambda: item, mark)
            case None:
                out += self._head(SIMPLE, 22, mark)
            case int():
                out += self._head(*((UINT, item) if item >= 0 else (NINT, -1 - item)), mark)
            case _:
                major, count, parts = _container(item)
                out += self._head(major, count, mark)
                for part in parts:
                    self._write(out, part, "")

    def _write_bytes(self, out: bytearray, produce: Callable[[], bytes], mark: str) -> None:
        # Heads are counted in the order of the bytes: this one before those of its content.
        struck = self.damager.strikes(BYTES, 0, mark)
        content = produce()
        if struck:
            content = CONTENTS.get(self.damager.kind, bytes)(content)
            out += HEADS.get(self.damager.kind, head)(BYTES, len(content))
        else:
            out += head(BYTES, len(content))
        out += content


def _container(item: object) -> tuple[int, int, list[object]]:
    if isinstance(item, Tag):
        return TAG, item.number, [item.inner]
    if isinstance(item, dict):
        item = Pairs(tuple(item.items()))
    if isinstance(item, Pairs):
        return MAP, len(item.pairs), [part for pair in item.pairs for part in pair]
    assert isinstance(item, list)
    return ARRAY, len(item), item


@dataclass(frozen=True)
class Forgery:
    """An envelope's parts; `replace` one and `build` the rest around it."""

    gateway: Key
    root: Key
    vendor: bytes
    klass: bytes
    device: bytes
    digest: bytes
    sequence: int = 1
    size: int = 4096
    epoch: int = 1
    not_after: int | None = None
    delegated: bool = False
    values: object = None  # a dict makes it a configure
    delegated_key: bytes | None = None
    delegated_vendor: bytes | None = None
    manifest: object = None
    claims: object = None
    components: object = None
    digest_algorithm: int = -16
    image_algorithm: int = -16
    signature_algorithm: int = -19
    root_algorithm: int = -19

    def manifest_tree(self) -> object:
        if self.manifest is not None:
            return self.manifest
        digest = Wrap([Algorithm(self.image_algorithm), Free(self.digest)])
        sequence = Free(self.sequence)
        if self.values is None:
            parameters = {
                1: Free(self.vendor), 2: Free(self.klass), 3: digest, 14: Free(self.size), 24: Free(self.device),
            }  # fmt: skip
            common = {2: self.components or [[b"\x00"]], 4: Wrap([20, parameters, 1, 15, 2, 15, 24, 15])}
            return {1: 1, 2: sequence, 3: Wrap(common), 7: Wrap([3, 15]), 20: Wrap([3, 15])}
        parameters = {3: digest, 24: Free(self.device)}
        common = {2: self.components or [[b"\x00"], [b"\x01"]], 4: Wrap([12, 0, 20, parameters, 24, 15])}
        values = self.values
        if isinstance(values, dict):
            values = Free(Pairs(tuple((Free(index), Free(value)) for index, value in values.items())))
        install = [12, 0, 3, 15, 12, 1, 20, {18: Wrap(values)}, 18, 15]
        return {1: 1, 2: sequence, 3: Wrap(common), 20: Wrap(install)}

    def claims_tree(self) -> object:
        if self.claims is not None:
            return self.claims
        key = {1: 1, -1: 6, -2: Free(self.delegated_key or self.gateway.public_key)}
        exp = {} if self.not_after is None else {4: Free(self.not_after)}
        vendor = Free(self.delegated_vendor or self.vendor)
        return {**exp, 8: {1: key}, -65537: vendor, -65538: Free(self.epoch)}

    def cwt_tree(self, claims: bytes | None = None) -> object:
        claims = encode(self.claims_tree()) if claims is None else claims
        return sign_cose(self.root, claims, algorithm=self.root_algorithm)

    def authentication_tree(self, manifest: bytes) -> list[Wrap]:
        digest = hashlib.sha256(head(BYTES, len(manifest)) + manifest).digest()
        payload = encode([self.digest_algorithm, digest])
        signature = sign_cose(self.gateway, payload, detached=True, algorithm=self.signature_algorithm)
        return [Wrap([Algorithm(self.digest_algorithm), Free(digest)]), Wrap(signature)]

    def members(self, manifest: bytes | None = None, claims: bytes | None = None) -> dict[int, Wrap | bytes]:
        """The envelope's elements, its signatures made over the given bytes."""
        manifest = encode(self.manifest_tree()) if manifest is None else manifest
        chain = {1: Wrap([[Wrap(self.cwt_tree(claims))]])} if self.delegated else {}
        return {**chain, 2: Wrap(self.authentication_tree(manifest)), 3: manifest}

    def tree(self, manifest: bytes | None = None, claims: bytes | None = None) -> Tag:
        """The whole envelope."""
        return Tag(107, self.members(manifest, claims))

    def build(self, **parts: object) -> bytes:
        """Encode the envelope with some parts replaced."""
        return encode(replace(self, **parts).tree())  # type: ignore[arg-type]  # fields by name

    def cwt(self) -> bytes:
        return encode(self.cwt_tree())


def sign_cose(
    key: Key, payload: bytes, *, detached: bool = False, external: bytes = b"", algorithm: int = -19
) -> object:
    """A COSE_Sign1 tree."""
    protected = {1: Algorithm(algorithm), 4: Free(key.kid)}
    signature = key.sign(encode([Raw(b"\x6aSignature1"), encode(protected), external, payload]))
    return Tag(18, [Wrap(protected), {}, None if detached else payload, Free(signature)])


def damaged_forms(tree: object) -> Iterator[tuple[str, str, bytes]]:
    """Damage every head of a tree in every way; yield the damage, the expected code and the bytes."""
    probe = HeadDamager()
    yield "trailing-end", "TRAILING", encode(tree, probe) + b"\x00"
    for turn, seen in enumerate(probe.seen):
        for kind in (*HEADS, *CONTENTS):
            verdict = _verdict(kind, seen)
            if verdict:
                yield f"{kind}-{turn}", verdict, encode(tree, HeadDamager(turn=turn, kind=kind))


def _verdict(kind: str, seen: WrittenHead) -> str | None:
    """Return the code of a strict reader; None if the damaged form is not (only) a parse error."""
    constant = seen.mark in {"", "algorithm"} and seen.major not in {BYTES, SIMPLE}
    fixed_size = seen.mark == "free" and seen.major == BYTES
    next_head_has_eight_bytes = seen.argument >= 1 << 16
    verdicts = {
        "longer-head": "OUT_OF_RANGE" if next_head_has_eight_bytes else "NOT_CANONICAL",
        "indefinite": "NOT_CANONICAL",
        "reserved": "NOT_CANONICAL",
        "eight-bytes": "OUT_OF_RANGE",
        "other-type": "UNEXPECTED",
        "cut": "TRUNCATED",
        "one-more": ("ALGORITHM" if seen.mark == "algorithm" else "UNEXPECTED") if constant else None,
        "trailing": "TRAILING" if seen.mark == "wrap" else None,
        "byte-more": "UNEXPECTED" if fixed_size else None,
        "byte-less": "UNEXPECTED" if fixed_size else None,
    }
    return verdicts[kind]
