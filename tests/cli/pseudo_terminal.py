# SPDX-License-Identifier: Apache-2.0
"""The command on a terminal of a given width, as a person sees it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(*arguments: str | Path, columns: int, **variables: str) -> str:
    """Run the command with a terminal as its standard output, and return what it wrote, with its styles."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    settings = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    with subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**settings, "TERM": "xterm-256color", **variables},
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.DEVNULL,
    ):
        os.close(writer)
        return _all(reader).replace("\r\n", "\n")


def unstyled(text: str) -> str:
    """Return the text without its styles."""
    return STYLE.sub("", text)


def _all(reader: int) -> str:
    """Read to the end: a terminal whose last writer has gone reports EIO."""
    data = b""
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while True:
            try:
                chunk = stream.read(65536)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return data.decode()
            if not chunk:
                return data.decode()
            data += chunk
