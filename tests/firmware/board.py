# SPDX-License-Identifier: Apache-2.0
"""An emulated board: the real firmware, a flash file that outlives the emulator, and its UART as a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SOCKET_BUFFER_BYTES = 1 << 16
DEBUGGER_BYTES = 1024  # that fit a packet in hex


@dataclass(frozen=True)
class Machine:
    """A kind of board: how to start its emulator, and its flash."""

    name: str
    emulator: tuple[str, ...]
    flash_file_bytes: int  # of the whole emulated memory
    binutils: str  # prefix of its compiler's tools
    stack_budget: str  # its key in firmware/budget.json
    stack_paint: bytes = b"\xc5" * 4
    flash_address: int | None = None  # of flash that the emulator keeps in no file; None: it maps the file
    has_watchdog: bool = True
    has_faults: bool = True
    is_slow: bool = False  # a signature check takes seconds: a test of its own has the agent on it (test_rp2040.py)
    library: str | None = None  # the emulator of others that firmware/chips runs
    is_model: bool = False  # a chip of firmware/chips, which reads the flash file when it starts; otherwise QEMU

    def command(self, elf: Path, flash: Path, uart: str, control: int) -> list[str]:
        """Return the emulator's command line; `control` is the file descriptor of its control connection."""
        command = [part.format(elf=elf, flash=flash) for part in self.emulator]
        if self.is_model:
            return [*command, "--uart", uart, "--control", str(control)]
        listens = ",server=on,wait=off" if uart.startswith("path=") else ""
        return [
            *command,
            *("-display", "none", "-monitor", "none", "-nodefaults"),
            *("-chardev", f"socket,id=uart,{uart}{listens}", "-serial", "chardev:uart"),
            *("-chardev", f"socket,id=control,fd={control}", "-mon", "chardev=control,mode=control"),
        ]


MPS2_AN386 = Machine(
    name="mps2-an386",
    emulator=(
        *("qemu-system-arm", "-M", "mps2-an386,memory-backend=flash", "-kernel", "{elf}"),
        *("-object", "memory-backend-file,id=flash,size=16M,mem-path={flash},share=on"),
    ),
    flash_file_bytes=16 << 20,
    binutils="arm-none-eabi-",
    stack_budget="stack_m4",
)
RISCV32_VIRT = Machine(
    name="riscv32-virt",
    emulator=(
        *("qemu-system-riscv32", "-M", "virt", "-smp", "1", "-m", "16M", "-bios", "{elf}"),
        *("-drive", "if=pflash,unit=1,format=raw,file={flash}"),
    ),
    flash_file_bytes=32 << 20,
    binutils="riscv64-unknown-elf-",
    stack_budget="stack_rv32",
)
NRF51_MICROBIT = Machine(
    name="nrf51-microbit",
    emulator=("qemu-system-arm", "-M", "microbit", "-kernel", "{elf}"),
    flash_file_bytes=0x30000,
    binutils="arm-none-eabi-",
    stack_budget="stack_m0",
    flash_address=0x10000,
    has_watchdog=False,
)
STM32L4 = Machine(
    name="stm32l4",
    emulator=(sys.executable, "-m", "firmware.chips", "stm32l4", "{elf}", "{flash}", "--flash-address", "0x08040000"),
    flash_file_bytes=0xC0000,
    binutils="arm-none-eabi-",
    stack_budget="stack_l4",
    flash_address=0x08040000,
    is_model=True,
)
NRF52840 = Machine(
    name="nrf52840",
    emulator=(sys.executable, "-m", "firmware.chips", "nrf52840", "{elf}", "{flash}", "--flash-address", "0x40000"),
    flash_file_bytes=0xC0000,
    binutils="arm-none-eabi-",
    stack_budget="stack_nrf52",
    flash_address=0x40000,
    is_model=True,
)
RP2040 = Machine(
    name="rp2040",
    emulator=(sys.executable, "-m", "firmware.chips", "rp2040", "{elf}", "{flash}", "--flash-address", "0x10040000"),
    flash_file_bytes=0xC0000,
    binutils="arm-none-eabi-",
    stack_budget="stack_rp2040",
    flash_address=0x10040000,
    has_faults=False,
    is_slow=True,
    library="rp2040py",
    is_model=True,
)
ESP32C3 = Machine(
    name="esp32c3",
    emulator=(sys.executable, "-m", "firmware.chips", "esp32c3", "{elf}", "{flash}", "--flash-address", "0x3C040000"),
    flash_file_bytes=0xC0000,
    binutils="riscv64-unknown-elf-",
    stack_budget="stack_c3",
    flash_address=0x3C040000,
    is_model=True,
)
MACHINES = (MPS2_AN386, RISCV32_VIRT, NRF51_MICROBIT, STM32L4, NRF52840, RP2040, ESP32C3)


