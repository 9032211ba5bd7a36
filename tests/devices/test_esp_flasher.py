# SPDX-License-Identifier: Apache-2.0
"""Writing a chip: the real esptool against the ROM loader's protocol, with everything that can go wrong."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest

from reconciler.devices.esp_flasher import NoChip, PortUnusable, Wiring, WriteFailed, WrongChip, write
from reconciler.devices.initial_flash_content import FlashPiece
from tests.devices.fake_esp_chip import Chip, Faults, Flash

CHIPS = ["esp32", "esp32s2", "esp32s3", "esp32c2", "esp32c3", "esp32c5", "esp32c6", "esp32c61", "esp32h2", "esp32p4"]
REGION = 0x400000
JOURNAL = 0x420000
PROVISIONED = FlashPiece("provisioned", REGION, random.Random(7).randbytes(9000) + b"\xff" * 3288)
PIECES = (PROVISIONED, FlashPiece("journal", JOURNAL, b"\xff" * 16384))


@pytest.fixture
def flash() -> Flash:
    """A used flash, in which nothing is erased."""
    made = Flash()
    made.data[REGION - 4096 : JOURNAL + 16384 + 4096] = bytes(JOURNAL - REGION + 16384 + 8192)
    return made


def _written(flash: Flash) -> bool:
    return all(flash.data[piece.offset : piece.offset + len(piece.data)] == piece.data for piece in PIECES)


def _nothing(_name: str, _done: int, _total: int) -> None:
    """Ignore progress."""


@pytest.mark.parametrize("stub", [True, False], ids=["stub", "rom"])
@pytest.mark.parametrize("name", CHIPS)
def test_each_chip_with_the_stub_and_without(name: str, flash: Flash, *, stub: bool) -> None:
    with Chip(name, flash) as chip:
        write(Wiring(chip.port, stub=stub), name, PIECES, _nothing)
        assert chip.stub == (
            stub and name != "esp32c2"
        )  # revision 0 of that chip, which the fake emulates, takes no stub
    assert _written(flash)
    assert flash.data[REGION - 4096 : REGION] == bytes(4096)  # and nothing else
    assert flash.data[REGION + len(PROVISIONED.data) : JOURNAL] == bytes(JOURNAL - REGION - len(PROVISIONED.data))
    assert flash.data[JOURNAL + 16384 :][:4096] == bytes(4096)


def test_progress_is_reported_for_each_piece(flash: Flash) -> None:
    progress: list[tuple[str, int, int]] = []
    with Chip("esp32c3", flash) as chip:
        write(Wiring(chip.port, stub=False), "esp32c3", PIECES, lambda *step: progress.append(step))
    assert [name for name, done, total in progress if done == total] == ["provisioned", "journal"]
    for piece in PIECES:
        done = [done for name, done, _ in progress if name == piece.name]
        assert done == sorted(set(done))
        assert {total for name, _, total in progress if name == piece.name} == {len(piece.data)}


@pytest.mark.parametrize("stub", [True, False], ids=["stub", "rom"])
def test_the_wrong_chip_is_not_touched(flash: Flash, *, stub: bool) -> None:
    with (
        Chip("esp32c3", flash) as chip,
        pytest.raises(WrongChip, match=r"nothing was written: the chip is an esp32c3, but .* says esp32s3"),
    ):
        write(Wiring(chip.port, stub=stub), "esp32s3", PIECES, _nothing)
    assert flash.log == []


@pytest.mark.parametrize(
    ("faults", "why"),
    [(Faults(secure_download=True), "secure download mode"), (Faults(encrypted=True), "encrypts its flash")],
    ids=["secure", "encrypted"],
)
def test_a_locked_chip_is_not_touched(flash: Flash, faults: Faults, why: str) -> None:
    with Chip("esp32c3", flash, faults) as chip, pytest.raises(WrongChip, match=why):
        write(Wiring(chip.port), "esp32c3", PIECES, _nothing)
    assert flash.log == []


def test_no_chip_on_the_port(flash: Flash) -> None:
    with Chip("esp32c3", flash, Faults(dead=True)) as chip, pytest.raises(NoChip, match="is it the right port"):
        write(Wiring(chip.port), "esp32c3", PIECES, _nothing)


def test_a_path_that_is_not_a_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for port in (tmp_path / "none", tmp_path / "file", tmp_path):
        with pytest.raises(PortUnusable, match="can't be opened"):
            write(Wiring(str(port)), "esp32c3", PIECES, _nothing)
    with pytest.raises(PortUnusable, match="can't be opened"):
        write(Wiring("smoke://signals"), "esp32c3", PIECES, _nothing)


@pytest.mark.parametrize(
    ("stub", "block", "last"),
    [(True, 0, "erase"), (True, 1, "erase"), (False, 0, "erase"), (False, 5, "write"), (False, 12, "erase")],
)
def test_a_pulled_cable_and_a_repeated_command(flash: Flash, block: int, last: str, *, stub: bool) -> None:
    with (
        Chip("esp32c3", flash, Faults(pull_cable_at_block=block)) as chip,
        pytest.raises(WriteFailed, match="run the command again: the connection was lost"),
    ):
        write(Wiring(chip.port, stub=stub), "esp32c3", PIECES, _nothing)
    assert flash.log[-1][0] == last  # it stopped in the middle
    assert sum(length for what, _, length in flash.log if what == "write") < 12288 + 16384
    with Chip("esp32c3", flash) as chip:
        write(Wiring(chip.port, stub=stub), "esp32c3", PIECES, _nothing)
    assert _written(flash)


def test_a_chip_that_stops_answering(flash: Flash) -> None:
    with (
        Chip("esp32c3", flash, Faults(silent_at_block=3)) as chip,
        pytest.raises(WriteFailed, match="run the command again"),
    ):
        write(Wiring(chip.port, stub=False), "esp32c3", PIECES, _nothing)


@pytest.mark.parametrize(("digest", "why"), [(0, "does not match"), (2, "Verification failed")])
@pytest.mark.parametrize("stub", [True, False], ids=["stub", "rom"])
def test_written_data_is_verified_at_once_and_at_the_end(flash: Flash, digest: int, why: str, *, stub: bool) -> None:
    with (
        Chip("esp32c3", flash, Faults(rot_at_digest=digest)) as chip,
        pytest.raises(WriteFailed, match=why),
    ):
        write(Wiring(chip.port, stub=stub), "esp32c3", PIECES, _nothing)


def test_a_piece_beyond_the_end_of_the_real_flash() -> None:
    flash = Flash(size=4 << 20)
    with Chip("esp32c3", flash) as chip, pytest.raises(WriteFailed, match="will not fit"):
        write(Wiring(chip.port), "esp32c3", PIECES, _nothing)
    assert flash.log == []


@pytest.mark.parametrize("stub", [True, False], ids=["stub", "rom"])
def test_the_content_is_never_logged(
    flash: Flash, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], *, stub: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    with Chip("esp32c3", flash) as chip:
        write(Wiring(chip.port, stub=stub), "esp32c3", PIECES, _nothing)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    for said in ("Hash of data verified", "Hard resetting"):
        assert said in caplog.text  # the log contains esptool's output
    everything = caplog.text.lower()
    for at in range(0, 9000, 8):
        assert PROVISIONED.data[at : at + 8].hex() not in everything
    assert PROVISIONED.data[:8].hex() not in repr(PROVISIONED)
