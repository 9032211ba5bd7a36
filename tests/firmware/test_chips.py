# SPDX-License-Identifier: Apache-2.0
"""Models of chips: their flash keeps the rules of the manual. And a short form of `make powercut-board`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from firmware.chips.build import BUGS
from firmware.chips.campaign import Campaign
from firmware.chips.elf import read_segments
from firmware.chips.flash_array import Cells, FlashArray, Torn
from firmware.chips.nrf52840 import Nrf52840
from firmware.chips.powercut import PROVISIONED, board, bugs_of, cuts, hunt
from firmware.chips.stm32l4 import Stm32L4
from tests.firmware.conftest import build

SHORT_CUTS = 5
KEYR, SR, CR, ECCR = 0x40022008, 0x40022010, 0x40022014, 0x40022018
ACR = 0x40022000
PG, PER, STRT, LOCK = 1, 2, 1 << 16, 1 << 31
AT = 0x40000


@pytest.fixture
def chip() -> Stm32L4:
    """A chip whose flash is unlocked, with its data cache off."""
    chip = Stm32L4()
    chip.store(ACR, 0)
    chip.store(KEYR, 0x45670123)
    chip.store(KEYR, 0xCDEF89AB)
    return chip


def program(chip: Stm32L4, offset: int, low: int, high: int) -> int:
    """Program a double word as a driver does, and return the errors."""
    chip.store(CR, PG)
    chip.store_flash(offset, 4, low)
    chip.store_flash(offset + 4, 4, high)
    return wait(chip)


def wait(chip: Stm32L4) -> int:
    """Ask until the controller is no longer busy, and return the errors."""
    while (status := chip.load(SR)) & 1 << 16:
        pass
    return status


def test_a_double_word_is_programmed_by_its_second_half(chip: Stm32L4) -> None:
    chip.store(CR, PG)
    chip.store_flash(AT, 4, 0x04030201)
    assert chip.flash.read(AT, 8) == b"\xff" * 8
    chip.store_flash(AT + 4, 4, 0x08070605)
    assert chip.flash.read(AT, 8) == bytes(range(1, 9))
    assert chip.violations == []


def test_an_erase_makes_its_page_blank_and_no_other(chip: Stm32L4) -> None:
    for at in (AT - 8, AT, AT + 2040, AT + 2048):
        assert program(chip, at, 1, 2) == 0
    chip.store(CR, PER | AT // 2048 << 3)
    chip.store(CR, PER | AT // 2048 << 3 | STRT)
    assert chip.flash.read(AT, 2048) == b"\xff" * 2048
    assert {chip.flash.read(at, 4) for at in (AT - 8, AT + 2048)} == {b"\x01\0\0\0"}
    assert chip.load(SR) & 1 << 16, "busy"
    assert wait(chip) == 0
    assert program(chip, AT, 3, 4) == 0
    assert chip.violations == []


@pytest.mark.parametrize(
    ("stores", "rule"),
    [
        ([(AT, 4), (AT + 4, 4), (AT, 4), (AT + 4, 4)], "without an erase"),
        ([(AT + 4, 4)], "is not aligned"),
        ([(AT, 2)], "write of 2 bytes"),
        ([(AT, 4), (AT + 12, 4)], "second half"),
        ([(AT, 4), (AT + 4, 4), (AT + 8, 4), (AT + 12, 4)], "while it is busy"),
    ],
)
def test_what_the_manual_forbids_is_noted(chip: Stm32L4, stores: list[tuple[int, int]], rule: str) -> None:
    chip.store(CR, PG)
    for offset, size in stores:
        chip.store_flash(offset, size, 0x55)
    assert rule in chip.violations[0]


def test_locked_flash_refuses(chip: Stm32L4) -> None:
    chip.store(CR, LOCK)
    chip.store(CR, PG)
    chip.store_flash(AT, 4, 1)
    assert len(chip.violations) == 2
    assert chip.flash.operations == 0


def test_an_error_refuses_the_next_operation_until_it_is_cleared(chip: Stm32L4) -> None:
    assert program(chip, AT, 1, 2) == 0
    assert program(chip, AT, 1, 2) == 1 << 3
    program(chip, AT + 8, 1, 2)
    assert chip.flash.read(AT + 8, 4) == b"\xff" * 4
    chip.store(SR, 1 << 3)
    assert program(chip, AT + 8, 1, 2) == 0


def test_the_data_cache_must_be_off_for_an_erase(chip: Stm32L4) -> None:
    chip.store(ACR, 0x400)
    chip.store(CR, PER | STRT)
    assert "data cache" in chip.violations[0]


def test_a_register_that_is_not_in_the_model_breaks_a_rule(chip: Stm32L4) -> None:
    chip.load(0x40021050)
    chip.store(0x40021050, 1)
    assert len(chip.violations) == 2


@pytest.mark.parametrize("torn", Torn, ids=lambda torn: torn.name.lower())
def test_a_cut_leaves_what_flash_may_hold(torn: Torn) -> None:
    flash = FlashArray(Cells(4096, 8, 2048, (torn,)), random.Random(1))
    flash.cut_at = 1
    flash.program(16, b"12345678")
    assert flash.power_lost
    flash.program(24, b"12345678")
    assert flash.read(24, 8) == b"\xff" * 8, "nothing happens without power"
    blank = b"\xff" * 8
    expected = {
        Torn.UNTOUCHED: (blank, True, False),
        Torn.COMPLETE: (b"12345678", False, False),
        Torn.WEAK: (blank, False, False),
        Torn.MIXED: (flash.read(16, 8), False, False),
    }
    left = (flash.read(16, 8), flash.is_blank(16), 16 in flash.unreadable)
    assert left == expected[torn] if torn in expected else left[1:] == (False, True)
    flash.power_lost = False
    flash.erase(0)
    assert (flash.read(16, 8), flash.is_blank(16), flash.unreadable) == (blank, True, set())


def test_each_bit_of_a_mixture_is_the_old_or_the_new_one() -> None:
    flash = FlashArray(Cells(4096, 4, 4096, (Torn.MIXED,)), random.Random(1))
    flash.cut_at = 1
    flash.program(0, b"\0\0\xff\xff")
    left = flash.read(0, 4)
    assert left[2:] == b"\xff\xff"
    assert 0 < int.from_bytes(left[:2], "little") < 0xFFFF


NVMC_READY, NVMC_CONFIG, NVMC_ERASEPAGE = 0x4001E400, 0x4001E504, 0x4001E508


def test_nrf52840_clears_bits_and_erases_pages() -> None:
    chip = Nrf52840()
    chip.store(NVMC_CONFIG, 1)
    chip.store_flash(AT, 4, 0x0000FFFF)
    assert chip.load(NVMC_READY) == 0
    chip.now_us += 100
    assert chip.load(NVMC_READY) == 1
    chip.store_flash(AT, 4, 0x000000FF)
    assert (chip.flash.read(AT, 4), chip.violations) == (b"\xff\0\0\0", [])
    chip.now_us += 100
    chip.store(NVMC_CONFIG, 2)
    chip.store(NVMC_ERASEPAGE, AT)
    assert chip.flash.read(AT, 4) == b"\xff" * 4
    assert chip.violations == []


@pytest.mark.parametrize(
    ("config", "stores", "rule"),
    [
        (0, [(AT, 4, 1)], "without WEN"),
        (2, [(AT, 4, 1)], "without WEN"),
        (1, [(AT, 2, 1)], "write of 2 bytes"),
        (1, [(AT, 4, 1), (AT, 4, 2)], "without an erase"),
        (1, [(AT, 4, 1), (AT + 4, 4, 1)], "while it is busy"),
    ],
)
def test_what_the_manual_of_nrf52840_forbids_is_noted(
    config: int, stores: list[tuple[int, int, int]], rule: str
) -> None:
    chip = Nrf52840()
    chip.store(NVMC_CONFIG, config)
    for offset, size, value in stores:
        chip.store_flash(offset, size, value)
    assert rule in chip.violations[0]


def test_a_torn_erase_leaves_a_mixture() -> None:
    flash = FlashArray(Cells(4096, 8, 2048, tuple(Torn)), random.Random(1))
    flash.load(0, b"old data" * 512)
    flash.cut_at = 1
    flash.erase(2048)
    assert flash.read(0, 2048) == b"old data" * 256
    units = [flash.read(at, 8) for at in range(2048, 4096, 8)]
    assert 20 < units.count(b"old data") < 120
    assert 20 < units.count(b"\xff" * 8) < 200
    assert len(flash.unreadable) > 20


def test_contents_beyond_the_flash_are_refused() -> None:
    flash = FlashArray(Cells(4096, 8, 2048, tuple(Torn)), random.Random(1))
    with pytest.raises(ValueError, match="exceed"):
        flash.load(4090, b"too long")


def test_an_elf_file_is_read_as_a_programmer_writes_it() -> None:
    folder = build("stm32l4")
    segments = read_segments(folder / "board-check.elf")
    (at,) = (
        address
        for address, data in segments.items()
        if data[:4] == (0x20000000 + stack_end(folder)).to_bytes(4, "little")
    )
    assert at == 0x08000000
    with pytest.raises(ValueError, match="ELF"):
        read_segments(folder / "CMakeCache.txt")


def stack_end(folder: Path) -> int:
    """The first word of flash is the end of the stack, which the map of the linker names."""
    (line,) = (line for line in (folder / "board-check.map").read_text().splitlines() if " board_stack_end" in line)
    return int(line.split()[0], 16) - 0x20000000


@pytest.mark.emulator
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in PROVISIONED if name != "rp2040"])  # minutes: test_rp2040.py
def test_power_cuts_of_linked_firmware_leave_the_old_or_the_new_model(name: str) -> None:
    campaign = Campaign(board(name))
    assert campaign.operations > 1000
    played = list(cuts(campaign, campaign.operations // SHORT_CUTS))
    assert [cut.problem for cut in played] == [None] * len(played)
    assert [cut.cuts for cut in played] == [1] * len(played)
    assert (*campaign.violations, *(violation for cut in played for violation in cut.violations)) == ()


@pytest.mark.emulator
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "bug"),
    [
        ("nrf52840", "nrf5-pages-of-nrf51"),
        ("nrf52840", "nrf5-waits-for-nothing"),
        ("stm32l4", "stm32l4-one-bank"),
        ("stm32l4", "stm32l4-waits-for-nothing"),
    ],
)
def test_a_seeded_bug_of_a_driver_is_found(name: str, bug: str) -> None:
    (seeded,) = (known for known in bugs_of(name) if known.name == bug)
    assert hunt(board(name), seeded) is not None, seeded.reason


def test_every_seeded_bug_belongs_to_a_chip() -> None:
    assert {bug.name for name in PROVISIONED for bug in bugs_of(name)} == {path.stem for path in BUGS.glob("*.patch")}
