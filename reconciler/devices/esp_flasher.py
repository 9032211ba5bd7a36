# SPDX-License-Identifier: Apache-2.0
"""Writes the flash of an ESP32-family chip over its serial port, with esptool's Python API.

The command is safe to repeat: it identifies the chip before it erases anything, verifies each piece after writing and
all pieces at the end, and only then restarts the chip. If it is interrupted, running it again repairs the chip.
"""

from __future__ import annotations

import logging
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import serial
from esp_pylib.logger import EspLog, EspLogBase
from esptool import cmds
from esptool.loader import ESPLoader
from esptool.util import FatalError, UnsupportedCommandError, strip_chip_name

from reconciler.devices.initial_flash_content import FlashPiece
from reconciler.errors import Unusable

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the name of the piece, the bytes written so far, and the total."""

PORT_ERRORS = (OSError, termios.error)  # raised when a port disappears; pyserial's errors are subclasses
CONNECT_ATTEMPTS = 4  # two ways of resetting, each with two timings


class PortUnusable(Unusable):
    """The serial port can't be opened."""

    reason = "PortUnusable"


class NoChip(Unusable):
    """No chip that esptool supports answers on the port."""

    reason = "NoChip"


class WrongChip(Unusable):
    """The chip is not the one in the fleet repository, or its security settings prevent writing."""

    reason = "WrongChip"


class WriteFailed(Unusable):
    """Writing failed after it began; the command can be repeated."""

    reason = "WriteFailed"


@dataclass(frozen=True, slots=True)
class Wiring:
    """How to reach the chip."""

    port: str
    baud: int = 115200  # the chip's loader detects it
    stub: bool = True  # load esptool's own, faster loader into the chip's memory first


def write(wiring: Wiring, chip: str, pieces: Sequence[FlashPiece], progress: Progress) -> None:
    """Write all pieces, verify them, and restart the chip."""
    with _reporting(progress, pieces), _opened(wiring.port) as port:
        loader = _connected(port, wiring)
        with _translating(f"{chip} on {wiring.port}: nothing was written", WrongChip):
            _check(loader, chip)
        with _translating(f"{chip} on {wiring.port}: writing failed; run the command again", WriteFailed):
            if wiring.stub:
                loader = cmds.run_stub(loader)
            loader.WRITE_FLASH_ATTEMPTS = 1  # report a lost connection instead of waiting for it
            cmds.attach_flash(loader)
            content = [(piece.offset, piece.data) for piece in pieces]
            cmds.write_flash(loader, content)
            cmds.verify_flash(loader, content)
            cmds.reset_chip(loader, "hard-reset")


@contextmanager
def _opened(port: str) -> Iterator[serial.SerialBase]:
    """Open the port separately, so that an error of the port is not reported as one of the chip."""
    try:
        opened = serial.serial_for_url(port, exclusive=True)
    except (*PORT_ERRORS, ValueError) as error:
        raise PortUnusable(f"{port} can't be opened: {error}") from error
    try:
        yield opened
    finally:
        opened.close()


def _connected(port: serial.SerialBase, wiring: Wiring) -> ESPLoader:
    try:
        return cmds.detect_chip(port, wiring.baud, connect_attempts=CONNECT_ATTEMPTS)
    except (FatalError, UnsupportedCommandError, *PORT_ERRORS) as error:
        hint = "is it the right port, and is the chip in download mode (hold BOOT, press RESET)?"
        raise NoChip(f"{wiring.port}: no chip answers: {hint} ({_first_line(error)})") from error


def _check(loader: ESPLoader, chip: str) -> None:
    found = strip_chip_name(loader.CHIP_NAME)
    if found != chip:
        raise WrongChip(f"the chip is an {found}, but the device type says {chip}")
    if loader.secure_download_mode:
        raise WrongChip("the chip is in secure download mode, so the written data can't be verified")
    if loader.get_flash_encryption_enabled():
        raise WrongChip("the chip encrypts its flash: write the file of --out with the manufacturer's tools")


@contextmanager
def _translating(what: str, kind: type[Unusable]) -> Iterator[None]:
    """Translate the exceptions of esptool and of the port into one line."""
    try:
        yield
    except WrongChip as error:
        raise WrongChip(f"{what}: {error}") from error
    except (FatalError, UnsupportedCommandError) as error:
        raise kind(f"{what}: {_first_line(error)}") from error
    except PORT_ERRORS as error:
        raise kind(f"{what}: the connection was lost ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


# ------------------------------------------------------------ output of esptool


@contextmanager
def _reporting(progress: Progress, pieces: Sequence[FlashPiece]) -> Iterator[None]:
    """Replace esptool's logger with ours for the duration."""
    before = EspLog.instance
    EspLog.set_logger(_EsptoolLogger(progress, [piece.name for piece in pieces]))
    try:
        yield
    finally:
        EspLog.instance = before


class _EsptoolLogger(EspLogBase):
    """Sends esptool's progress to the caller, and all other output to the log."""

    def __init__(self, progress: Progress, names: Sequence[str]) -> None:
        self._progress = progress
        self._names = list(names)

    def progress_bar(
        self,
        cur_iter: int,
        total_iters: int,
        prefix: str = "",  # noqa: ARG002 - esptool's signature
        suffix: str = "",  # noqa: ARG002
        bar_length: int = 30,  # noqa: ARG002
    ) -> None:
        self._progress(self._names[0], cur_iter, total_iters)
        if cur_iter >= total_iters:  # pieces are written one after the other
            self._names.pop(0)

    def print(self, *args: object, **_options: object) -> None:
        text = " ".join(map(str, args)).strip(" .\n")
        if text:
            log.debug("%s", text)

    def note(self, *args: object) -> None:
        self.print(*args)

    def hint(self, *args: object) -> None:
        self.print(*args)

    def debug(self, *args: object) -> None:
        self.print(*args)

    def warn(self, *args: object, suggestion: str | None = None) -> None:  # noqa: ARG002
        log.warning("%s", " ".join(map(str, args)))

    def err(self, *args: object, suggestion: str | None = None) -> None:  # noqa: ARG002
        log.error("%s", " ".join(map(str, args)))

    def set_verbosity(self, mode: Any) -> None:  # noqa: ANN401 - esptool's signature
        """Ignore the verbosity: our log decides."""
