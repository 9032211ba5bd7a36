# SPDX-License-Identifier: Apache-2.0
"""TLS with a certificate of the device's own."""

import ssl


def tls_context(root: str) -> object:
    """Return a context with the authority, certificate and key in `root`: ca.der, device.der and device.key.der."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=_bytes(root + "/ca.der"))
    context.load_cert_chain(_bytes(root + "/device.der"), _bytes(root + "/device.key.der"))
    return context


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
