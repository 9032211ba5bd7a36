# SPDX-License-Identifier: Apache-2.0
"""Reads when the certificates that a gateway depends on expire. A file is read again only when it was replaced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from reconciler.config import MqttConfig, UplinkConfig
from reconciler.report.expiry import Expiry
from signing.delegation import Delegation

AUTHORITY, GATEWAY, BROKER = "certificate authority", "gateway certificate", "broker certificate"
REVOCATION_LIST, DELEGATION = "revocation list", "delegation"
MAX_BYTES = 64 << 20  # of a revocation list with a million entries

Version = tuple[int, int, int]  # inode, time of change and size


class CertificateWatch:
    """The expiry dates of the files that the configuration names, of the delegation and of the broker."""

    def __init__(
        self,
        mqtt: MqttConfig | None,
        uplinks: Sequence[UplinkConfig] = (),
        delegation: Delegation | None = None,
        broker_ends: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        self._mqtt, self._uplinks = mqtt, uplinks
        self._delegation = delegation
        self._broker_ends = broker_ends
        self._read: dict[Path, tuple[Version, Expiry]] = {}

    def expiries(self) -> tuple[Expiry, ...]:
        """Return what expires at some time, or can't be read."""
        return tuple(self._expiries())

    def _expiries(self) -> Iterator[Expiry]:
        if self._delegation is not None and self._delegation.not_after is not None:
            yield Expiry(DELEGATION, datetime.fromtimestamp(self._delegation.not_after, UTC))
        if self._mqtt is not None:
            files = ((AUTHORITY, self._mqtt.ca), (GATEWAY, self._mqtt.certificate), (REVOCATION_LIST, self._mqtt.crl))
            yield from (self._of_file(name, path) for name, path in files if path is not None)
        for uplink in self._uplinks:
            yield self._of_file(f"certificate for {uplink.gateway}", uplink.certificate)
        ends = self._broker_ends()
        if ends is not None:
            yield Expiry(BROKER, ends)

    def _of_file(self, name: str, path: Path) -> Expiry:
        try:
            status = path.stat()
            version = (status.st_ino, status.st_mtime_ns, status.st_size)
            known = self._read.get(path)
            if known is not None and known[0] == version:
                return known[1]
            expiry = Expiry(name, _earliest_end(path))
        except OSError as error:
            return Expiry(name, None, f"can't read {path}: {error.strerror}")
        except ValueError:
            return Expiry(name, None, f"{path} is neither a certificate nor a revocation list in PEM")
        self._read[path] = (version, expiry)
        return expiry


def _earliest_end(path: Path) -> datetime:
    """Return when the first of a file's certificates or revocation lists expires; raises ValueError if it has none."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES)
    with contextlib.suppress(ValueError):
        return min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(data))
    ends = x509.load_pem_x509_crl(data).next_update_utc
    if ends is None:
        raise ValueError("a revocation list without an end")
    return ends
