# SPDX-License-Identifier: Apache-2.0
"""The flash controller of STM32L475 to STM32L4A6 (reference manual RM0351, section 3).

Flash is written in double words with an error code of their own, so none is written twice without an erase. What the
manual forbids sets an error flag, as on the chip, and is noted as a violation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from firmware.chips.chip import PASS_US, Chip
from firmware.chips.flash_array import Cells, Torn

SHAPE: Final = Cells(1 << 20, 8, 2048, (Torn.UNTOUCHED, Torn.COMPLETE, Torn.WEAK, Torn.UNREADABLE))
PROGRAM_US: Final = 82
ERASE_US: Final = 22_000
_ACR, _KEYR, STATUS, _CR, _ECCR = 0x40022000, 0x40022008, 0x40022010, 0x40022014, 0x40022018
_ACR_AT_RESET: Final = 0x600
_ACR_DCEN: Final = 1 << 10
_KEYS: Final = [0x45670123, 0xCDEF89AB]
_SR_PROGERR, _SR_PGAERR, _SR_SIZERR, _SR_PGSERR, _SR_BSY = 1 << 3, 1 << 5, 1 << 6, 1 << 7, 1 << 16
_CR_PG, _CR_PER, _CR_STRT, _CR_LOCK = 1 << 0, 1 << 1, 1 << 16, 1 << 31
_CR_PAGE_SHIFT: Final = 3
_CR_PAGES: Final = 512  # with BKER, which follows the number of the page
_ECCR_ECCD: Final = 1 << 31
_WORD_BYTES: Final = 4


class FlashController:
    """Its registers, and the stores that it makes operations of."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        chip.readers |= {STATUS: self._status, _CR: lambda: self._control, _ECCR: lambda: self._corrections}
        chip.writers |= {
            _KEYR: self._take_key,
            STATUS: self._clear,
            _CR: self._set_control,
            _ECCR: self._clear_corrections,
        }
        self.reset()

    def reset(self) -> None:
        """Lock the controller, and forget errors."""
        self._keys: list[int] = []
        self._control, self._errors, self._corrections = _CR_LOCK, 0, 0
        self._busy_until_us = self._chip.now_us
        self._first_word: tuple[int, bytes] | None = None
        self._chip.plain[_ACR] = _ACR_AT_RESET

    def store(self, offset: int, size: int, value: int) -> None:
        """Take a word; the second of a double word programs both."""
        chip = self._chip
        if self._control & _CR_LOCK or not self._control & _CR_PG:
            self._refuse(_SR_PGSERR, f"write to flash at {offset:#x} while it is locked or PG is 0")
        elif self._errors:
            self._refuse(0, f"write to flash at {offset:#x} after an error that was not cleared")
        elif size != _WORD_BYTES:
            self._refuse(_SR_SIZERR, f"write of {size} bytes to flash at {offset:#x}")
        elif self._first_word is None and offset % SHAPE.write_bytes:
            self._refuse(_SR_PGAERR, f"double word at {offset:#x} is not aligned")
        elif self._first_word is None:
            self._first_word = (offset, value.to_bytes(_WORD_BYTES, "little"))
        else:
            (first, low), self._first_word = self._first_word, None
            if offset != first + _WORD_BYTES:
                self._refuse(_SR_PGSERR, f"second half of {first:#x} at {offset:#x}")
            elif chip.flash.is_blank(first):
                self._operate(
                    PROGRAM_US, lambda: chip.flash.program(first, low + value.to_bytes(_WORD_BYTES, "little"))
                )
            elif first in chip.flash.weak:
                self._errors |= _SR_PROGERR  # it could not be known: it reads as erased
            else:
                self._refuse(_SR_PROGERR, f"double word at {first:#x} is programmed without an erase")

    def take_unreadable(self) -> bool:
        """A read that the error code can't correct raises the non-maskable interrupt."""
        self._corrections |= _ECCR_ECCD
        return True

    def _status(self) -> int:
        busy = _SR_BSY if self._is_busy() else 0
        self._chip.now_us += PASS_US
        return self._errors | busy

    def _take_key(self, value: int) -> None:
        self._keys.append(value)
        if self._keys[-len(_KEYS) :] == _KEYS:
            self._control &= ~_CR_LOCK

    def _clear(self, value: int) -> None:
        self._errors &= ~value

    def _clear_corrections(self, value: int) -> None:
        self._corrections &= ~(value & _ECCR_ECCD)

    def _set_control(self, value: int) -> None:
        if self._control & _CR_LOCK:
            if value != _CR_LOCK:
                self._chip.break_rule("write to FLASH_CR while it is locked")
            return
        self._control = value & ~_CR_STRT
        if value & _CR_STRT and value & _CR_PER and not self._errors:
            page = value >> _CR_PAGE_SHIFT & _CR_PAGES - 1
            if self._chip.plain[_ACR] & _ACR_DCEN:
                self._chip.break_rule(f"page {page} is erased while the data cache is on")
            self._operate(ERASE_US, lambda: self._chip.flash.erase(page * SHAPE.page_bytes))

    def _operate(self, duration_us: int, operation: Callable[[], None]) -> None:
        if self._is_busy():
            self._chip.break_rule("flash is written while it is busy")
        operation()
        self._busy_until_us = self._chip.now_us + duration_us

    def _is_busy(self) -> bool:
        return self._chip.now_us < self._busy_until_us

    def _refuse(self, error: int, what: str) -> None:
        self._errors |= error
        self._first_word = None
        self._chip.break_rule(what)