def write_flash_file(machine: Machine, path: Path, contents: dict[int, bytes]) -> None:
    """Make the file of an emulated flash: erased except for ``contents``, which maps offsets to bytes."""
    with path.open("wb") as file:
        file.write(b"\xff" * machine.flash_file_bytes)
        for offset, data in contents.items():
            file.seek(offset)
            file.write(data)


class Debugger:
    """A debugger's connection to an emulator, to write flash as a programmer does. The processor runs when it ends."""

    def __init__(self) -> None:
        self._socket, self.end = socket.socketpair()
        self._answers = self._socket.makefile("rb")

    @property
    def options(self) -> tuple[str, ...]:
        """The emulator's options; the processor waits for the debugger."""
        return ("-S", "-chardev", f"socket,id=debugger,fd={self.end.fileno()}", "-gdb", "chardev:debugger")

    def __enter__(self) -> Self:
        self.end.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("D")
        self._answers.close()
        self._socket.close()

    def write(self, address: int, contents: bytes) -> None:
        """Write what is not erased."""
        for at in range(0, len(contents), DEBUGGER_BYTES):
            part = contents[at : at + DEBUGGER_BYTES]
            if part.count(0xFF) != len(part):
                self._ask(f"M{address + at:x},{len(part):x}:{part.hex()}")

    def _ask(self, request: str) -> None:
        self._socket.sendall(f"${request}#{sum(request.encode()) % 256:02x}".encode())
        answer = self._answers.read(len("+$OK#9a"))
        assert answer == b"+$OK#9a", (request[:20], answer)
        self._socket.sendall(b"+")


class Board:
    """One emulator process. ``uart`` is a connected socket while it runs; the flash file stays when it ends.

    With ``listen`` the UART is a Unix socket of that name instead, to which any process can connect.
    """

    def __init__(
        self, machine: Machine, elf: Path, flash: Path, *, listen: Path | None = None, extra: tuple[str, ...] = ()
    ) -> None:
        self.machine, self.elf, self.flash = machine, elf, flash
        self._listen, self._extra = listen, extra
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Switch the board on."""
        assert self._process is None, "the board runs already"
        debugger = Debugger() if self.machine.flash_address is not None and not self.machine.is_model else None
        self.uart, uart_end = socket.socketpair()
        self._control, control_end = socket.socketpair()
        for end in (self.uart, uart_end):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        command = [
            *self.machine.command(self.elf, self.flash, self._uart_end(uart_end), control_end.fileno()),
            *(debugger.options if debugger else ()),
            *self._extra,
        ]
        ends = [end.fileno() for end in (uart_end, control_end, *((debugger.end,) if debugger else ()))]
        with uart_end, control_end:
            self._process = subprocess.Popen(command, pass_fds=ends)
        self._control_lines = self._control.makefile("rb")
        self._control_lines.readline()  # the greeting
        self.control("qmp_capabilities")
        if debugger is not None and self.machine.flash_address is not None:
            with debugger:
                debugger.write(self.machine.flash_address, self.flash.read_bytes())

    def _uart_end(self, connected: socket.socket) -> str:
        return f"path={self._listen}" if self._listen else f"fd={connected.fileno()}"

    def kill(self) -> None:
        """Cut the power; only the flash file is left."""
        if self._process is None:
            return
        if self.machine.flash_address is not None:
            self._save_flash(self.machine.flash_address)
        self._process.kill()
        self._process.wait()
        self._process = None
        self._control_lines.close()
        self._control.close()
        self.uart.close()

    def _save_flash(self, address: int) -> None:
        """Stop the processor where it is, and keep what its flash has then."""
        self.control("stop")
        self.control("memsave", val=address, size=self.machine.flash_file_bytes, filename=str(self.flash))

    @property
    def pid(self) -> int:
        """The emulator's process id."""
        assert self._process is not None
        return self._process.pid

    def cpu_s(self) -> float:
        """How much processor time the emulator has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def control(self, command: str, **arguments: str | int) -> None:
        """Give the emulator a command and wait until it is done."""
        self._control.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            line = self._control_lines.readline()
            if not line:
                raise ConnectionError("the emulator ended")
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])
            if "return" in answer:
                return

    def memory(self, address: int, length: int) -> bytes:
        """Read the board's memory from outside."""
        dump = self.flash.with_suffix(".memory")
        self.control("pmemsave", val=address, size=length, filename=str(dump))
        try:
            return dump.read_bytes()
        finally:
            dump.unlink()

    def stack_used_bytes(self, begin: int, end: int) -> int:
        """Return the deepest use of the stack between two addresses, from the paint that is left."""
        stack = self.memory(begin, end - begin)
        word = len(self.machine.stack_paint)
        painted = 0
        while stack[painted : painted + word] == self.machine.stack_paint:
            painted += word
        return len(stack) - painted
