# SPDX-License-Identifier: Apache-2.0
"""Runs a command, and runs it again whenever it ends with the code 3, as a reset does with a board."""

from __future__ import annotations

import signal
import subprocess
import sys

RESTART = 3


def main() -> int:
    """Run the command in the arguments until it ends otherwise, or a signal stops both."""
    while True:
        process = subprocess.Popen(sys.argv[1:])

        def stop(_number: int, _frame: object, child: subprocess.Popen[bytes] = process) -> None:
            child.kill()
            sys.exit(0)

        signal.signal(signal.SIGTERM, stop)
        code = process.wait()
        if code != RESTART:
            return code


if __name__ == "__main__":
    sys.exit(main())
