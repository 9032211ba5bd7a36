# SPDX-License-Identifier: Apache-2.0
"""Intel HEX and UF2 files have exactly the given pieces, at their addresses."""

from __future__ import annotations

import io
import random
import struct

import pytest
from intelhex import IntelHex  # another implementation, which esptool uses

from reconciler.devices.flash_files import UF2_FAMILIES, intel_hex, uf2
from reconciler.devices.initial_flash_content import FlashPiece

CHANCE = random.Random(5)
PIECES = (
    FlashPiece("provisioned", 0xFFF0, CHANCE.randbytes(1000)),  # over a border of 64 KB
    FlashPiece("journal", 0x42000, b"\xff" * 4096),
)


@pytest.mark.parametrize("address", [0, 0x08000000, 0x10000000])
def test_another_implementation_reads_the_same_from_intel_hex(address: int) -> None:
    read = IntelHex(io.StringIO(intel_hex(PIECES, address).decode()))
    assert read.segments() == [(address + piece.offset, address + piece.offset + len(piece.data)) for piece in PIECES]
    for piece in PIECES:
        assert read.tobinstr(start=address + piece.offset, size=len(piece.data)) == piece.data


def test_uf2_has_blocks_of_512_bytes_with_numbers_addresses_and_family() -> None:
    file = uf2(PIECES, 0x10000000, "rp2040")
    blocks = [file[at : at + 512] for at in range(0, len(file), 512)]
    heads = [struct.unpack_from("<8I", block) for block in blocks]
    assert len(blocks) == 4 + 16
    assert {(head[0], head[1], head[2], head[4], head[6]) for head in heads} == {
        (0x0A324655, 0x9E5D5157, 0x2000, 256, len(blocks))
    }
    assert [head[5] for head in heads] == list(range(len(blocks)))
    assert {head[7] for head in heads} == {0xE48BFF56}
    assert {block[508:] for block in blocks} == {bytes.fromhex("306fb10a")}
    read = {head[3]: block[32:288] for head, block in zip(heads, blocks, strict=True)}
    first = b"".join(read[0x1000FFF0 + at] for at in range(0, 1024, 256))
    assert first == PIECES[0].data + b"\xff" * 24
    assert max(read) == 0x10042F00


def test_families_have_ids_of_their_own() -> None:
    assert len(set(UF2_FAMILIES.values())) == len(UF2_FAMILIES)
