# SPDX-License-Identifier: Apache-2.0
"""Makes envelopes: the signed SUIT manifest with an order for one device (docs/specs/envelope.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signing import cose
from signing.cbor import INT32_MAX, encode
from signing.cose import SigningKey
from signing.identifiers import EnvelopeTarget
from signing.verification_error import VerificationCode, VerificationError

ENVELOPE_TAG = 107
MAX_ENVELOPE_BYTES = 512
MAX_SEQUENCE_JUMP = 1024
MAX_VALUES = 8
MAX_INDEX = 15
UINT32_MAX = 2**32 - 1
MODEL, PARAMETERS = [b"\x00"], [b"\x01"]
REPORT_ALWAYS = 15  # SUIT reporting policy: record success and failure
MATCH = encode([3, REPORT_ALWAYS])


@dataclass(frozen=True, slots=True)
class InstallOrder:
    """Install and run this pack."""

    sequence: int
    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class ConfigureOrder:
    """Set these parameters of this pack, and reset all others to the pack's defaults."""

    sequence: int
    digest: bytes
    values: Mapping[int, int]


Order = InstallOrder | ConfigureOrder


def make(signer: SigningKey, target: EnvelopeTarget, order: Order, delegation: bytes | None = None) -> bytes:
    """Sign an order for one device. Pass the delegation if the device does not hold it yet."""
    _check(order)
    manifest = encode(_install(target, order) if isinstance(order, InstallOrder) else _configure(target, order))
    digest = cose.digest_of(encode(manifest))
    authentication = encode([digest, cose.sign1(signer, digest, detached=True)])
    chain = {} if delegation is None else {1: encode([[delegation]])}
    return bytes([0xD8, ENVELOPE_TAG]) + encode({**chain, 2: authentication, 3: manifest})


def _install(target: EnvelopeTarget, order: InstallOrder) -> dict[int, object]:
    parameters = {
        1: target.vendor,
        2: target.klass,
        3: cose.suit_digest(order.digest),
        14: order.size,
        24: target.device,
    }
    shared = [20, parameters, 1, REPORT_ALWAYS, 2, REPORT_ALWAYS, 24, REPORT_ALWAYS]
    common = encode({2: [MODEL], 4: encode(shared)})
    return {1: 1, 2: order.sequence, 3: common, 7: MATCH, 20: MATCH}


def _configure(target: EnvelopeTarget, order: ConfigureOrder) -> dict[int, object]:
    parameters = {3: cose.suit_digest(order.digest), 24: target.device}
    common = encode({2: [MODEL, PARAMETERS], 4: encode([12, 0, 20, parameters, 24, REPORT_ALWAYS])})
    content = encode(dict(sorted(order.values.items())))
    install = [12, 0, 3, REPORT_ALWAYS, 12, 1, 20, {18: content}, 18, REPORT_ALWAYS]
    return {1: 1, 2: order.sequence, 3: common, 20: encode(install)}


def _check(order: Order) -> None:
    """Refuse to sign an order that no device could accept."""
    valid = 1 <= order.sequence <= UINT32_MAX
    if isinstance(order, InstallOrder):
        valid = valid and 1 <= order.size <= UINT32_MAX
    else:
        valid = valid and len(order.values) <= MAX_VALUES
        valid = valid and all(0 <= index <= MAX_INDEX for index in order.values)
        valid = valid and all(-1 - INT32_MAX <= value <= INT32_MAX for value in order.values.values())
    if not valid:
        raise VerificationError(VerificationCode.OUT_OF_RANGE, f"no device can accept {order}")
