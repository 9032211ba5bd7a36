# SPDX-License-Identifier: Apache-2.0
"""Writes a flash of the ESP32 family over its serial port, through esptool's Python API.

The order makes it safe to repeat: the chip is named before anything is erased, each piece is compared after it was
written and all of them once more at the end, and only then is the chip restarted. Whatever stops it in between leaves
a chip that the same command mends.
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

from reconciler.devices.provisioning import Piece
from reconciler.errors import Unusable

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Is told what is written, how much of it is done, and how much there is."""

LOST = (OSError, termios.error)  # what a port raises that goes away; pyserial's errors are among them
CONNECT_ATTEMPTS = 4  # two ways of resetting, each with two timings


class PortUnusable(Unusable):
    """The serial port can't be opened."""

    reason = "PortUnusable"


class NoChip(Unusable):
    """Nothing that esptool knows answers on the port."""

    reason = "NoChip"


class WrongChip(Unusable):
    """The chip is not what the fleet repository says, or is set up in a way that can't be served."""

    reason = "WrongChip"


class WriteFailed(Unusable):
    """Writing began and did not end well; the same command may be repeated."""

    reason = "WriteFailed"


@dataclass(frozen=True, slots=True)
class Wiring:
    """How the chip is reached."""

    port: str
    baud: int = 115200  # the chip's loader finds out by itself
    stub: bool = True  # load esptool's own, faster loader into the chip's memory first


def write(wiring: Wiring, chip: str, pieces: Sequence[Piece], progress: Progress) -> None:
    """Write all pieces, verify them, restart the chip."""
    with _told(progress, pieces), _opened(wiring.port) as port:
        loader = _connected(port, wiring)
        with _explained(f"{chip} on {wiring.port}: nothing was written", WrongChip):
            _check(loader, chip)
        with _explained(f"{chip} on {wiring.port}: writing failed, and may be repeated", WriteFailed):
            if wiring.stub:
                loader = cmds.run_stub(loader)
            loader.WRITE_FLASH_ATTEMPTS = 1  # a lost connection is told, not waited for
            cmds.attach_flash(loader)
            content = [(piece.offset, piece.data) for piece in pieces]
            cmds.write_flash(loader, content)
            cmds.verify_flash(loader, content)
            cmds.reset_chip(loader, "hard-reset")


@contextmanager
def _opened(port: str) -> Iterator[serial.SerialBase]:
    """Open the port by ourselves, so that what is wrong with it isn't taken for a chip's fault."""
    try:
        opened = serial.serial_for_url(port, exclusive=True)
    except (*LOST, ValueError) as error:
        raise PortUnusable(f"{port} can't be opened: {error}") from error
    try:
        yield opened
    finally:
        opened.close()


def _connected(port: serial.SerialBase, wiring: Wiring) -> ESPLoader:
    try:
        return cmds.detect_chip(port, wiring.baud, connect_attempts=CONNECT_ATTEMPTS)
    except (FatalError, UnsupportedCommandError, *LOST) as error:
        hint = "is it the right port, and is the chip in download mode (hold BOOT, press RESET)?"
        raise NoChip(f"{wiring.port}: no chip answers: {hint} ({_first_line(error)})") from error


def _check(loader: ESPLoader, chip: str) -> None:
    found = strip_chip_name(loader.CHIP_NAME)
    if found != chip:
        raise WrongChip(f"the chip is an {found}, and the device type says {chip}")
    if loader.secure_download_mode:
        raise WrongChip("the chip is in secure download mode: what is written can't be verified")
    if loader.get_flash_encryption_enabled():
        raise WrongChip("the chip encrypts its flash: write the file of --output with the maker's tools")


@contextmanager
def _explained(what: str, kind: type[Unusable]) -> Iterator[None]:
    """Turn what esptool and the port raise into one line."""
    try:
        yield
    except WrongChip as error:
        raise WrongChip(f"{what}: {error}") from error
    except (FatalError, UnsupportedCommandError) as error:
        raise kind(f"{what}: {_first_line(error)}") from error
    except LOST as error:
        raise kind(f"{what}: the connection was lost ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


# ------------------------------------------------------------ what esptool says


@contextmanager
def _told(progress: Progress, pieces: Sequence[Piece]) -> Iterator[None]:
    """Put our own ear in the place of esptool's printing, as long as it works for us."""
    before = EspLog.instance
    EspLog.set_logger(_Ear(progress, [piece.name for piece in pieces]))
    try:
        yield
    finally:
        EspLog.instance = before


class _Ear(EspLogBase):
    """Hears esptool: progress goes to the caller, all else to the log."""

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
        """Everything is heard."""
