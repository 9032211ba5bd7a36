# SPDX-License-Identifier: Apache-2.0
"""What SHA-256, and sessions with stages of pipelines, cost on a Cortex-M4: `make bench-crypto`.

The emulated board works under an instruction counter (firmware/runner/crypto_bench.c). Every update hashes the whole
pack, and every report and every signature hashes too, so that figure is part of most of what a device does. Each piece
of an activation has a tag, and is copied. Opening a session verifies a signature and agrees on a key.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.poly1305 import Poly1305

from bench.bars import Bar, at_most

ELF = Path(__file__).resolve().parents[1] / "firmware" / "build" / "mps2-an386" / "crypto-bench.elf"
BYTES, REST, PIECE = 16384, 64, 960
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032, section 7.1
ANSWER = struct.Struct("<IIII32s16s32s")
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class CryptoCost:
    """Instructions on a Cortex-M4."""

    sha256_per_byte: float
    tag_per_byte: float
    copy_per_byte: float
    opening: int

    def session_figures(self) -> tuple[tuple[Bar, float], ...]:
        """Return what sessions of pipelines cost, with the bars."""
        return (
            (at_most("tag_instructions_per_byte", 20), round(self.tag_per_byte, 1)),
            (at_most("tag_and_copy_instructions_per_byte", 21), round(self.tag_per_byte + self.copy_per_byte, 1)),
            (at_most("open_instructions", 14_000_000), self.opening),
        )


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
            return answer.read(ANSWER.size)
        finally:
            process.kill()
            process.wait()


def measure() -> CryptoCost:
    """Run the board, and check what it computed."""
    hashing, tagging, copying, opening, digest, tag, shared = ANSWER.unpack(run(ELF))
    data = bytes((i * 7 + (i >> 8)) & 0xFF for i in range(BYTES + REST))
    piece = data[: PIECE + REST]
    once = hashlib.sha256(b"\x01" + bytes(31) + struct.pack("<BIII", 8, 1, 0, len(piece))).digest()
    agreed = X25519PrivateKey.from_private_bytes(hashlib.sha512(SEED).digest()[:32]).public_key().public_bytes_raw()
    expected = hashlib.sha256(data).digest(), Poly1305.generate_tag(once, piece), agreed
    for what, right, wrong in zip(("digest", "tag", "secret"), expected, (digest, tag, shared), strict=True):
        if right != wrong:
            sys.exit(f"the board's {what} is wrong")
    return CryptoCost(hashing / BYTES, tagging / PIECE, copying / PIECE, opening)


def main() -> None:
    """Print the figures with their bars, and fail when one is missed."""
    cost = measure()
    sha256 = at_most("sha256_instructions_per_byte_m4", 110), round(cost.sha256_per_byte, 1)
    missed = []
    for bar, figure in (sha256, *cost.session_figures()):
        sys.stdout.write(bar.line(figure) + "\n")
        missed += [] if bar.is_met(figure) else [bar.name]
    if missed:
        sys.exit(f"bars missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
