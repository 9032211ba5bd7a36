# SPDX-License-Identifier: Apache-2.0
"""What SHA-256 costs on a Cortex-M4: `make bench-crypto`.

The emulated board hashes 16 KiB under an instruction counter (firmware/runner/crypto_bench.c). Every update hashes the
whole pack, and every report and every signature hashes too, so this figure is part of most of what a device does.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from pathlib import Path

ELF = Path(__file__).resolve().parents[1] / "firmware" / "build" / "mps2-an386" / "crypto-bench.elf"
BYTES = 16384
TOTAL = BYTES + 64
PER_BYTE_MAX = 110
ANSWER_BYTES = 4 + 32
TIMEOUT_S = 60


def run(elf: Path) -> bytes:
    """Start the board and return what it sends."""
    ours, uart = socket.socketpair()
    ours.settimeout(TIMEOUT_S)
    with ours, ours.makefile("rb") as answer:
        command = [
            *("qemu-system-arm", "-M", "mps2-an386", "-nic", "user,restrict=on", "-icount", "shift=5"),
            *("-kernel", str(elf), "-display", "none", "-monitor", "none", "-nodefaults"),
            *("-chardev", f"socket,id=uart,fd={uart.fileno()}", "-serial", "chardev:uart"),
        ]
        with uart:
            process = subprocess.Popen(command, pass_fds=(uart.fileno(),))
        try:
            return answer.read(ANSWER_BYTES)
        finally:
            process.kill()
            process.wait()


def main() -> None:
    """Print the figure, and fail when the digest is wrong or the figure is above its bar."""
    answer = run(ELF)
    expected = hashlib.sha256(bytes((i * 7 + (i >> 8)) & 0xFF for i in range(TOTAL))).digest()
    if answer[4:] != expected:
        sys.exit("the board's digest is wrong")
    per_byte = int.from_bytes(answer[:4], "little") / BYTES
    sys.stdout.write(f"sha256_instructions_per_byte_m4={per_byte:.1f}\n")
    if per_byte > PER_BYTE_MAX:
        sys.exit(f"bar missed: sha256_instructions_per_byte_m4 is above {PER_BYTE_MAX}")


if __name__ == "__main__":
    main()
