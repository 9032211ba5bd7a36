# SPDX-License-Identifier: Apache-2.0
"""A RISC-V core without interrupts: Unicorn executes the instructions; a chip's ROM functions and its reset are here.

Unicorn runs until a hook stops it: when firmware polls a register, at a branch to itself, at a fault, or in a ROM
function. A load in which it is stopped is executed again, so hooks stop it only in loads of registers that may be read
twice. Code that asks for nothing must come to an end: there is no limit of time.
"""

from __future__ import annotations

import ctypes
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import unicorn
from unicorn import riscv_const as riscv

from firmware.chips.chip import START_US, Cause, Chip
from firmware.chips.processor import PowerLostError, Processor

_NOWHERE: Final = 0xFFFFFFFE
_RETURN: Final = b"\x82\x80"
_BRANCH_TO_ITSELF: Final = b"\x01\xa0"
_READS_BETWEEN_STOPS: Final = 1024
_POLLS_UNTIL_IDLE: Final = 64
_WORD_BYTES: Final = 4


@dataclass(frozen=True)
class RiscVLayout:
    """Where the core finds flash as code, RAM as code, and the ROM's functions, besides what the chip's layout says."""

    flash_as_code: int
    entry: int
    ram_as_code: int
    rom: int
    rom_bytes: int


class RomChip(Chip):
    """A chip whose firmware calls functions of its ROM."""

    code: RiscVLayout
    cache_is_suspended: bool
    wants_reset: bool
    empty_polls: int  # how often firmware has looked for a byte since there was one

    @abstractmethod
    def call_rom(self, address: int, arguments: tuple[int, int, int], read: Callable[[int, int], bytes]) -> int | None:
        """Do what a function of the ROM does, and return its result; `read` reads memory."""


