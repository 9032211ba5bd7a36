# SPDX-License-Identifier: Apache-2.0
"""Encodes a pack as payloads in a process of its own: `python -m reconciler.compiler.payload.encoding_process`.

A patch takes up to seconds of processor time, in which the daemon could not answer. It needs NumPy too, which takes
more memory than a thousand devices, and the daemon does without.

Standard input has the length of the pack on one line, then the pack, then the base, if there is one. Standard output
has a line for each payload with its encoding, whether it is a patch against the base, and its length, then an empty
line, then the payloads.
"""

from __future__ import annotations

import subprocess
import sys

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.payload.encoded_payload import EncodedPayload
from reconciler.model import PayloadEncoding

LIMIT_S = 600.0


def encode_in_process(pack: bytes, base: bytes | None) -> tuple[EncodedPayload, ...]:
    """Encode a pack in every way, the smallest payload first."""
    command = (sys.executable, "-m", "reconciler.compiler.payload.encoding_process")
    given = b"%d\n" % len(pack) + pack + (base or b"")
    try:
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as late:
        raise BuildFailed(f"encoding a pack of {len(pack)} bytes took more than {LIMIT_S:.0f} s") from late
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise BuildFailed(f"encoding a pack of {len(pack)} bytes failed: {last}")
    return _read(done.stdout)


def _read(answer: bytes) -> tuple[EncodedPayload, ...]:
    head, _, data = answer.partition(b"\n\n")
    payloads, at = [], 0
    for line in head.splitlines():
        encoding, against_base, size = map(int, line.split())
        payloads.append(EncodedPayload(PayloadEncoding(encoding), data[at : at + size], bool(against_base)))
        at += size
    return tuple(payloads)


def main() -> None:
    """Encode what standard input has."""
    from reconciler.compiler.payload.payload_encodings import candidates  # noqa: PLC0415 - it needs NumPy

    given = sys.stdin.buffer
    size = int(given.readline())
    pack, base = given.read(size), given.read()
    found = candidates(pack, base or None)
    head = [b"%d %d %d\n" % (each.encoding, each.against_base, len(each.data)) for each in found]
    sys.stdout.buffer.write(b"".join([*head, b"\n", *(each.data for each in found)]))


if __name__ == "__main__":
    main()
