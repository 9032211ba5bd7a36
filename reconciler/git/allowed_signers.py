# SPDX-License-Identifier: Apache-2.0
"""Reads the keys of an allowed_signers file, whose format ssh-keygen(1) describes, and of files to sign with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from reconciler.git.errors import SignersUnreadable

# The first words of a line are the principals and their options; an option's value may be quoted.
_LINE = re.compile(
    r'(?P<principals>"[^"]*"|\S+)\s+(?P<options>(?:[a-z-]+(?:="[^"]*")?,?)+\s+)??'
    r"(?P<kind>(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+)\s+(?P<key>[A-Za-z0-9+/]+=*)(?:\s.*)?",
    re.IGNORECASE,
)
_PUBLIC = re.compile(rb"(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+ ([A-Za-z0-9+/]+=*)(?:\s|$)")


@dataclass(frozen=True, slots=True)
class AllowedKey:
    """One line: who, and the fingerprint of the key as Git and ssh-keygen print it."""

    principal: str
    fingerprint: str


def allowed_keys(path: Path, *, authorities: bool = False) -> tuple[AllowedKey, ...]:
    """Return the keys of a file. A line that this function does not understand is an error, never skipped."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise SignersUnreadable(f"cannot read {path}: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise SignersUnreadable(f"{path} is not a file of allowed signers") from problem
    return tuple(_keys(path, text, authorities=authorities))


def fingerprint_of(path: Path) -> str:
    """Return the fingerprint of a key that signs commits: a private key, or a public one for an agent."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise SignersUnreadable(f"cannot read {path}: {problem.strerror}") from problem
    public = _PUBLIC.match(data)
    if public is not None:
        return _fingerprint(base64.b64decode(public[1]))
    try:
        key = load_ssh_private_key(data, password=None)
    except TypeError as problem:
        raise SignersUnreadable(f"{path} has a passphrase, which a daemon cannot be asked for") from problem
    except (ValueError, UnsupportedAlgorithm) as problem:
        raise SignersUnreadable(f"{path} is not an SSH key") from problem
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return _fingerprint(base64.b64decode(line.split()[1]))


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def _keys(path: Path, text: str, *, authorities: bool) -> Iterator[AllowedKey]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _LINE.fullmatch(stripped)
        if found is None:
            raise SignersUnreadable(f"{path}:{number}: expected a principal, its options, and an SSH public key")
        if not authorities and "cert-authority" in (found["options"] or "").lower():
            raise SignersUnreadable(f"{path}:{number}: name the keys themselves, not a certificate authority")
        try:
            blob = base64.b64decode(found["key"], validate=True)
        except binascii.Error as problem:
            raise SignersUnreadable(f"{path}:{number}: the key is damaged") from problem
        yield AllowedKey(found["principals"].strip('"'), _fingerprint(blob))
