# SPDX-License-Identifier: Apache-2.0
"""Builds the packages of `make dist` from the sdist alone, and installs them into an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command, or fail with its output."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env={**alone, **variables}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the working tree."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def source(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the sdist, which is all that a packager has."""
    folder = tmp_path_factory.mktemp("source")
    # The program refuses paths that lead out of the folder. Python's own way to do so is not in Debian's 3.11.2.
    run("tar", "--extract", "--no-same-owner", "--file", sdist, cwd=folder)
    return next(folder.iterdir())


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the unpacked sdist, with its man pages."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "tools/manual.py", "build/share", cwd=source, PYTHONPATH=str(source))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with the constraints in it, as the documentation says; return the environment."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True, symlinks=True)
    tested = folder / "constraints.txt"
    tested.write_bytes(zipfile.ZipFile(wheel).read("reconciler/constraints.txt"))
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-compile", "--constraint", tested, wheel, cwd=folder)
    return folder
