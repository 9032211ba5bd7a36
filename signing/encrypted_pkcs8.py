# SPDX-License-Identifier: Apache-2.0
"""Passphrase-encrypted PKCS#8 with scrypt.

The library's own encryption derives the key with 2,048 rounds of PBKDF2, which is too weak for a root key file that
might be stolen. This module writes PBES2 with scrypt (RFC 7914) at N = 2^14, r = 8, p = 5: each guess costs 16 MiB
and five passes. OpenSSL reads these parameters by default, so `openssl pkey -in root.key` still works.
"""

from __future__ import annotations

import base64
import secrets

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

COST, BLOCK_SIZE, PASSES = 2**14, 8, 5
KEY_BYTES, SALT_BYTES, BLOCK_BITS = 32, 16, 128
INTEGER, OCTETS, OBJECT, SEQUENCE = 0x02, 0x04, 0x06, 0x30
PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
AES_256_CBC = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42
LINE = 64
SHORT_LENGTH_LIMIT = 128


def encrypted_pem(key: Ed25519PrivateKey | EllipticCurvePrivateKey, passphrase: bytes) -> bytes:
    """Encrypt a private key and return it as PEM."""
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, iv = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(BLOCK_BITS // 8)
    secret = Scrypt(salt=salt, length=KEY_BYTES, n=COST, r=BLOCK_SIZE, p=PASSES).derive(passphrase)
    padder = padding.PKCS7(BLOCK_BITS).padder()
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor()
    cipher = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    cost = _der(SEQUENCE, _der(OCTETS, salt), _integer(COST), _integer(BLOCK_SIZE), _integer(PASSES))
    derivation = _der(SEQUENCE, _der(OBJECT, SCRYPT), cost)
    encryption = _der(SEQUENCE, _der(OBJECT, AES_256_CBC), _der(OCTETS, iv))
    algorithm = _der(SEQUENCE, _der(OBJECT, PBES2), _der(SEQUENCE, derivation, encryption))
    return _pem(_der(SEQUENCE, algorithm, _der(OCTETS, cipher)))


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    encoded = bytes([length]) if length < SHORT_LENGTH_LIMIT else bytes([0x81, length])
    return bytes([tag]) + encoded + content


def _integer(value: int) -> bytes:
    return _der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[at : at + LINE] for at in range(0, len(text), LINE)]
    return b"\n".join([b"-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b""])
