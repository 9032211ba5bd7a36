# SPDX-License-Identifier: Apache-2.0
"""Fetch the third-party C that the firmware builds on, from pinned source distributions.

The C is not part of this repository: pip downloads the distributions named in ``third_party.txt`` and refuses one whose
SHA-256 differs. The few files that the firmware needs are extracted to ``<into>/monocypher``.
Running it again does nothing; running it twice at the same time is safe.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = HERE / "third_party.txt"
#: What pip needs to read the metadata of a distribution. A fresh virtual environment of Python 3.11 has only the first;
#: without both, pip fetches them into an environment of its own.
METADATA_TOOLS = ("setuptools", "wheel")
#: distribution → {file inside its archive, below the top folder: where it goes}
WANTED = {
    "pymonocypher": {
        "monocypher.c": "monocypher/monocypher.c",
        "monocypher.h": "monocypher/monocypher.h",
        "LICENSE.txt": "monocypher/LICENSE.txt",
    },
}


def fetch(into: Path) -> bool:
    """Make ``into`` match the pins; return whether anything had to be done."""
    into.mkdir(parents=True, exist_ok=True)
    with (into / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, asked = into / ".pins", _digest()
        if stamp.exists() and stamp.read_text() == asked:
            return False
        with tempfile.TemporaryDirectory(dir=into) as work:
            _download(Path(work))
            for distribution, files in WANTED.items():
                (archive,) = Path(work).glob(f"{distribution}-*.tar.gz")
                _lay_out(archive, files, into)
        stamp.write_text(asked)
    return True


def _digest() -> str:
    return hashlib.sha256(PINS.read_bytes() + Path(__file__).read_bytes()).hexdigest()


def _download(work: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--no-binary", ",".join(WANTED), "--requirement", str(PINS), "--dest", str(work)]
    subprocess.run([*command, *isolation(importlib.util.find_spec)], check=True)


def isolation(find: Callable[[str], object | None]) -> list[str]:
    """Return the options with which pip reads metadata: with the tools that are here if none is missing."""
    return ["--no-build-isolation"] if all(find(tool) for tool in METADATA_TOOLS) else []


def _lay_out(archive: Path, files: dict[str, str], into: Path) -> None:
    with tarfile.open(archive) as tar:
        top = tar.getnames()[0].split("/")[0]
        for inside, target in files.items():
            source = tar.extractfile(f"{top}/{inside}")
            if source is None:
                sys.exit(f"{archive.name} holds no file {inside}")
            path = into / target
            path.parent.mkdir(exist_ok=True)
            with source, path.open("wb") as out:
                shutil.copyfileobj(source, out)


def main() -> None:
    """Run from the command line and from CMake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=HERE.parent / "build" / "third_party")
    done = fetch(parser.parse_args().into)
    sys.stdout.write("third-party C: fetched\n" if done else "third-party C: up to date\n")


if __name__ == "__main__":
    main()
