# SPDX-License-Identifier: Apache-2.0
"""A fake ESP32-family chip with the serial protocol of its ROM loader, on a pty.

Frames are SLIP; commands are answered as Espressif's serial protocol specifies. The flash behaves like NOR flash: an
erase sets whole sectors, a write only clears bits, and both must stay within the flash. An uploaded stub is checked for
completeness; afterwards the chip answers like the stub. Faults are injected by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import struct
import threading
import tty
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from esptool.targets import CHIP_DEFS

SECTOR = 4096
ROM_GREETING = 0x20120707  # what a ROM answers to SYNC with; a stub answers 0
FAILED, UNKNOWN_COMMAND, BAD_CHECKSUM = 0x06, 0x05, 0x07
SFDP = 0x50444653
MAGIC_ADDRESS = 0x40001000


class CommandFailed(Exception):
    """The chip answers with an error."""

    def __init__(self, reason: int = FAILED) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Faults:
    """The faults to inject."""

    pull_cable_at_block: int | None = None  # the port disappears at this block of flash data
    silent_at_block: int | None = None  # no answers from this block on, although the port stays
    dead: bool = False  # the chip never answers
    rot_at_digest: int | None = None  # a bit of the first written data flips before this digest request
    secure_download: bool = False
    encrypted: bool = False


@dataclass
class Download:
    """A write of flash data in progress."""

    address: int
    blocks: int
    block_bytes: int
    inflate: Callable[[bytes], bytes] | None = None
    received: int = 0
    at: int = 0


@dataclass
class Flash:
    """A NOR flash."""

    size: int = 8 << 20
    data: bytearray = field(init=False)
    log: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data = bytearray(b"\xff" * self.size)

    def erase(self, start: int, length: int) -> None:
        first, end = start - start % SECTOR, start + length + -(start + length) % SECTOR
        if end > self.size:
            raise CommandFailed
        self.data[first:end] = b"\xff" * (end - first)
        self.log.append(("erase", first, end - first))

    def write(self, start: int, data: bytes) -> None:
        if start + len(data) > self.size:
            raise CommandFailed
        old = self.data[start : start + len(data)]
        self.data[start : start + len(data)] = bytes(one & other for one, other in zip(old, data, strict=True))
        self.log.append(("write", start, len(data)))


class Chip:
    """One chip behind a pty, whose path is `port`."""

    def __init__(self, name: str, flash: Flash | None = None, faults: Faults | None = None) -> None:
        self.name, self.flash, self.faults = name, flash or Flash(), faults or Faults()
        self.rom = CHIP_DEFS[name]
        self.stub = False
        self.commands: list[int] = []
        self._registers: dict[int, int] = {MAGIC_ADDRESS: self.rom.MAGIC_VALUE or 0}
        self._attached = False
        self._ram: dict[int, tuple[int, bytearray]] = {}
        self._ram_at = 0
        self._download: Download | None = None
        self._blocks = self._digests = 0
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        if self.faults.encrypted:
            self._registers[self.rom.EFUSE_SPI_BOOT_CRYPT_CNT_REG] = self.rom.EFUSE_SPI_BOOT_CRYPT_CNT_MASK
        self._thread = threading.Thread(target=self._serve, name=f"chip {name}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, at: TracebackType | None) -> None:
        self._unplug()
        self._thread.join(10)

    def _unplug(self) -> None:
        """Remove the port, as happens when the cable of a USB serial port is pulled."""
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1
        with contextlib.suppress(OSError):
            os.close(self._master)

    # ------------------------------------------------------------ frames

    def _serve(self) -> None:
        waiting = b""
        while True:
            try:
                waiting += os.read(self._master, 65536)
            except OSError:
                return
            *frames, waiting = waiting.split(b"\xc0")
            for frame in frames:
                if frame and not self.faults.dead:
                    self._take(frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb"))

    def _say(self, body: bytes) -> None:
        framed = b"\xc0" + body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
        with contextlib.suppress(OSError):
            os.write(self._master, framed)

    def _take(self, frame: bytes) -> None:
        direction, operation, length, check = struct.unpack_from("<BBHI", frame)
        data = frame[8:]
        assert direction == 0
        assert length == len(data)
        self.commands.append(operation)
        answer = ANSWERS.get(operation, Chip.unknown)
        try:
            value, body = answer(self, data, check)
            failed = b"\0\0"
        except CommandFailed as error:
            value, body, failed = 0, b"", bytes([1, error.reason])
        status = failed if self.stub else failed + b"\0\0"
        if self.faults.dead:
            return
        for _ in range(8 if operation == 0x08 else 1):  # a SYNC is answered eight times
            self._say(struct.pack("<BBHI", 1, operation, len(body) + len(status), value) + body + status)
        if operation == 0x06 and self.stub and not failed[0]:
            self._say(b"OHAI")

    # ------------------------------------------------------------ commands

    def unknown(self, _data: bytes, _check: int) -> tuple[int, bytes]:
        raise CommandFailed(UNKNOWN_COMMAND)

    def sync(self, data: bytes, _check: int) -> tuple[int, bytes]:
        assert data == b"\x07\x07\x12\x20" + b"\x55" * 32
        return 0 if self.stub else ROM_GREETING, b""

    def security_info(self, _data: bytes, _check: int) -> tuple[int, bytes]:
        if self.rom.USES_MAGIC_VALUE:
            raise CommandFailed(UNKNOWN_COMMAND)
        flags = 4 if self.faults.secure_download else 0
        return 0, struct.pack("<IB7BII", flags, 0, *(0,) * 7, self.rom.IMAGE_CHIP_ID, 0)

    def read_register(self, data: bytes, _check: int) -> tuple[int, bytes]:
        return self._registers.get(struct.unpack("<I", data)[0], 0), b""

    def write_register(self, data: bytes, _check: int) -> tuple[int, bytes]:
        for at in range(0, len(data), 16):
            address, value, mask, _delay = struct.unpack_from("<IIII", data, at)
            self._registers[address] = self._registers.get(address, 0) & ~mask | value & mask
            if address == self.rom.SPI_REG_BASE and value:
                self._flash_command()
        return 0, b""

    def _flash_command(self) -> None:
        """Emulate the SPI controller: identify the flash."""
        base, rom = self.rom.SPI_REG_BASE, self.rom
        command = self._registers[base + rom.SPI_USR2_OFFS] & 0xFF
        said = {0x9F: self.flash.size.bit_length() - 1 << 16 | 0x40EF, 0x5A: SFDP}
        self._registers[base + rom.SPI_W0_OFFS] = said.get(command, 0)
        self._registers[base] = 0

    def memory_begin(self, data: bytes, _check: int) -> tuple[int, bytes]:
        size, _blocks, _block, address = struct.unpack("<IIII", data)
        self._ram[address], self._ram_at = (size, bytearray()), address
        return 0, b""

    def memory_data(self, data: bytes, check: int) -> tuple[int, bytes]:
        block = _checked(data, check)
        self._ram[self._ram_at][1].extend(block)
        return 0, b""

    def memory_end(self, data: bytes, _check: int) -> tuple[int, bytes]:
        stay, entry = struct.unpack("<II", data)
        assert not stay
        assert all(len(loaded) == size for size, loaded in self._ram.values()), "the stub is not whole"
        assert any(start <= entry < start + size for start, (size, _) in self._ram.items())
        self.stub = self._attached = True
        return 0, b""

    def attach(self, _data: bytes, _check: int) -> tuple[int, bytes]:
        self._attached = True
        return 0, b""

    def set_parameters(self, data: bytes, _check: int) -> tuple[int, bytes]:
        assert struct.unpack("<IIIIII", data)[1] == self.flash.size
        return 0, b""

    def flash_begin(self, data: bytes, _check: int) -> tuple[int, bytes]:
        erase, blocks, block, address = self._begun(data)
        self.flash.erase(address, erase)
        self._download = Download(address, blocks, block)
        return 0, b""

    def deflated_begin(self, data: bytes, _check: int) -> tuple[int, bytes]:
        size, blocks, block, address = self._begun(data)
        self.flash.erase(address, size)
        self._download = Download(address, blocks, block, inflate=zlib.decompressobj().decompress)
        return 0, b""

    def _begun(self, data: bytes) -> tuple[int, int, int, int]:
        if not self._attached:
            raise CommandFailed
        assert len(data) == (16 if self.name == "esp32" and not self.stub else 20)
        size, blocks, block, address = struct.unpack_from("<IIII", data)
        assert address % SECTOR == 0
        return size, blocks, block, address

    def flash_data(self, data: bytes, check: int) -> tuple[int, bytes]:
        if self._blocks == self.faults.pull_cable_at_block:
            self._unplug()
        if self._blocks == self.faults.silent_at_block:
            self.faults.dead = True
        if self.faults.dead or self._slave < 0:
            raise CommandFailed  # the cable is gone, so no answer arrives
        self._blocks += 1
        sequence = struct.unpack_from("<II", data)[1]
        download, block = self._download, _checked(data, check)
        if download is None or sequence != download.received or sequence >= download.blocks:
            raise CommandFailed
        assert len(block) <= download.block_bytes
        written = download.inflate(block) if download.inflate else block
        self.flash.write(download.address + download.at, written)
        download.at += len(written)
        download.received += 1
        return 0, b""

    def flash_end(self, _data: bytes, _check: int) -> tuple[int, bytes]:
        assert self._download is not None
        assert self._download.received == self._download.blocks
        self._download = None
        return 0, b""

    def digest(self, data: bytes, _check: int) -> tuple[int, bytes]:
        address, size, _, _ = struct.unpack("<IIII", data)
        if not self._attached:
            raise CommandFailed
        if self._digests == self.faults.rot_at_digest:
            first = next(at for what, at, _ in self.flash.log if what == "write")
            self.flash.data[first + 100] ^= 0x10
        self._digests += 1
        found = hashlib.md5(self.flash.data[address : address + size], usedforsecurity=False)
        return 0, found.digest() if self.stub else found.hexdigest().encode()


def _checked(data: bytes, check: int) -> bytes:
    length = struct.unpack_from("<I", data)[0]
    block = data[16:]
    assert length == len(block)
    found = 0xEF
    for byte in block:
        found ^= byte
    if found != check:
        raise CommandFailed(BAD_CHECKSUM)
    return block


Answer = Callable[[Chip, bytes, int], tuple[int, bytes]]
ANSWERS: dict[int, Answer] = {
    0x02: Chip.flash_begin,
    0x03: Chip.flash_data,
    0x04: Chip.flash_end,
    0x05: Chip.memory_begin,
    0x06: Chip.memory_end,
    0x07: Chip.memory_data,
    0x08: Chip.sync,
    0x09: Chip.write_register,
    0x0A: Chip.read_register,
    0x0B: Chip.set_parameters,
    0x0D: Chip.attach,
    0x10: Chip.deflated_begin,
    0x11: Chip.flash_data,
    0x12: Chip.flash_end,
    0x13: Chip.digest,
    0x14: Chip.security_info,
}
