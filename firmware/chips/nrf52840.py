# SPDX-License-Identifier: Apache-2.0
"""nRF52840 as its port uses it: NVMC, UART0, TIMER0, TIMER1, watchdog (nRF52840 Product Specification 1.7)."""

from __future__ import annotations

import random
from typing import Final

from unicorn import arm_const as arm

from firmware.chips.chip import PASS_US, Cause, Chip, Layout
from firmware.chips.flash_array import Cells, FlashArray, Torn

CPU: Final = arm.UC_CPU_ARM_CORTEX_M4
SHAPE: Final = Cells(1 << 20, 4, 4096, (Torn.UNTOUCHED, Torn.COMPLETE, Torn.MIXED, Torn.MIXED))
_WRITE_US: Final = 41
_ERASE_US: Final = 85_000
_RESETREAS: Final = 0x40000400
_CAUSES: Final = {Cause.POWER_ON: 0, Cause.WATCHDOG: 1 << 1, Cause.SOFTWARE: 1 << 2}
_STARTRX, _STARTTX, _RXDRDY, _TXDRDY = 0x40002000, 0x40002008, 0x40002108, 0x4000211C
_UART_INTENSET, _UART_INTENCLR, _UART_ENABLE = 0x40002304, 0x40002308, 0x40002500
_PSELTXD, _PSELRXD, _RXD, _TXD, _BAUDRATE = 0x4000250C, 0x40002514, 0x40002518, 0x4000251C, 0x40002524
_INTEN_RXDRDY: Final = 1 << 2
_ENABLED: Final = 4
_CLOCK, _TICK = 0x40008000, 0x40009000  # TIMER0 counts microseconds, TIMER1 raises an interrupt
_START, _CAPTURE, _COMPARE, _SHORTS, _INTENSET = 0x000, 0x040, 0x140, 0x200, 0x304
_BITMODE, _PRESCALER, _CC = 0x508, 0x510, 0x540
_TIMER_MHZ: Final = 16
_WDT_START, _WDT_RUNSTATUS, _WDT_CRV, _WDT_RR = 0x40010000, 0x40010400, 0x40010504, 0x40010600
_RELOAD: Final = 0x6E524635
_WDT_HZ: Final = 32768
_READY, _CONFIG, _ERASEPAGE = 0x4001E400, 0x4001E504, 0x4001E508
_READ, _WRITE, _ERASE = 0, 1, 2
_IRQ_UART, _IRQ_TIMER1 = 2, 9
_WORD_BYTES: Final = 4
_PLAIN: Final = (
    *(_STARTRX, _STARTTX, _UART_ENABLE, _PSELTXD, _PSELRXD, _BAUDRATE, _WDT_CRV),
    *(timer + register for timer in (_CLOCK, _TICK) for register in (_BITMODE, _PRESCALER, _CC)),
    *(_TICK + _SHORTS, _TICK + _INTENSET),
)