class RiscV(Processor):
    """The core of a chip, switched on. ``code`` is what its flash has: load address → contents."""

    def __init__(self, chip: RomChip, code: Mapping[int, bytes]) -> None:
        self._chip = chip
        self._ram = (ctypes.c_ubyte * chip.layout.ram_bytes)()
        self._hangs_at = [
            at + offset
            for at, text in code.items()
            for offset in range(0, len(text) - 1, 2)
            if text[offset : offset + 2] == _BRANCH_TO_ITSELF
        ]
        self._reset(Cause.POWER_ON)

    @property
    def chip(self) -> RomChip:
        """The rest of the chip."""
        return self._chip

    @property
    def idle(self) -> bool:
        """Whether it only waits for a byte, or for nothing at all."""
        return self._hung or (self._waits and not self._chip.received)

    def step(self) -> None:
        """Run until it waits, or a while."""
        if self._chip.watchdog_fired():
            self._reset(Cause.WATCHDOG)
        elif not self._hung:
            self._run()

    def sleep(self, until_us: int) -> None:
        """Let time pass while it waits, at most to its next event."""
        self._chip.now_us = max(self._chip.now_us, min(until_us, self._chip.next_event_us()))

    def power_on(self) -> None:
        """Start after a loss of power: RAM holds anything."""
        chip = self._chip
        ctypes.memmove(self._ram, chip.flash.chance.randbytes(len(self._ram)), len(self._ram))
        chip.flash.power_lost = False
        chip.received.clear()
        chip.sent.clear()
        self._reset(Cause.POWER_ON)

    def memory(self, address: int, length: int) -> bytes:
        """Read memory from outside."""
        return bytes(self._unicorn.mem_read(address, length))

    def _reset(self, cause: Cause) -> None:
        chip, layout, code = self._chip, self._chip.layout, self._chip.code
        engine = self._unicorn = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        flash, ram = chip.flash.memory, ctypes.addressof(self._ram)
        engine.mem_map_ptr(layout.flash, len(flash), unicorn.UC_PROT_READ, ctypes.addressof(flash))
        engine.mem_map_ptr(code.flash_as_code, len(flash), self._executable, ctypes.addressof(flash))
        engine.mem_map_ptr(layout.ram, len(self._ram), unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE, ram)
        engine.mem_map_ptr(code.ram_as_code, len(self._ram), self._executable, ram)
        engine.mem_map(code.rom, code.rom_bytes, self._executable)
        engine.mem_write(code.rom, _RETURN * (code.rom_bytes // len(_RETURN)))
        for base, length in layout.registers:
            engine.mmio_map(base, length, self._load, base, self._store, base)
        engine.hook_add(unicorn.UC_HOOK_CODE, self._call_rom, begin=code.rom, end=code.rom + code.rom_bytes - 1)
        for begin, length in ((code.flash_as_code, len(flash)), (code.ram_as_code, len(self._ram))):
            engine.hook_add(unicorn.UC_HOOK_MEM_READ, self._load_as_code, begin=begin, end=begin + length - 1)
        engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._invalid)
        for at in self._hangs_at:
            engine.hook_add(unicorn.UC_HOOK_CODE, self._hang, begin=at, end=at)
        self._pc = code.entry
        self._waits = self._hung = self._fault = False
        self._polls = 0
        chip.now_us += START_US
        chip.reset(cause)

    _executable: Final = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC

    def _run(self) -> None:
        self._waits = False
        try:
            self._unicorn.emu_start(self._pc, _NOWHERE)
        except unicorn.UcError:
            self._fault = True
        self._pc = self._unicorn.reg_read(riscv.UC_RISCV_REG_PC)
        if self._chip.flash.power_lost:
            raise PowerLostError
        if self._chip.wants_reset:
            self._reset(Cause.SOFTWARE)
        elif self._fault:
            self._fault = False
            self._pc = self._unicorn.reg_read(riscv.UC_RISCV_REG_MTVEC) & ~3

    # What Unicorn calls. Their arguments are its own, and most are not needed.

    def _load(self, _engine: unicorn.Uc, offset: int, _size: int, base: int) -> int:
        value = self._chip.load(base + offset)
        if base + offset in self._chip.polled:
            self._polls += 1
            if self._chip.empty_polls >= _POLLS_UNTIL_IDLE:
                self._waits = True
                self._chip.empty_polls = 0
            if self._waits or self._polls % _READS_BETWEEN_STOPS == 0 or self._chip.watchdog_fired():
                self._unicorn.emu_stop()
        return value

    def _store(self, _engine: unicorn.Uc, offset: int, _size: int, value: int, base: int) -> None:
        self._chip.store(base + offset, value)

    def _call_rom(self, engine: unicorn.Uc, address: int, *_: object) -> None:
        arguments = tuple(
            engine.reg_read(each) for each in (riscv.UC_RISCV_REG_A0, riscv.UC_RISCV_REG_A1, riscv.UC_RISCV_REG_A2)
        )
        was_suspended = self._chip.cache_is_suspended
        result = self._chip.call_rom(address, arguments, self.memory)
        if result is not None:
            engine.reg_write(riscv.UC_RISCV_REG_A0, result & 0xFFFFFFFF)
        if self._chip.cache_is_suspended != was_suspended:
            seen = unicorn.UC_PROT_NONE if self._chip.cache_is_suspended else self._executable
            engine.mem_protect(self._chip.code.flash_as_code, len(self._chip.flash.memory), seen)
        if self._chip.wants_reset or self._chip.flash.power_lost:
            self._unicorn.emu_stop()

    def _load_as_code(self, _engine: unicorn.Uc, _kind: int, address: int, size: int, *_: object) -> None:
        if size != _WORD_BYTES or address % _WORD_BYTES:
            self._chip.break_rule(f"{size} bytes at {address:#x} are read over the bus for instructions")

    def _invalid(self, *_: object) -> bool:
        self._fault = True
        self._unicorn.emu_stop()
        return False

    def _hang(self, *_: object) -> None:
        self._hung = True
        self._unicorn.emu_stop()
