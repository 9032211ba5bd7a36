# SPDX-License-Identifier: Apache-2.0
"""Verifies envelopes: docs/specs/envelope.md section 5, whose steps the comments name."""

from hashlib import sha256

from tinyfleet import ed25519, errors
from tinyfleet.cbor import ARRAY, MAP, NINT, NULL, SIMPLE, TAG, UINT, Reader, head, octets
from tinyfleet.errors import Refused

ENVELOPE_MAX = 512
PARAMETERS_MAX = 8
_KID_BYTES = 8
_INDEX_MAX = 15
_SEQUENCE_JUMP_MAX = 1024
_OUTER = b"\xd8\x6b\xa2"  # the tag, and a map of two entries: an envelope without its delegation
_DIGEST = b"\x82\x2f\x58\x20"  # SUIT_Digest: SHA-256, 32 bytes
_CONTEXT = b"\x6aSignature1"


class Delegation:
    """What a device keeps of its gateway's delegation."""

    def __init__(self, key: bytes, epoch: int, exp: int) -> None:
        self.key = key
        self.epoch = epoch  # 0: the device has none
        self.exp = exp  # 0: none


class Trust:
    """The state of a device that an envelope is checked against."""

    def __init__(self, identity: "dict[str, bytes]", sequence: int, held: Delegation) -> None:
        self.root, self.vendor = identity["root"], identity["vendor"]
        self.klass, self.device = identity["class"], identity["id"]
        self.sequence = sequence
        self.held = held
        self.running: bytes | None = None
        self.slot_bytes = 0
        self.now = 0  # seconds since 1970; 0: unknown


class Manifest:
    """An order: to install a package, or to configure the running one."""

    def __init__(self) -> None:
        self.configure = False
        self.sequence = 0
        self.vendor = self.klass = self.device = self.digest = b""
        self.size = 0
        self.values: list[tuple[int, int]] = []


class Accepted:
    """An envelope that passed all checks."""

    def __init__(self, manifest: Manifest, delegation: Delegation, signed_part: bytes) -> None:
        self.manifest = manifest
        self.delegation = delegation
        self.kept = _OUTER + signed_part  # the envelope without its delegation, as it is stored


def key_id(key: bytes) -> bytes:
    """Return the id of a public key."""
    return sha256(key).digest()[:_KID_BYTES]


class _Sign1:
    """A COSE_Sign1 object; its payload is None when it is detached."""

    def __init__(self, reader: Reader, *, detached: bool) -> None:
        reader.expect(TAG, 18)
        reader.expect(ARRAY, 4)
        inner = reader.inner()
        self.protected = inner.data
        inner.expect(MAP, 2)
        inner.expect(UINT, 1)
        _algorithm(inner, -19)
        inner.expect(UINT, 4)
        self.kid = inner.octets_of(_KID_BYTES)
        inner.end()
        reader.expect(MAP, 0)
        self.payload = b""
        if detached:
            reader.expect(SIMPLE, NULL[0] & 31)
        else:
            self.payload = reader.octets()
        self.signature = reader.octets_of(64)

    def is_signed_by(self, key: bytes, payload: bytes) -> bool:
        message = head(ARRAY, 4) + _CONTEXT + octets(self.protected) + octets(b"") + octets(payload)
        return ed25519.verify(self.signature, key, message)


def _algorithm(reader: Reader, expected: int) -> None:
    if reader.number() != expected:
        raise Refused(errors.ALGORITHM)


def _digest(reader: Reader) -> bytes:
    inner = reader.inner()
    inner.expect(ARRAY, 2)
    _algorithm(inner, -16)
    value = inner.octets_of(32)
    inner.end()
    return value


