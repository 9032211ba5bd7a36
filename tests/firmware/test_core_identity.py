# SPDX-License-Identifier: Apache-2.0
"""Provisioned regions that the core refuses (docs/specs/flash.md, section 1)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.firmware.bench import Bench, Made
from tests.firmware.host import AgentError, HostAgent, Wear
from tests.firmware.orders import PREBAKED, SECOND_PREBAKED, SMALL, Delivery, deliver, digest, report

FLASH, PROVISIONED = -64, -66
ADDRESS_AT, COUNT_AT, TYPE_AT, FLEET_AT, NAME_AT, PREBAKED_AT, CRC_AT = 152, 153, 156, 188, 252, 316, 636


def changed(made: Made, at: int, data: bytes, *, sealed: bool = True) -> bytes:
    """Return a region with other bytes at a place, and the CRC that belongs to them."""
    region = bytearray(made.region(PREBAKED))
    region[at : at + len(data)] = data
    if sealed:
        region[CRC_AT : CRC_AT + 4] = zlib.crc32(region[:CRC_AT]).to_bytes(4, "little")
    return bytes(region)


def entry(offset: int, size: int) -> bytes:
    return struct.pack("<II", offset, size)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (0, b"TFPW"),
        (4, b"\2"),
        (6, b"\x81"),
        (ADDRESS_AT, bytes([248])),
        (COUNT_AT, b"\x09"),
        (TYPE_AT + 31, b"x"),
        (FLEET_AT + 63, b"x"),
        (NAME_AT + 63, b"x"),
        (PREBAKED_AT, entry(644, 64)),
        (PREBAKED_AT, entry(632, 64)),
        (PREBAKED_AT, entry(SMALL.provisioned + 8, 0)),
        (PREBAKED_AT, entry(648, SMALL.provisioned - 648 + 1)),
        (PREBAKED_AT, entry(648, 2**32 - 600)),
    ],
)
def test_a_region_that_is_not_as_specified_is_refused(
    make_core: Callable[..., HostAgent], made: Made, at: int, data: bytes
) -> None:
    with pytest.raises(AgentError) as refused:
        make_core(changed(made, at, data))
    assert refused.value.args == (PROVISIONED,)


def test_a_region_may_be_anywhere_in_flash(make_core: Callable[..., HostAgent], bench: Bench, made: Made) -> None:
    """Its offsets count from its start, so that one file fits all layouts."""
    agent = make_core(made.region(PREBAKED, SECOND_PREBAKED), replace(SMALL, journal_first=True))
    assert agent.running() == digest(PREBAKED)
    assert deliver(agent, Delivery(bench.install(made, SECOND_PREBAKED, 1))).code == 0
    assert report(agent, made).running == digest(SECOND_PREBAKED)[:16]


@pytest.mark.parametrize("at", [*range(0, 640, 64), 636])
def test_a_region_that_can_not_be_read_is_an_error_of_flash(newborn: HostAgent, at: int) -> None:
    """Not one of the factory."""
    newborn.wear_flash(at, 1, Wear.UNREADABLE)
    with pytest.raises(AgentError) as refused:
        newborn.boot()
    assert refused.value.args == (FLASH,)


@pytest.mark.parametrize("at", [8, 200, 635, 636, 639])
def test_a_region_with_a_wrong_crc_is_refused(make_core: Callable[..., HostAgent], made: Made, at: int) -> None:
    byte = made.region(PREBAKED)[at]
    with pytest.raises(AgentError) as refused:
        make_core(changed(made, at, bytes([byte ^ 1]), sealed=False))
    assert refused.value.args == (PROVISIONED,)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (ADDRESS_AT, bytes([247])),
        (COUNT_AT, b"\x08" + bytes(2) + bytes(0)),
        (PREBAKED_AT + 40, entry(SMALL.provisioned, 0)),
        (PREBAKED_AT + 40, entry(648, SMALL.provisioned - 648)),
    ],
    ids=["address", "count", "empty at the end", "up to the end"],
)
def test_a_region_at_its_limits_is_accepted(
    make_core: Callable[..., HostAgent], made: Made, at: int, data: bytes
) -> None:
    filler = b"".join(entry(640, 0) + bytes(32) for _ in range(7))
    region = bytearray(changed(made, PREBAKED_AT + 40, filler))
    region[at : at + len(data)] = data
    if at >= PREBAKED_AT:
        region[COUNT_AT] = 2
    region[CRC_AT : CRC_AT + 4] = zlib.crc32(region[:CRC_AT]).to_bytes(4, "little")
    agent = make_core(bytes(region))
    assert agent.running() == digest(PREBAKED)
    assert report(agent, made).boots == 1
