# SPDX-License-Identifier: Apache-2.0
"""RP2040 from its boot ROM on: what the ROM starts, and an update that loses power twice.

The emulator takes seconds to check a signature, so this is all that runs the agent on it; `make powercut-board
CHIP=rp2040` has more.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from firmware.chips.device import ChipDevice
from firmware.chips.elf import read_segments
from firmware.chips.models import make
from firmware.chips.processor import Processor
from firmware.tools.board_images import write_images
from reconciler.devices.messages import Have, Missing, Stage, encode
from reconciler.model import Phase
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.conftest import build
from tests.firmware.talk import digest16, first_blocks, job, question, report_of

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(300)]
ADDRESS = 7
FLASH = 0x10000000
PROVISIONED = FLASH + 0x40000
BOOT2_BYTES = 256
START_US = 10_000
PREBAKED, NEW = make_pack(1), make_pack(3, inputs=700)
UF2_BYTES = 512


@pytest.fixture(scope="module")
def built() -> Path:
    return build("rp2040")


def crc32_mpeg2(data: bytes) -> int:
    """The sum of the RP2040's ROM: not reflected, not inverted."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


@pytest.mark.parametrize("name", ["board-check", "tinyfleet"])
def test_the_second_stage_ends_with_its_sum(built: Path, name: str) -> None:
    boot2 = read_segments(built / f"{name}.elf")[FLASH]
    assert len(boot2) == BOOT2_BYTES
    assert f"{crc32_mpeg2(boot2[:-4]):#010x}" == f"{struct.unpack('<I', boot2[-4:])[0]:#010x}", "boot2.S: the last word"


def said(chip: Processor) -> bytes:
    """Run for a while after power on, and return what the chip sends."""
    while chip.chip.now_us < START_US:
        chip.step()
        if chip.idle:
            chip.sleep(START_US)
    return bytes(chip.chip.sent)


def test_the_boot_rom_starts_only_a_second_stage_that_is_whole(built: Path) -> None:
    elf = built / "board-check.elf"
    assert said(make("rp2040", elf, {})) == b"!"
    boot2 = bytearray(read_segments(elf)[FLASH])
    boot2[100] ^= 1  # behind its code
    assert said(make("rp2040", elf, {FLASH: bytes(boot2)})) == b""


def test_it_starts_what_the_uf2_file_has(built: Path, tmp_path: Path) -> None:
    (file,) = (file for file in write_images(built, "rp2040", tmp_path) if file.name == "rp2040-board-check.uf2")
    blocks = [file.read_bytes()[at : at + UF2_BYTES] for at in range(0, file.stat().st_size, UF2_BYTES)]
    places = [struct.unpack_from("<I", block, 12)[0] for block in blocks]
    assert places == list(range(FLASH, FLASH + 256 * len(blocks), 256)), "the ROM takes whole pages at their place"
    nothing = tmp_path / "nothing.elf"
    nothing.write_bytes(b"\x7fELF\x01\x01".ljust(52, b"\0"))
    written = {at: block[32 : 32 + 256] for at, block in zip(places, blocks, strict=True)}
    assert said(make("rp2040", nothing, {})) == b""
    assert said(make("rp2040", nothing, written)) == b"!"


def test_an_update_loses_power_twice_while_staging(built: Path) -> None:
    bench = Bench("plant")
    made = bench.device("pump-1", address=ADDRESS)
    chip = make("rp2040", built / "tinyfleet.elf", {PROVISIONED: made.region(PREBAKED)})
    device, flash = ChipDevice(chip, ADDRESS), chip.chip.flash
    before = report_of(device, made)
    assert before.running == digest16(PREBAKED)
    work = job(made, bench.install(made, NEW, 1), NEW, before)
    first_blocks(device, work, work.blocks)
    for cut, operation in enumerate((1, 4), start=1):
        assert question(device, Missing(work.transfer)) == Have(work.transfer, work.blocks, b"")
        flash.cut_at = flash.operations + operation
        device.say(encode(Stage(work.transfer)))
        while device.cuts < cut and flash.operations < flash.cut_at:
            device.let_pass(0.1)
        assert device.cuts == cut
    device.say(encode(Stage(work.transfer)))
    assert confirmed(device, made) == digest16(NEW)


def confirmed(device: ChipDevice, made: Made) -> bytes | None:
    """Wait until it is confirmed, and return the digest of what runs."""
    report = report_of(device, made)
    while report.phase is not Phase.CONFIRMED:
        assert report.error == 0
        device.let_pass(1.0)
        report = report_of(device, made)
    return report.running