class _Frame:
    """The outer parts of an envelope (V1 ... V3). Nothing in it is trusted yet."""

    def __init__(self, envelope: bytes) -> None:
        if len(envelope) > ENVELOPE_MAX:
            raise Refused(errors.TOO_LONG)
        reader = Reader(envelope)
        reader.expect(TAG, 107)
        count = reader.head(MAP)
        self.chain: Reader | None = None
        if count == 3:
            reader.expect(UINT, 1)
            self.chain = reader.inner()
        elif count != 2:
            raise Refused(errors.UNEXPECTED)
        signed_at = reader.at
        reader.expect(UINT, 2)
        authentication = reader.inner()
        reader.expect(UINT, 3)
        wrapped_at = reader.at
        self.manifest = reader.octets()
        reader.end()
        self.wrapped = envelope[wrapped_at:]  # with its CBOR head, which the digest covers
        self.signed_part = envelope[signed_at:]
        authentication.expect(ARRAY, 2)
        self.digest = _digest(authentication)
        inner = authentication.inner()
        self.signature = _Sign1(inner, detached=True)
        inner.end()
        authentication.end()

    def check_digest(self) -> None:  # V4
        if sha256(self.wrapped).digest() != self.digest:
            raise Refused(errors.DIGEST)

    def check_signature(self, key: bytes) -> None:  # V13, V14
        if self.signature.kid != key_id(key):
            raise Refused(errors.SIGNER)
        if not self.signature.is_signed_by(key, _DIGEST + self.digest):
            raise Refused(errors.SIGNATURE)


def open_signed(reader: Reader, root: bytes) -> Reader:  # V5 ... V7
    """Return a reader of the payload of what a root has signed."""
    message = _Sign1(reader, detached=False)
    reader.end()
    if message.kid != key_id(root):
        raise Refused(errors.ROOT)
    if not message.is_signed_by(root, message.payload):
        raise Refused(errors.DELEGATION_SIGNATURE)
    return Reader(message.payload)


def read_delegation(reader: Reader, root: bytes, vendor: bytes) -> Delegation:  # V5 ... V9
    """Verify a delegation and return what it grants."""
    delegation, granted = _read_claims(open_signed(reader, root))
    if granted != vendor:
        raise Refused(errors.FLEET)
    return delegation


def _read_chain(chain: Reader, trust: Trust) -> Delegation:
    chain.expect(ARRAY, 1)
    chain.expect(ARRAY, 1)
    inner = chain.inner()
    chain.end()
    return read_delegation(inner, trust.root, trust.vendor)


def read_key(reader: Reader) -> bytes:
    """Read the public key that a root vouches for."""
    reader.expect_items(b"\x08\xa1\x01\xa3\x01\x01\x20\x06\x21")  # cnf, COSE_Key: OKP, Ed25519, x
    return reader.octets_of(32)


def _read_claims(reader: Reader) -> "tuple[Delegation, bytes]":
    count, exp = reader.head(MAP), 0
    if count == 4:
        reader.expect(UINT, 4)
        exp = reader.positive()
    elif count != 3:
        raise Refused(errors.UNEXPECTED)
    key = read_key(reader)
    reader.expect(NINT, 65536)
    vendor = reader.octets_of(16)
    reader.expect(NINT, 65537)
    epoch = reader.positive()
    reader.end()
    return Delegation(key, epoch, exp), vendor


def _find_delegation(frame: _Frame, trust: Trust) -> Delegation:  # V5 ... V12
    delegation = trust.held
    if frame.chain is not None:
        delegation = _read_chain(frame.chain, trust)
        if delegation.epoch < trust.held.epoch:
            raise Refused(errors.REVOKED)
    elif delegation.epoch == 0:
        raise Refused(errors.NO_DELEGATION)
    if trust.now and delegation.exp and trust.now > delegation.exp:
        raise Refused(errors.EXPIRED)
    return delegation


def _read_manifest(data: bytes) -> Manifest:  # V15
    manifest, reader = Manifest(), Reader(data)
    count = reader.head(MAP)
    if count not in {4, 5}:
        raise Refused(errors.UNEXPECTED)
    manifest.configure = count == 4
    reader.expect_items(b"\x01\x01\x02")
    manifest.sequence = reader.positive()
    reader.expect(UINT, 3)
    if manifest.configure:
        _read_configure(reader, manifest)
    else:
        _read_install(reader, manifest)
    reader.end()
    return manifest