class Nrf52840(Chip):
    """The registers of an nRF52840."""

    layout = Layout(
        flash=0,
        ram=0x20000000,
        ram_bytes=256 << 10,
        registers=(
            (0x40000000, 0x1000),
            (0x40002000, 0x1000),
            (_CLOCK, 0x2000),
            (0x40010000, 0x1000),
            (0x4001E000, 0x1000),
        ),
    )
    polled = frozenset({_CLOCK + _CC, _TXDRDY, _READY})

    def __init__(self, seed: int = 0) -> None:
        super().__init__(FlashArray(SHAPE, random.Random(seed)))
        self._causes = self._transmitted = self._uart_interrupts = 0
        self._mode = _READ
        self._tick_at_us: int | None = None
        self.readers |= {
            _RESETREAS: lambda: self._causes,
            _RXDRDY: lambda: int(self._byte_is_announced()),
            _TXDRDY: lambda: self._transmitted,
            _UART_INTENSET: lambda: self._uart_interrupts,
            _RXD: self._receive,
            _TICK + _COMPARE: lambda: int(self._tick_is_due()),
            _WDT_RUNSTATUS: lambda: int(self.watchdog_at_us is not None),
            _READY: self._read_ready,
            _CONFIG: lambda: self._mode,
        }
        self.writers |= {
            _RESETREAS: self._clear_causes,
            _RXDRDY: self._take_announcement,
            _TXDRDY: self._clear_transmitted,
            _UART_INTENSET: self._enable_interrupt,
            _UART_INTENCLR: self._disable_interrupt,
            _TXD: self._transmit,
            _CLOCK + _START: self._start_clock,
            _CLOCK + _CAPTURE: self._capture,
            _TICK + _START: self._start_tick,
            _TICK + _COMPARE: self._clear_tick,
            _WDT_START: lambda _: self._feed(),
            _WDT_RR: self._reload,
            _CONFIG: self._set_mode,
            _ERASEPAGE: self._erase,
        }
        self.reset(Cause.POWER_ON)

    def reset(self, cause: Cause) -> None:
        """Give all registers their values after a reset. The causes add up until firmware clears them."""
        self.plain.update(dict.fromkeys(_PLAIN, 0))
        self._causes = 0 if cause is Cause.POWER_ON else self._causes | _CAUSES[cause]
        self._announced = False  # the byte in RXD has raised its event
        self._transmitted = self._uart_interrupts = 0
        self._clock_from_us, self._tick_at_us = self.now_us, None
        self._mode, self._busy_until_us = _READ, self.now_us
        self.watchdog_at_us = None

    def store_flash(self, offset: int, size: int, value: int) -> None:
        """Program a word. Bits are only cleared."""
        if self._mode != _WRITE:
            self.break_rule(f"write to flash at {offset:#x} without WEN")
        elif size != _WORD_BYTES or offset % _WORD_BYTES:
            self.break_rule(f"write of {size} bytes to flash at {offset:#x}")
        else:
            old = int.from_bytes(self.flash.read(offset, _WORD_BYTES), "little")
            if old & value != value:
                self.break_rule(f"word at {offset:#x} is programmed without an erase")
            self._begin(_WRITE_US)
            self.flash.program(offset, (old & value).to_bytes(_WORD_BYTES, "little"))

    def interrupts(self) -> int:
        """Return what UART0 and TIMER1 raise."""
        received = self._uart_interrupts & _INTEN_RXDRDY and self._byte_is_announced()
        return (1 << _IRQ_UART if received else 0) | (1 << _IRQ_TIMER1 if self._tick_is_due() else 0)

    def alarm_us(self) -> int | None:
        """Return when TIMER1 reaches its compare register."""
        return self._tick_at_us

    def _byte_is_announced(self) -> bool:
        return bool(self.received) and not self._announced

    def _take_announcement(self, _value: int) -> None:
        self._announced = bool(self.received)

    def _receive(self) -> int:
        self._announced = False
        return self.received.pop(0) if self.received else 0

    def _transmit(self, value: int) -> None:
        if self.plain[_UART_ENABLE] != _ENABLED or not self.plain[_STARTTX]:
            self.break_rule("a byte is sent while the UART is off")
        self.sent.append(value & 0xFF)
        self._transmitted = 1

    def _clear_transmitted(self, value: int) -> None:
        self._transmitted = value

    def _enable_interrupt(self, value: int) -> None:
        self._uart_interrupts |= value

    def _disable_interrupt(self, value: int) -> None:
        self._uart_interrupts &= ~value

    def _clear_causes(self, value: int) -> None:
        self._causes &= ~value

    def _start_clock(self, _value: int) -> None:
        self._clock_from_us = self.now_us

    def _capture(self, _value: int) -> None:
        self.now_us += PASS_US
        self.plain[_CLOCK + _CC] = (self.now_us - self._clock_from_us) % (1 << 32)

    def _period_us(self) -> int:
        return (self.plain[_TICK + _CC] << self.plain[_TICK + _PRESCALER]) // _TIMER_MHZ

    def _start_tick(self, _value: int) -> None:
        self._tick_at_us = self.now_us + self._period_us()

    def _tick_is_due(self) -> bool:
        return self._tick_at_us is not None and self.now_us >= self._tick_at_us

    def _clear_tick(self, _value: int) -> None:
        while self._tick_at_us is not None and self._tick_at_us <= self.now_us:
            self._tick_at_us += self._period_us()

    def _feed(self) -> None:
        self.watchdog_at_us = self.now_us + self.plain[_WDT_CRV] * 1_000_000 // _WDT_HZ

    def _reload(self, value: int) -> None:
        if value == _RELOAD and self.watchdog_at_us is not None:
            self._feed()

    def _read_ready(self) -> int:
        ready = self.now_us >= self._busy_until_us
        self.now_us += 0 if ready else PASS_US
        return int(ready)

    def _set_mode(self, value: int) -> None:
        self._mode = value

    def _erase(self, address: int) -> None:
        if self._mode != _ERASE or address % SHAPE.page_bytes:
            self.break_rule(f"erase of {address:#x} without EEN, or not of a page")
            return
        self._begin(_ERASE_US)
        self.flash.erase(address)

    def _begin(self, duration_us: int) -> None:
        if self.now_us < self._busy_until_us:
            self.break_rule("flash is written while it is busy")
        self._busy_until_us = self.now_us + duration_us
