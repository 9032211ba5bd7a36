# SPDX-License-Identifier: Apache-2.0
"""Describes an envelope as text for people. It does not verify anything, and no decision depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from signing import cose
from signing.cbor import CborReader
from signing.delegation import read_claims
from signing.envelope import InstallOrder
from signing.manifest import Manifest, read_manifest
from signing.verify import EnvelopeFrame, only_delegation, read_frame


def describe(envelope: bytes) -> str:
    """Describe an envelope of the profile; reject anything else with the reason."""
    frame = read_frame(envelope)
    lines = [f"SUIT envelope, {len(envelope)} bytes, {_delegation(frame)}"]
    lines += [f"signed by        {frame.signature.key_id.hex()} (Ed25519)"]
    lines += _order(read_manifest(frame.manifest))
    return "\n".join(lines)


def _delegation(frame: EnvelopeFrame) -> str:
    if frame.chain is None:
        return "without a delegation: the device already holds it"
    message = cose.read(CborReader(only_delegation(CborReader(frame.chain))), cose.SIGN1_TAG)
    grant = read_claims(message.payload)
    until = (
        ""
        if grant.not_after is None
        else f" until {datetime.fromtimestamp(grant.not_after, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )
    return (
        f"with a delegation: root {message.key_id.hex()} lets {grant.key_id.hex()} sign in epoch {grant.epoch}{until}"
    )


def _order(manifest: Manifest) -> Iterator[str]:
    order = manifest.order
    yield f"device           {UUID(bytes=manifest.device)}"
    if manifest.vendor is not None and manifest.klass is not None:
        yield f"vendor           {UUID(bytes=manifest.vendor)}"
        yield f"class            {UUID(bytes=manifest.klass)}"
    yield f"sequence number  {order.sequence}"
    if isinstance(order, InstallOrder):
        yield f"order            run the pack of {order.size} bytes with SHA-256 {order.digest.hex()}"
    else:
        values = (
            ", ".join(f"{index} = {value}" for index, value in order.values.items()) or "none, all reset to defaults"
        )
        yield f"order            set parameters of the pack with SHA-256 {order.digest.hex()}: {values}"
