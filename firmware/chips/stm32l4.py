# SPDX-License-Identifier: Apache-2.0
"""STM32L476 as its port uses it: flash controller, USART2, TIM2, independent watchdog (reference manual RM0351)."""

from __future__ import annotations

import random
from typing import Final

from unicorn import arm_const as arm

from firmware.chips.chip import PASS_US, Cause, Chip, Layout
from firmware.chips.flash_array import FlashArray
from firmware.chips.stm32l4_flash import SHAPE, STATUS, FlashController

CPU: Final = arm.UC_CPU_ARM_CORTEX_M4
_LSI_HZ: Final = 32_000
_RCC_CR, _RCC_AHB2ENR, _RCC_APB1ENR1, _RCC_CSR = 0x40021000, 0x4002104C, 0x40021058, 0x40021094
_CSR: Final = {Cause.POWER_ON: 1 << 27, Cause.SOFTWARE: 1 << 28, Cause.WATCHDOG: 1 << 29}
_CSR_RMVF: Final = 1 << 23
_GPIOA_MODER, _GPIOA_AFRL = 0x48000000, 0x48000020
_CR1, _CR3, _BRR, _ISR, _ICR, _RDR, _TDR = (0x40004400 + at for at in (0, 8, 0xC, 0x1C, 0x20, 0x24, 0x28))
_ISR_RXNE, _ISR_TC_TXE = 1 << 5, 1 << 6 | 1 << 7
_CR1_RUN, _CR1_RXNEIE = 1 << 0 | 1 << 2 | 1 << 3, 1 << 5
_TIM_CR1, _TIM_DIER, _TIM_SR, _TIM_EGR = 0x40000000, 0x4000000C, 0x40000010, 0x40000014
_TIM_CNT, _TIM_PSC, _TIM_ARR, _TIM_CCR1 = 0x40000024, 0x40000028, 0x4000002C, 0x40000034
_CC1: Final = 1 << 1
_KR, _PR, _RLR = 0x40003000, 0x40003004, 0x40003008
_KR_START, _KR_UNLOCK, _KR_RELOAD = 0xCCCC, 0x5555, 0xAAAA
_IRQ_TIM2, _IRQ_USART2 = 28, 38
_COUNT: Final = 1 << 32
_RESET_VALUES: Final = {
    **dict.fromkeys((_RCC_AHB2ENR, _RCC_APB1ENR1, _GPIOA_AFRL, _CR3, _BRR, _TIM_CR1, _TIM_DIER, _TIM_PSC, _TIM_ARR), 0),
    _RCC_CR: 0x63,
    _GPIOA_MODER: 0xABFFFFFF,
    _CR1: 0,
}


class Stm32L4(Chip):
    """The registers of an STM32L476 with 1 MB of flash."""

    layout = Layout(
        flash=0x08000000,
        ram=0x20000000,
        ram_bytes=96 << 10,
        registers=((0x40000000, 0x5000), (0x40021000, 0x2000), (0x48000000, 0x1000)),
    )

    polled = frozenset({_TIM_CNT, _ISR, STATUS})

    def __init__(self, seed: int = 0) -> None:
        super().__init__(FlashArray(SHAPE, random.Random(seed)))
        self._controller = FlashController(self)
        self.readers |= {
            _RCC_CSR: lambda: self._csr,
            _ISR: lambda: _ISR_TC_TXE | (_ISR_RXNE if self.received else 0),
            _RDR: lambda: self.received.pop(0) if self.received else 0,
            _TIM_CNT: self._read_counter,
            _TIM_CCR1: lambda: self._compare,
        }
        self.writers |= {
            _RCC_CSR: self._clear_causes,
            _ICR: lambda _: None,
            _TDR: self._transmit,
            _TIM_SR: self._clear_compare,
            _TIM_EGR: self._restart_counter,
            _TIM_CCR1: self._set_compare,
            _KR: self._command_watchdog,
            _PR: self._set_prescaler,
            _RLR: self._set_reload,
        }
        self.reset(Cause.POWER_ON)

    def reset(self, cause: Cause) -> None:
        """Give all registers their values after a reset."""
        self.plain.update(_RESET_VALUES)
        self._controller.reset()
        self._csr = _CSR[cause]
        self._started_us, self._compare, self._raised_us = self.now_us, 0, self.now_us
        self._prescaler, self._reload, self._unlocked = 0, 0xFFF, False
        self.watchdog_at_us = None

    def store_flash(self, offset: int, size: int, value: int) -> None:
        """Take a store of the processor to flash."""
        self._controller.store(offset, size, value)

    def unreadable(self, _offset: int) -> bool:
        """Raise the non-maskable interrupt."""
        return self._controller.take_unreadable()

    def interrupts(self) -> int:
        """Return what USART2 and TIM2 raise."""
        received = self.received and self.plain[_CR1] & _CR1_RXNEIE
        alarm = self.alarm_us()
        due = alarm is not None and self.now_us >= alarm
        return (1 << _IRQ_USART2 if received else 0) | (1 << _IRQ_TIM2 if due else 0)

    def alarm_us(self) -> int | None:
        """The next match of counter and compare register after the last one that was cleared."""
        if not self.plain[_TIM_CR1] & 1 or not self.plain[_TIM_DIER] & _CC1:
            return None
        return self._raised_us + (self._compare - (self._raised_us - self._started_us)) % _COUNT

    def _read_counter(self) -> int:
        self.now_us += PASS_US
        return (self.now_us - self._started_us) % _COUNT

    def _restart_counter(self, _value: int) -> None:
        self._started_us = self._raised_us = self.now_us

    def _set_compare(self, value: int) -> None:
        self._compare = value

    def _clear_compare(self, _value: int) -> None:
        self._raised_us = self.now_us + 1

    def _clear_causes(self, value: int) -> None:
        if value & _CSR_RMVF:
            self._csr = 0

    def _transmit(self, value: int) -> None:
        if self.plain[_CR1] & _CR1_RUN != _CR1_RUN:
            self.break_rule("a byte is sent while the UART is off")
        self.sent.append(value & 0xFF)

    def _command_watchdog(self, value: int) -> None:
        self._unlocked = value == _KR_UNLOCK
        if value == _KR_START or (value == _KR_RELOAD and self.watchdog_at_us is not None):
            self._feed()

    def _set_prescaler(self, value: int) -> None:
        self._prescaler = self._unlock(value, self._prescaler)

    def _set_reload(self, value: int) -> None:
        self._reload = self._unlock(value, self._reload)

    def _unlock(self, value: int, before: int) -> int:
        if not self._unlocked:
            self.break_rule("the watchdog's time is set while its registers are protected")
            return before
        return value

    def _feed(self) -> None:
        self.watchdog_at_us = self.now_us + (self._reload + 1) * (4 << self._prescaler) * 1_000_000 // _LSI_HZ
