# SPDX-License-Identifier: Apache-2.0
"""Signed bodies that violate the protocol: the type and the range of each field are checked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.devices.errors import Malformed
from reconciler.devices.flash_image import ADDRESS_MAX, Identity, provisioned_region
from reconciler.devices.line_quality import MEMORY_BITS, LineQuality, best_block_bytes
from reconciler.devices.reports import (
    CapabilitiesBody,
    DecisionReason,
    DeviceReport,
    Flag,
    ModelLocation,
    ParametersBody,
    Score,
    Summary,
    encode_body,
    parse_body,
)
from reconciler.devices.strict_cbor import dump, items, load
from reconciler.model import Phase

REPORT = DeviceReport(
    counter=9, sequence=4, epoch=1, gateway=b"\x11" * 8, phase=Phase.CONFIRMED, location=ModelLocation.SLOT_A,
    running=bytes(16), other=None, why=DecisionReason.CONFIRMED, failed=None, error=-31, flags=Flag(0),
    parameters=0, boots=3, inferences=120, anomalies=7, faults=1, transfer=None,
)  # fmt: skip
CAPABILITIES = CapabilitiesBody(
    type="board", class_id=bytes(16), pack_format=1, operators=b"\x01", slot_bytes=8192, arena_bytes=1024,
    block_bytes=512, block_ms=0, updates=True, prebaked=(bytes(16),), firmware="1.4.0",
)  # fmt: skip
SLOW = replace(CAPABILITIES, answer_ms=6_500)
SUMMARY = Summary(bytes(16), 120, 7, 1, 2, Score(2, -4, 4, 0, (1, 1, 0, 0, 0, 0, 0, 0)))
PARAMETERS = ParametersBody(bytes(16), {0: -5})
ERROR_AT, UPDATES_AT, PREBAKED_AT, FIRMWARE_AT, ANSWER_AT = 11, 9, 10, 11, 12  # positions in the encoded arrays


def with_field(body: DeviceReport | CapabilitiesBody | Summary | ParametersBody, at: int, value: object) -> bytes:
    """Encode a body with one field replaced."""
    fields = list(items(load(encode_body(body)), "a body"))
    fields[at] = value
    return dump(fields)


@pytest.mark.parametrize("body", [REPORT, CAPABILITIES, SLOW, SUMMARY, PARAMETERS])
def test_every_body_round_trips(body: DeviceReport | CapabilitiesBody | Summary | ParametersBody) -> None:
    assert parse_body(encode_body(body)) == body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (with_field(REPORT, 0, 7), "unknown kind of body 7"),
        (with_field(REPORT, ERROR_AT, 1 << 31), "error must be a whole number of 32 bits"),
        (with_field(REPORT, ERROR_AT, b"x"), "error must be a whole number of 32 bits"),
        (with_field(CAPABILITIES, UPDATES_AT, 1), "updates must be true or false"),
        (
            with_field(CAPABILITIES, PREBAKED_AT, [bytes(16)] * 9),
            "9 pre-baked models",
        ),
        (with_field(CAPABILITIES, FIRMWARE_AT, "x" * 32), "firmware must be text of at most 31 bytes"),
        (with_field(CAPABILITIES, FIRMWARE_AT, b"1.4.0"), "firmware must be text of at most 31 bytes"),
        (with_field(SLOW, ANSWER_AT, 2_000), "answer-ms must be left out unless it is more than 2000"),
        (with_field(SLOW, ANSWER_AT, 60_001), "answer-ms must be a whole number from 0 to 60000"),
        (with_field(PARAMETERS, 2, [1, 2]), "parameters must be a map"),
        (with_field(SUMMARY, 6, [1, 2]), "score must be an array of 5 items"),
    ],
)
def test_a_field_of_the_wrong_type_or_out_of_range(data: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        parse_body(data)


# ---------------------------------------------------------------- identity of a device

IDENTITY = Identity(bytes(16), bytes(16), bytes(16), bytes(32), bytes(32), "board", "plant", "pump-1")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vendor": bytes(15)}, "the vendor id has 15 bytes, expected 16"),
        ({"seed": bytes(33)}, "the seed has 33 bytes, expected 32"),
        ({"address": ADDRESS_MAX + 1}, "the serial address 248 must be between 0 and 247"),
    ],
)
def test_an_identity_that_does_not_fit_the_region(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(IDENTITY, **changes)  # type: ignore[arg-type]  # a test's shorthand


def test_too_many_packs_or_too_long_a_name() -> None:
    with pytest.raises(ValueError, match="9 pre-baked packs, but a device holds at most 8"):
        provisioned_region(IDENTITY, [b"pack"] * 9)
    with pytest.raises(ValueError, match="does not fit 63 bytes"):
        provisioned_region(replace(IDENTITY, name="n" * 64))


# ---------------------------------------------------------------- noise


def test_old_noise_counts_less() -> None:
    noise = LineQuality()
    while noise.bits < MEMORY_BITS - 8000:
        noise.record_frame(1000, bit_errors=1)
    noisy = noise.bit_error_rate
    for _ in range(2 * MEMORY_BITS // 8000):
        noise.record_frame(1000, bit_errors=0)
    assert noise.bits <= MEMORY_BITS
    assert noise.bit_error_rate < noisy / 3


def test_a_line_without_errors_takes_the_largest_blocks() -> None:
    assert best_block_bytes(0.0, 1024) == 1024
    assert best_block_bytes(1e-3, 1024) < best_block_bytes(1e-5, 1024)
