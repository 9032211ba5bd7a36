# SPDX-License-Identifier: Apache-2.0
"""The first flash content of a device, and its layout."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from reconciler.devices import initial_flash_content
from reconciler.devices.initial_flash_content import NotProvisionable
from reconciler.model import (  # fmt: skip
    Commit,
    Desired,
    Device,
    DeviceId,
    DeviceLink,
    DeviceType,
    FlashMap,
    Fleet,
    ModelRef,
    MqttAddress,
    Region,
    SerialAddress,
    TypeId,
    Version,
)
from signing.identifiers import EngineContract, target

FLASH = FlashMap(bytes=65536, provisioned=Region(8192, 8192), journal=Region(16384, 8192), chip="esp32c3")
KIND = DeviceType(TypeId("pump"), "rv32imc", 65536, 1024, frozenset({"THRESHOLD"}), flash=FLASH)
SEED, ROOT = bytes(range(32)), bytes(range(32, 64))
PACKS = [b"first" * 101, b"second" * 50]
REFS = [ModelRef("a", Version("1")), ModelRef("b", Version("2"))]


def _desired(kind: DeviceType = KIND, link: DeviceLink | None = None) -> tuple[Desired, Device]:
    device = Device(DeviceId("pump-1"), kind.name, link or MqttAddress())
    return Desired(Commit(""), Fleet("plant"), {}, {kind.name: kind}, {device.name: device}, {}, {}), device


def test_identity_of_a_device() -> None:
    for link, address in ((MqttAddress(), 0), (SerialAddress("/dev/line", 2400, 17), 17)):
        made = initial_flash_content.identity_of(*_desired(link=link), ROOT, SEED)
        named = target("plant", "pump-1", EngineContract(1, frozenset({"THRESHOLD"})))
        assert (made.vendor, made.class_id, made.device) == (named.vendor, named.klass, named.device)
        assert (made.root_public, made.seed, made.address) == (ROOT, SEED, address)
        assert (made.type_name, made.fleet, made.name) == ("pump", "plant", "pump-1")
        assert SEED.hex() not in repr(made)


def test_a_name_that_does_not_fit_the_flash_is_reported() -> None:
    desired, device = _desired(replace(KIND, name=TypeId("p" * 40)))
    identity = initial_flash_content.identity_of(desired, device, ROOT, SEED)
    with pytest.raises(NotProvisionable, match="does not fit"):
        initial_flash_content.region_of(identity, PACKS)


def test_pieces_and_the_whole_image_agree() -> None:
    region = initial_flash_content.region_of(initial_flash_content.identity_of(*_desired(), ROOT, SEED), PACKS)
    pieces = initial_flash_content.pieces_of(FLASH, region)
    assert [(piece.name, piece.offset, len(piece.data)) for piece in pieces] == [
        ("provisioned", 8192, 4096),
        ("journal", 16384, 8192),
    ]
    whole = bytearray(b"\xff" * FLASH.bytes)
    for piece in pieces:
        whole[piece.offset : piece.offset + len(piece.data)] = piece.data
    assert bytes(whole) == initial_flash_content.whole(FLASH, region)


@pytest.mark.parametrize("flash", [FLASH, None])
def test_the_flash_map(flash: FlashMap | None) -> None:
    kind = replace(KIND, flash=flash)
    base = flash.provisioned.offset if flash else 0
    region = initial_flash_content.region_of(initial_flash_content.identity_of(*_desired(kind), ROOT, SEED), PACKS)
    rows = initial_flash_content.map_of(kind, REFS, PACKS)
    for number, (row, pack, ref) in enumerate(zip(rows[1:], PACKS, REFS, strict=False)):
        assert region[row.offset - base :][: row.length] == pack
        assert row.what.startswith(str(ref))
        assert struct.unpack_from("<II", region, 316 + 40 * number) == (row.offset - base, row.length)
    assert (rows[0].offset, rows[0].length) == (base, 640)
    if flash:
        assert rows[-2].offset + rows[-2].length == 16384
        assert (rows[-1].offset, rows[-1].length) == (16384, 8192)


def test_a_device_without_prebaked_models() -> None:
    initial_flash_content.check(KIND, [])
    assert len(initial_flash_content.region_of(initial_flash_content.identity_of(*_desired(), ROOT, SEED), [])) == 640
    assert [row.length for row in initial_flash_content.map_of(KIND, [], [])] == [640, 8192 - 640, 8192]


@pytest.mark.parametrize(
    ("flash", "packs", "why"),
    [
        (FLASH, [b"x"] * 9, "holds at most 8"),
        (None, [b"x"] * 9, "holds at most 8"),
        (FLASH, [bytes(7553)], "need 8193 bytes, the provisioned region has 8192"),
        (replace(FLASH, provisioned=Region(8193, 8192)), [], "provisioned is not aligned"),
        (replace(FLASH, provisioned=Region(8192, 8000)), [], "provisioned is not aligned"),
        (replace(FLASH, journal=Region(16385, 8192)), [], "journal is not aligned"),
        (replace(FLASH, erase_bytes=16384), [], "provisioned is not aligned"),
        (replace(FLASH, bytes=24575), [], "journal exceeds"),
        (replace(FLASH, journal=Region(12288, 8192)), [], "overlap"),
        (replace(FLASH, journal=Region(4096, 8192)), [], "overlap"),
    ],
)
def test_an_impossible_layout_is_rejected_before_any_key(flash: FlashMap | None, packs: list[bytes], why: str) -> None:
    with pytest.raises(NotProvisionable, match=why):
        initial_flash_content.check(replace(KIND, flash=flash), packs)


def test_a_layout_that_just_fits() -> None:
    initial_flash_content.check(KIND, [bytes(7552)])
    initial_flash_content.check(replace(KIND, flash=replace(FLASH, bytes=24576)), [b"x"] * 8)
    initial_flash_content.check(replace(KIND, flash=replace(FLASH, journal=Region(0, 8192))), [])
