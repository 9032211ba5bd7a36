# SPDX-License-Identifier: Apache-2.0
"""How fast this machine is at what a daemon does most: verify signatures, call the kernel, and wake a thread.

Figures in seconds mean little without these, because machines and their hosts differ several times over.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROUNDS = 5
VERIFICATIONS, CALLS, WAKE_UPS = 500, 50_000, 2_000


def main() -> None:
    """Print the figures."""
    sys.stdout.writelines(f"{name}={figure}\n" for name, figure in machine_figures().items())


def machine_figures() -> Mapping[str, str]:
    """Return microseconds of processor time for each operation, both threads of a wake-up together."""
    return {
        "machine_verify_us": f"{_each_us(_verify, VERIFICATIONS):.0f}",
        "machine_call_us": f"{_each_us(_call_kernel, CALLS):.2f}",
        "machine_wake_us": f"{_each_us(_wake_thread, WAKE_UPS):.0f}",
    }


def _each_us(work: Callable[[int], None], count: int) -> float:
    took = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work(count)
        took.append(time.process_time() - started)
    return 1e6 * statistics.median(took) / count


def _verify(count: int) -> None:
    key, message = Ed25519PrivateKey.generate(), b"a report of a device".ljust(120)
    public, signature = key.public_key(), key.sign(message)
    for _ in range(count):
        public.verify(signature, message)


def _call_kernel(count: int) -> None:
    for _ in range(count):
        os.getppid()


def _wake_thread(count: int) -> None:
    there, back = threading.Semaphore(0), threading.Semaphore(0)

    def answer() -> None:
        for _ in range(count):
            there.acquire()
            back.release()

    other = threading.Thread(target=answer)
    other.start()
    for _ in range(count):
        there.release()
        back.acquire()
    other.join()


if __name__ == "__main__":
    main()
