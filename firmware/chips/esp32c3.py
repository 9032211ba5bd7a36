# SPDX-License-Identifier: Apache-2.0
"""ESP32-C3 as its port uses it: direct boot, ROM functions for flash, UART0, SYSTIMER, RTC watchdog.

The functions are at the addresses of ESP-IDF's esp32c3.rom.ld, and do what its headers say: the ROM itself is not here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from firmware.chips.chip import PASS_US, Cause, Layout
from firmware.chips.flash_array import Cells, FlashArray, Torn
from firmware.chips.risc_v import RiscVLayout, RomChip

SHAPE: Final = Cells(4 << 20, 4, 4096, (Torn.UNTOUCHED, Torn.COMPLETE, Torn.MIXED, Torn.MIXED))
_FLASH, _FLASH_AS_CODE = 0x3C000000, 0x42000000
_MAGIC: Final = bytes.fromhex("1d04dbae") * 2
_FIFO, _STATUS = 0x60000000, 0x6000001C
_FIFO_BYTES: Final = 128
_WDTCONFIG0, _WDTCONFIG1, _WDTFEED, _WDTWPROTECT = 0x60008090, 0x60008094, 0x600080A4, 0x600080A8
_WDT_ENABLE, _WDT_RESETS_SYSTEM, _WDT_STAGE0 = 1 << 31, 3 << 28, 7 << 28
_WDT_HZ: Final = 68_000  # 136 kHz; the first stage takes twice what its register says
_SWD_CONF, _SWD_WPROTECT = 0x600080AC, 0x600080B0
_TIMG0_WDTCONFIG0, _TIMG0_WDTWPROTECT = 0x6001F048, 0x6001F064
_WDT_KEY, _SWD_KEY = 0x50D83AA1, 0x8F1D312A
_UNIT0_OP, _UNIT0_VALUE_LO = 0x60023004, 0x60023044
_VALID: Final = 1 << 29
_SYSTIMER_MHZ: Final = 16
_PROTECTED: Final = {
    **dict.fromkeys((_WDTCONFIG0, _WDTCONFIG1, _WDTFEED), (_WDTWPROTECT, _WDT_KEY)),
    _SWD_CONF: (_SWD_WPROTECT, _SWD_KEY),
    _TIMG0_WDTCONFIG0: (_TIMG0_WDTWPROTECT, _WDT_KEY),
}
_GET_RESET_REASON, _SOFTWARE_RESET = 0x40000018, 0x40000090
_ERASE_SECTOR, _WRITE, _UNLOCK = 0x40000128, 0x4000012C, 0x40000140
_INVALIDATE_ADDR, _SUSPEND_ICACHE, _RESUME_ICACHE = 0x400004D4, 0x40000524, 0x40000528
_REASONS: Final = {Cause.POWER_ON: 1, Cause.SOFTWARE: 3, Cause.WATCHDOG: 9}
_ROM_OK, _ROM_ERROR = 0, 1
_WORD_BYTES: Final = 4
_LOOKS_AGAIN_US: Final = 20_000


class Esp32C3(RomChip):
    """The registers and ROM functions of an ESP32-C3 with 4 MB of flash."""

    layout = Layout(
        flash=_FLASH,
        ram=0x3FC80000,
        ram_bytes=384 << 10,
        registers=tuple((base, 0x1000) for base in (0x60000000, 0x60008000, 0x6001F000, 0x60023000)),
    )
    code = RiscVLayout(
        flash_as_code=_FLASH_AS_CODE,
        entry=_FLASH_AS_CODE + len(_MAGIC),
        ram_as_code=0x40380000,
        rom=0x40000000,
        rom_bytes=0x1000,
    )
    polled = frozenset({_STATUS, _UNIT0_VALUE_LO})

    def __init__(self, seed: int = 0) -> None:
        super().__init__(FlashArray(SHAPE, random.Random(seed)))
        self.readers |= {
            _FIFO: self._receive,
            _STATUS: self._read_status,
            _UNIT0_OP: lambda: _VALID,
            _UNIT0_VALUE_LO: self._read_counter,
        }
        self.writers |= {_FIFO: self._transmit, _UNIT0_OP: lambda _: None, _WDTFEED: lambda _: self._feed()}
        self.reset(Cause.POWER_ON)

    def reset(self, cause: Cause) -> None:
        """Give all registers their values after a reset. The ROM refuses flash without its magic words."""
        self.plain.update(dict.fromkeys(_PROTECTED, 0))
        self.plain.update({_WDTWPROTECT: 0, _SWD_WPROTECT: 0, _TIMG0_WDTWPROTECT: 0})
        self._reason = _REASONS[cause]
        self.empty_polls = 0
        self.cache_is_suspended = self.wants_reset = False
        self.watchdog_at_us = None

    def store(self, address: int, value: int) -> None:
        """Write a register; some are protected by another one."""
        lock, key = _PROTECTED.get(address, (0, 0))
        if lock and self.plain[lock] != key:
            self.break_rule(f"write to protected register {address:#x}")
            return
        super().store(address, value)

    def store_flash(self, offset: int, size: int, value: int) -> None:
        """There is no such store: the core has flash mapped for reading only."""
        raise NotImplementedError((offset, size, value))

    def interrupts(self) -> int:
        """Return none: the port leaves them off."""
        return 0

    def alarm_us(self) -> int | None:
        """Return when firmware that polls looks again."""
        return self.now_us + _LOOKS_AGAIN_US

    def call_rom(self, address: int, arguments: tuple[int, int, int], read: Callable[[int, int], bytes]) -> int | None:
        """Do what a function of the ROM does."""
        functions: dict[int, Callable[[], int | None]] = {
            _GET_RESET_REASON: lambda: self._reason,
            _SOFTWARE_RESET: self._ask_for_reset,
            _ERASE_SECTOR: lambda: self._erase_sector(arguments[0] * SHAPE.page_bytes),
            _WRITE: lambda: self._write(*arguments, read),
            _UNLOCK: lambda: _ROM_OK,
            _INVALIDATE_ADDR: lambda: None,
            _SUSPEND_ICACHE: lambda: self._suspend_cache(suspended=True),
            _RESUME_ICACHE: lambda: self._suspend_cache(suspended=False),
        }
        if address in functions:
            return functions[address]()
        self.break_rule(f"ROM function {address:#x} is not in the model")
        return None

    def _ask_for_reset(self) -> None:
        self.wants_reset = True

    def _suspend_cache(self, *, suspended: bool) -> int:
        self.cache_is_suspended = suspended
        return 0  # autoload is off

    def _erase_sector(self, offset: int) -> int:
        if not self._flash_is_free():
            return _ROM_ERROR
        self.flash.erase(offset)
        return _ROM_OK

    def _write(self, offset: int, source: int, length: int, read: Callable[[int, int], bytes]) -> int:
        if (offset | source | length) % _WORD_BYTES:
            self.break_rule(f"ROM writes {length} bytes from {source:#x} to flash at {offset:#x}: not whole words")
            return _ROM_ERROR
        if not self._flash_is_free():
            return _ROM_ERROR
        data = read(source, length)
        for at in range(0, length, _WORD_BYTES):
            old = int.from_bytes(self.flash.read(offset + at, _WORD_BYTES), "little")
            new = int.from_bytes(data[at : at + _WORD_BYTES], "little")
            if old & new != new:
                self.break_rule(f"word at {offset + at:#x} is programmed without an erase")
            self.flash.program(offset + at, (old & new).to_bytes(_WORD_BYTES, "little"))
        return _ROM_OK

    def _flash_is_free(self) -> bool:
        if not self.cache_is_suspended:
            self.break_rule("flash is written while the cache may read it")
        return self.cache_is_suspended

    def _receive(self) -> int:
        return self.received.pop(0) if self.received else 0

    def _read_status(self) -> int:
        if self.received:
            self.empty_polls = 0
        else:
            self.now_us += PASS_US
            self.empty_polls += 1
        return min(len(self.received), _FIFO_BYTES)

    def _read_counter(self) -> int:
        self.now_us += PASS_US
        return self.now_us * _SYSTIMER_MHZ % (1 << 32)

    def _transmit(self, value: int) -> None:
        self.sent.append(value & 0xFF)
        self.empty_polls = 0

    def _feed(self) -> None:
        config = self.plain[_WDTCONFIG0]
        if config & _WDT_STAGE0 != _WDT_RESETS_SYSTEM:
            self.break_rule("the watchdog does not reset the system")
        duration_us = self.plain[_WDTCONFIG1] * 1_000_000 // _WDT_HZ
        self.watchdog_at_us = self.now_us + duration_us if config & _WDT_ENABLE else None
