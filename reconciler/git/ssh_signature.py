# SPDX-License-Identifier: Apache-2.0
"""Whether an SSH signature is written in the one form that ssh-keygen gives it.

ssh-keygen reads more than it writes: other line breaks, fields that it ignores, numbers with zeros in front, and in an
Ed25519 signature the same number plus the order of the group. None of that takes the key, and all of it verifies. The
formats are those of OpenSSH's PROTOCOL.sshsig, RFC 4253 (section 6.6), RFC 5656 (section 3.1.2) and RFC 8709.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_LINE: Final = 70  # characters of base64 in each line
_PREAMBLE: Final = b"SSHSIG\0\0\0\1"  # with the version, which ssh-keygen also accepts as 0
_LENGTH_BYTES: Final = 4
_SIGN_BIT: Final = 0x80
_ED25519: Final = (b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com")
_ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493  # RFC 8032, section 5.1.7: S is below it
_R_BYTES: Final = 32


def is_canonical(armored: str) -> bool:
    """Return whether ssh-keygen would write a signature like this."""
    begin, *lines, end = (armored if "\n" in armored else f"{armored}\n").split("\n")
    try:
        blob = base64.b64decode("".join(lines), validate=True)
    except binascii.Error:
        return False
    text = base64.b64encode(blob).decode("ascii")
    written = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return [begin, *lines, end] == [BEGIN, *written, _END] and _is_blob_canonical(blob)


def _is_blob_canonical(blob: bytes) -> bool:
    match _fields(blob.removeprefix(_PREAMBLE)):
        case [key, _, reserved, _, signature] if blob.startswith(_PREAMBLE):
            return reserved == b"" and _is_key_canonical(key) and _is_signature_canonical(signature)
        case _:
            return False


def _is_key_canonical(key: bytes) -> bool:
    match _fields(key):
        case [b"ssh-rsa", *numbers]:
            return all(map(_is_shortest, numbers))
        case _:  # the keys of the other algorithms have one form
            return True


def _is_signature_canonical(signature: bytes) -> bool:
    match _fields(signature, count=2):
        case [algorithm, value] if algorithm in _ED25519:
            return int.from_bytes(value[_R_BYTES:], "little") < _ED25519_ORDER
        case [algorithm, value] if b"ecdsa-" in algorithm:
            numbers = _fields(value)
            return numbers is not None and all(map(_is_shortest, numbers))
        case [_, _]:
            return True
        case _:
            return False


def _fields(data: bytes, count: int | None = None) -> list[bytes] | None:
    """Split data into fields with their length in front, at most `count` of them; None: the data is malformed."""
    fields: list[bytes] = []
    while data and len(fields) != count:
        end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
        if end > len(data):
            return None
        fields.append(data[_LENGTH_BYTES:end])
        data = data[end:]
    return fields


def _is_shortest(number: bytes) -> bool:
    """Return whether a number has no byte in front but the zero that keeps it positive."""
    return number[:1] != b"\0" or number[1:2] >= bytes([_SIGN_BIT])
