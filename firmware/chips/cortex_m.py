# SPDX-License-Identifier: Apache-2.0
"""A Cortex-M: Unicorn executes the instructions; exceptions, the interrupt controller and sleep are here.

Unicorn runs until a hook stops it: where an interrupt may come (after `cpsie i`, and when a register is read that
firmware polls), at `wfi`, and at a branch to itself. A load or store in which it is stopped is executed again, so hooks
stop it only in those that may be.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from typing import Final

import unicorn
from unicorn import arm_const as arm

from firmware.chips.chip import PASS_US, START_US, Cause, Chip
from firmware.chips.processor import PowerLostError, Processor

_NMI: Final = 2
_HARD_FAULT: Final = 3
_FIRST_INTERRUPT: Final = 16
_NOWHERE: Final = 0xFFFFFFFE
_SYSTEM: Final = 0xE000E000
_SYSTEM_BYTES: Final = 0x1000
_NVIC_ENABLE, _NVIC_DISABLE, _NVIC_BANKS = 0x100, 0x180, 0x20
_VTOR, _AIRCR = 0xD08, 0xD0C
_AIRCR_RESET: Final = 0x05FA0004
_EXCEPTION_EXIT: Final = 8  # what Unicorn calls the load of an EXC_RETURN value into the program counter
_CPSIE_I, _WFI, _BRANCH_TO_ITSELF = b"\x62\xb6", b"\x30\xbf", b"\xfe\xe7"
_READS_BETWEEN_STOPS: Final = 64
_FRAME: Final = (
    *(arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3),
    *(arm.UC_ARM_REG_R12, arm.UC_ARM_REG_LR),
)
_THUMB: Final = 1
_STUCK_US: Final = 20_000_000  # of this machine: much longer than any code that asks for nothing
_ALIGNED: Final = 1 << 9  # of xPSR: four bytes were skipped for alignment


class CortexM(Processor):
    """The processor of a chip, switched on. ``code`` is what its flash has: load address → contents."""

    def __init__(self, chip: Chip, cpu: int, code: Mapping[int, bytes]) -> None:
        self._chip = chip
        self._cpu = cpu
        self._ram = (ctypes.c_ubyte * chip.layout.ram_bytes)()
        self._points = [
            (at + offset, word)
            for at, text in code.items()
            for offset in range(0, len(text) - 1, 2)
            if (word := text[offset : offset + 2]) in (_CPSIE_I, _WFI, _BRANCH_TO_ITSELF)
        ]
        self.asleep = False
        self._reset(Cause.POWER_ON)

    @property
    def chip(self) -> Chip:
        """The rest of the chip."""
        return self._chip

    @property
    def idle(self) -> bool:
        """Whether nothing happens before the chip's next event, or a byte on its line."""
        return self.asleep and not self.chip.interrupts() & self._enabled

    def power_on(self) -> None:
        """Start after a loss of power: RAM holds anything."""
        chance = self.chip.flash.chance
        ctypes.memmove(self._ram, chance.randbytes(len(self._ram)), len(self._ram))
        self.chip.flash.power_lost = False
        self.chip.received.clear()
        self.chip.sent.clear()
        self._reset(Cause.POWER_ON)

    def memory(self, address: int, length: int) -> bytes:
        """Read memory from outside."""
        return bytes(self._unicorn.mem_read(address, length))

    def step(self) -> None:
        """Take an interrupt, then run until the next one may be due; do nothing while it sleeps."""
        if self.chip.watchdog_fired():
            self._reset(Cause.WATCHDOG)
            return
        self._take_interrupt()
        if not self.asleep:
            self._run()

    def sleep(self, until_us: int) -> None:
        """Let time pass while it sleeps, at most to its next event."""
        self.chip.now_us = max(self.chip.now_us, min(until_us, self.chip.next_event_us()))

    def _reset(self, cause: Cause) -> None:
        chip, layout = self.chip, self.chip.layout
        engine = self._unicorn = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        engine.ctl_set_cpu_model(self._cpu)
        flash = chip.flash.memory
        engine.mem_map_ptr(layout.flash, len(flash), unicorn.UC_PROT_ALL, ctypes.addressof(flash))
        engine.mem_map_ptr(layout.ram, len(self._ram), unicorn.UC_PROT_ALL, ctypes.addressof(self._ram))
        for base, length in layout.registers:
            engine.mmio_map(base, length, self._load, base, self._store, base)
        engine.mmio_map(_SYSTEM, _SYSTEM_BYTES, self._load_system, None, self._store_system, None)
        end = layout.flash + len(flash) - 1
        engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._store_flash, begin=layout.flash, end=end)
        engine.hook_add(unicorn.UC_HOOK_INTR, self._exception)
        engine.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self._unmapped)
        for at in chip.flash.unreadable:
            begin = layout.flash + at
            last = begin + chip.flash.shape.write_bytes - 1
            engine.hook_add(unicorn.UC_HOOK_MEM_READ, self._load_unreadable, begin=begin, end=last)
        hooks = {_WFI: (self._wait, 0), _CPSIE_I: (self._unmasked, 2), _BRANCH_TO_ITSELF: (self._hung, 0)}
        for at, word in self._points:
            hook, after = hooks[word]
            engine.hook_add(unicorn.UC_HOOK_CODE, hook, begin=at + after, end=at + after)
        stack, self._pc = struct.unpack("<II", engine.mem_read(layout.flash, 8))
        engine.reg_write(arm.UC_ARM_REG_MSP, stack)
        engine.reg_write(arm.UC_ARM_REG_SP, stack)
        self._vectors = layout.flash
        self._enabled, self._active, self._held = 0, list[int](), list[tuple[int, bytes]]()
        self.asleep = self._nmi = self._fault = self._leaving = self._wants_reset = False
        self._waited = self._hangs = False
        self._reads = 0
        self._reported: int | None = None
        chip.now_us += START_US
        chip.reset(cause)

    def _run(self) -> None:
        self._stopped = False
        try:
            self._unicorn.emu_start(self._pc | _THUMB, _NOWHERE, timeout=_STUCK_US)
        except unicorn.UcError:
            self._fault = not self._leaving
        self._pc = self._unicorn.reg_read(arm.UC_ARM_REG_PC) | _THUMB
        self._correct_flash()
        if self.chip.flash.power_lost:
            raise PowerLostError
        if self._wants_reset:
            self._reset(Cause.SOFTWARE)
        elif self._leaving:
            self._leaving = False
            self._leave()
        elif self._waited:
            self._waited = False
            self.asleep = True
            self._pc += len(_WFI)
        elif self._hangs:
            self._hangs = False
            self.asleep = True  # until an interrupt or the watchdog: there is nothing else to execute
        elif not self._stopped and not self._fault:
            self.chip.break_rule(f"code at {self._pc & ~_THUMB:#x} never ends")
            self._lock_up()

    def _correct_flash(self) -> None:
        """Put what flash holds where the emulator put what was stored."""
        for offset, contents in self._held:
            ctypes.memmove(ctypes.byref(self.chip.flash.memory, offset), contents, len(contents))
        self._held.clear()

    def _take_interrupt(self) -> None:
        raised = self.chip.interrupts() & self._enabled
        if self._fault:
            self._fault = False
            if _HARD_FAULT in self._active or _NMI in self._active:
                self._lock_up()
            else:
                self._enter(_HARD_FAULT)
        elif self._nmi:
            self._nmi = False
            self._enter(_NMI)
        elif raised:
            self.asleep = False
            if not self._active and not self._unicorn.reg_read(arm.UC_ARM_REG_PRIMASK):
                self._enter(_FIRST_INTERRUPT + (raised & -raised).bit_length() - 1)

    def _lock_up(self) -> None:
        """A fault that can't be handled: only the watchdog helps."""
        self.asleep, self._enabled, self._nmi = True, 0, False

    def _enter(self, number: int) -> None:
        engine = self._unicorn
        self.asleep = False
        stack, status = engine.reg_read(arm.UC_ARM_REG_SP), engine.reg_read(arm.UC_ARM_REG_XPSR)
        skipped = stack & 4
        saved = [engine.reg_read(register) for register in _FRAME]
        frame = struct.pack("<8I", *saved, self._pc & ~_THUMB, (status & ~_ALIGNED) | (_ALIGNED if skipped else 0))
        stack -= len(frame) + skipped
        try:
            engine.mem_write(stack, frame)
        except unicorn.UcError:
            self._lock_up()
            return
        engine.reg_write(arm.UC_ARM_REG_SP, stack)
        engine.reg_write(arm.UC_ARM_REG_LR, 0xFFFFFFF1 if self._active else 0xFFFFFFF9)
        self._active.append(number)
        (self._pc,) = struct.unpack("<I", engine.mem_read(self._vectors + 4 * number, 4))

    def _leave(self) -> None:
        engine = self._unicorn
        stack = engine.reg_read(arm.UC_ARM_REG_SP)
        *saved, pc, status = struct.unpack("<8I", engine.mem_read(stack, 32))
        for register, value in zip(_FRAME, saved, strict=True):
            engine.reg_write(register, value)
        engine.reg_write(arm.UC_ARM_REG_SP, stack + 32 + (4 if status & _ALIGNED else 0))
        engine.reg_write(arm.UC_ARM_REG_XPSR, status)
        self._pc = pc | _THUMB
        self._active.pop()

    def _interrupt_is_due(self) -> bool:
        return not self._active and bool(self.chip.interrupts() & self._enabled)

    def _something_is_due(self) -> bool:
        return self.chip.flash.power_lost or self.chip.watchdog_fired() or self._interrupt_is_due()

    def _stop(self) -> None:
        self._stopped = True
        self._unicorn.emu_stop()

    # What Unicorn calls. Their arguments are its own, and most are not needed.

    def _load(self, _engine: unicorn.Uc, offset: int, _size: int, base: int) -> int:
        self._correct_flash()
        value = self.chip.load(base + offset)
        if base + offset in self.chip.polled:
            self._reads += 1
            if self._reads % _READS_BETWEEN_STOPS == 0 or self._something_is_due():
                self._stop()
        return value

    def _store(self, _engine: unicorn.Uc, offset: int, _size: int, value: int, base: int) -> None:
        self._correct_flash()
        if self.chip.flash.power_lost:
            return
        self.chip.store(base + offset, value)
        if self.chip.flash.power_lost:
            self._stop()

    def _load_system(self, _engine: unicorn.Uc, offset: int, _size: int, _: object) -> int:
        return self._vectors if offset == _VTOR else 0

    def _store_system(self, _engine: unicorn.Uc, offset: int, _size: int, value: int, _: object) -> None:
        if _NVIC_ENABLE <= offset < _NVIC_ENABLE + _NVIC_BANKS:
            self._enabled |= value << 8 * (offset - _NVIC_ENABLE)
        elif _NVIC_DISABLE <= offset < _NVIC_DISABLE + _NVIC_BANKS:
            self._enabled &= ~(value << 8 * (offset - _NVIC_DISABLE))
        elif offset == _VTOR:
            self._vectors = value
        elif offset == _AIRCR and value == _AIRCR_RESET:
            self._wants_reset = True
            self._stop()
        else:
            self.chip.break_rule(f"system register {offset:#x} is not in the model")

    def _store_flash(self, _engine: unicorn.Uc, _kind: int, address: int, size: int, value: int, _: object) -> None:
        """The emulator stores the value after this. A driver waits for the controller before it reads that."""
        chip = self.chip
        self._correct_flash()
        offset = address - chip.layout.flash
        unit = chip.flash.shape.write_bytes
        begin = offset - offset % unit
        if not chip.flash.power_lost:
            chip.store_flash(offset, size, value & (1 << 8 * size) - 1)
        self._held.append((begin, chip.flash.read(begin, unit)))

    def _load_unreadable(self, _engine: unicorn.Uc, _kind: int, address: int, *_: object) -> None:
        offset = address - self.chip.layout.flash
        offset -= offset % self.chip.flash.shape.write_bytes
        if address == self._reported:
            self._reported = None  # the same load, after the interrupt
        elif offset in self.chip.flash.unreadable and self.chip.unreadable(offset):
            self._nmi, self._reported = True, address
            self._stop()

    def _exception(self, _engine: unicorn.Uc, number: int, _: object) -> None:
        if number == _EXCEPTION_EXIT:
            self._leaving = True
        else:
            self._fault = True
        self._stop()

    def _unmapped(self, _engine: unicorn.Uc, *_: object) -> bool:
        self._fault = True
        self._stop()
        return False

    def _wait(self, _engine: unicorn.Uc, *_: object) -> None:
        self._waited = True
        self._stop()

    def _unmasked(self, _engine: unicorn.Uc, *_: object) -> None:
        self.chip.now_us += PASS_US
        self._reads += 1
        if self._reads % _READS_BETWEEN_STOPS == 0 or self._something_is_due():
            self._stop()

    def _hung(self, _engine: unicorn.Uc, *_: object) -> None:
        self._hangs = True
        self._stop()