def _read_install(reader: Reader, manifest: Manifest) -> None:
    common = reader.inner()
    common.expect_items(b"\xa2\x02\x81\x81\x41\x00\x04")
    shared = common.inner()
    shared.expect_items(b"\x88\x14\xa5\x01")
    manifest.vendor = shared.octets_of(16)
    shared.expect(UINT, 2)
    manifest.klass = shared.octets_of(16)
    shared.expect(UINT, 3)
    manifest.digest = _digest(shared)
    shared.expect(UINT, 14)
    manifest.size = shared.positive()
    shared.expect(UINT, 24)
    manifest.device = shared.octets_of(16)
    shared.expect_items(b"\x01\x0f\x02\x0f\x18\x18\x0f")
    shared.end()
    common.end()
    for key in (7, 20):  # validate, install: image match in both
        reader.expect(UINT, key)
        match = reader.inner()
        match.expect_items(b"\x82\x03\x0f")
        match.end()


def _read_configure(reader: Reader, manifest: Manifest) -> None:
    common = reader.inner()
    common.expect_items(b"\xa2\x02\x82\x81\x41\x00\x81\x41\x01\x04")
    shared = common.inner()
    shared.expect_items(b"\x86\x0c\x00\x14\xa2\x03")
    manifest.digest = _digest(shared)
    shared.expect(UINT, 24)
    manifest.device = shared.octets_of(16)
    shared.expect_items(b"\x18\x18\x0f")
    shared.end()
    common.end()
    reader.expect(UINT, 20)
    steps = reader.inner()
    steps.expect_items(b"\x8a\x0c\x00\x03\x0f\x0c\x01\x14\xa1\x12")
    manifest.values = _read_values(steps.inner())
    steps.expect_items(b"\x12\x0f")
    steps.end()


def _read_values(reader: Reader) -> "list[tuple[int, int]]":
    count = reader.head(MAP)
    if count > PARAMETERS_MAX:
        raise Refused(errors.OUT_OF_RANGE)
    values: list[tuple[int, int]] = []
    for _ in range(count):
        index = reader.head(UINT)
        if index > _INDEX_MAX:
            raise Refused(errors.OUT_OF_RANGE)
        if values and index <= values[-1][0]:
            raise Refused(errors.NOT_CANONICAL)
        values.append((index, reader.number()))
    reader.end()
    return values


def _check_target(manifest: Manifest, trust: Trust) -> None:  # V16 ... V18
    if not manifest.configure and manifest.vendor != trust.vendor:
        raise Refused(errors.VENDOR)
    if not manifest.configure and manifest.klass != trust.klass:
        raise Refused(errors.CLASS)
    if manifest.device != trust.device:
        raise Refused(errors.DEVICE)


def _check_contents(manifest: Manifest, trust: Trust) -> None:  # V19 ... V22
    if manifest.sequence <= trust.sequence:
        raise Refused(errors.SEQUENCE)
    if manifest.sequence - trust.sequence > _SEQUENCE_JUMP_MAX:
        raise Refused(errors.SEQUENCE_JUMP)
    if manifest.configure:
        if manifest.digest != trust.running:
            raise Refused(errors.MODEL)
    elif manifest.size > trust.slot_bytes:
        raise Refused(errors.SIZE)


def verify(envelope: bytes, trust: Trust) -> Accepted:
    """Check an envelope that has arrived; raise Refused with the first step that fails."""
    frame = _Frame(envelope)
    frame.check_digest()
    delegation = _find_delegation(frame, trust)
    frame.check_signature(delegation.key)
    manifest = _read_manifest(frame.manifest)
    _check_target(manifest, trust)
    _check_contents(manifest, trust)
    return Accepted(manifest, delegation, frame.signed_part)


def verify_kept(envelope: bytes, signer: bytes, trust: Trust, digest: bytes, size: int) -> None:
    """Check the stored envelope of a slot again, with the key, digest and size that were recorded next to it."""
    frame = _Frame(envelope)
    frame.check_digest()
    frame.check_signature(signer)
    manifest = _read_manifest(frame.manifest)
    _check_target(manifest, trust)
    if manifest.configure or (manifest.digest, manifest.size) != (digest, size):
        raise Refused(errors.IMAGE)
    if manifest.sequence > trust.sequence:
        raise Refused(errors.SEQUENCE)
