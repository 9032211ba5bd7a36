# SPDX-License-Identifier: Apache-2.0
"""Reads the SUIT manifest of an envelope whose signature is already verified: step V15, in a single pass."""

from __future__ import annotations

from dataclasses import dataclass

from signing import cose
from signing.cbor import MAP, CborReader
from signing.envelope import (
    MAX_INDEX,
    MAX_VALUES,
    MODEL,
    PARAMETERS,
    REPORT_ALWAYS,
    UINT32_MAX,
    ConfigureOrder,
    InstallOrder,
    Order,
)
from signing.identifiers import UUID_BYTES
from signing.verification_error import VerificationCode, require

INSTALL_KEYS, CONFIGURE_KEYS = 5, 4
VALIDATE, INSTALL = 7, 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of a manifest. A configure order names neither vendor nor class."""

    order: Order
    device: bytes
    vendor: bytes | None = None
    klass: bytes | None = None


def read_manifest(data: bytes) -> Manifest:
    """Read a whole manifest. The number of keys distinguishes the two kinds of order."""
    reader = CborReader(data)
    read = _read_install if reader.count_of(MAP, (CONFIGURE_KEYS, INSTALL_KEYS)) == INSTALL_KEYS else _read_configure
    reader.constants(1, 1, 2)
    sequence = reader.uint(UINT32_MAX, minimum=1)
    reader.constants(3)
    return read(reader, sequence)


def _read_install(reader: CborReader, sequence: int) -> Manifest:
    common, shared = _read_common(reader, MODEL)
    shared.array(8)
    shared.constants(20)
    shared.map(5)
    shared.constants(1)
    vendor = shared.byte_string(UUID_BYTES)
    shared.constants(2)
    klass = shared.byte_string(UUID_BYTES)
    shared.constants(3)
    digest = cose.read_digest(shared.inner())
    shared.constants(14)
    size = shared.uint(UINT32_MAX, minimum=1)
    shared.constants(24)
    device = shared.byte_string(UUID_BYTES)
    shared.constants(1, REPORT_ALWAYS, 2, REPORT_ALWAYS, 24, REPORT_ALWAYS)
    shared.end()
    common.end()
    for key in (VALIDATE, INSTALL):
        reader.constants(key)
        match = reader.inner()
        match.array(2)
        match.constants(3, REPORT_ALWAYS)
        match.end()
    reader.end()
    return Manifest(InstallOrder(sequence, digest, size), device, vendor, klass)


def _read_configure(reader: CborReader, sequence: int) -> Manifest:
    common, shared = _read_common(reader, MODEL, PARAMETERS)
    shared.array(6)
    shared.constants(12, 0, 20)
    shared.map(2)
    shared.constants(3)
    digest = cose.read_digest(shared.inner())
    shared.constants(24)
    device = shared.byte_string(UUID_BYTES)
    shared.constants(24, REPORT_ALWAYS)
    shared.end()
    common.end()
    reader.constants(INSTALL)
    install = reader.inner()
    install.array(10)
    install.constants(12, 0, 3, REPORT_ALWAYS, 12, 1, 20)
    install.map(1)
    install.constants(18)
    values = _read_values(install.inner())
    install.constants(18, REPORT_ALWAYS)
    install.end()
    reader.end()
    return Manifest(ConfigureOrder(sequence, digest, values), device)


def _read_common(reader: CborReader, *components: list[bytes]) -> tuple[CborReader, CborReader]:
    """Read up to the shared sequence; the caller continues in both readers."""
    common = reader.inner()
    common.map(2)
    common.constants(2)
    common.array(len(components))
    for component in components:
        common.array(len(component))
        for part in component:
            common.literal(part)
    common.constants(4)
    return common, common.inner()


def _read_values(reader: CborReader) -> dict[int, int]:
    """Read the parameter values, the only map whose keys are not fixed."""
    values: dict[int, int] = {}
    count = reader.count(MAP)
    require(count <= MAX_VALUES, VerificationCode.OUT_OF_RANGE, f"{count} values")
    last = -1
    for _ in range(count):
        index = reader.uint(MAX_INDEX)
        require(index > last, VerificationCode.NOT_CANONICAL, f"index {index} after {last}")
        values[index] = reader.integer()
        last = index
    reader.end()
    return values
