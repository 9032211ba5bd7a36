# SPDX-License-Identifier: Apache-2.0
"""Fetch lwIP and mbedTLS, which a device with a network links, from Debian's source packages.

Neither is part of this repository. apt downloads the packages from the servers that this machine uses anyway. It
changes no lists of the machine and needs no root. An archive whose SHA-256 differs from ``debian_sources.txt`` is
refused. Running it again does nothing; running it twice at the same time is safe.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PINS = HERE / "debian_sources.txt"
APT_SOURCES = Path("/etc/apt")


@dataclass(frozen=True)
class Pin:
    """One source package, and what of it is used."""

    package: str
    archive: str
    sha256: str
    wanted: tuple[str, ...]


def pins(text: str) -> list[Pin]:
    """Parse the list of packages."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [Pin(package, archive, digest, tuple(wanted)) for package, archive, digest, *wanted in lines]


def fetch(into: Path) -> bool:
    """Make ``into`` match the pins; return whether anything had to be done."""
    into.mkdir(parents=True, exist_ok=True)
    with (into / ".debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = into / ".debian_pins"
        asked = hashlib.sha256(PINS.read_bytes() + Path(__file__).read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == asked:
            return False
        wanted = pins(PINS.read_text())
        with tempfile.TemporaryDirectory(dir=into) as work:
            _download(Path(work), [pin.package for pin in wanted])
            for pin in wanted:
                unpack(Path(work) / pin.archive, pin, into / pin.package)
        stamp.write_text(asked)
    return True


def source_lists(folder: Path) -> str:
    """Return this machine's lists of binary packages, those with one line each, as lists of source packages."""
    paths = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]
    lines = [line for path in paths if path.is_file() for line in path.read_text().splitlines()]
    return "\n".join("deb-src " + line.removeprefix("deb ") for line in lines if line.startswith("deb ")) + "\n"


def source_stanzas(folder: Path) -> str:
    """Return the lists in deb822, as lists of source packages."""
    stanzas = [path.read_text() for path in sorted(folder.glob("sources.list.d/*.sources"))]
    return "\n\n".join(re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.MULTILINE) for text in stanzas)


def _download(work: Path, packages: list[str]) -> None:
    for folder in ("parts", "lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "parts" / "machine.list").write_text(source_lists(APT_SOURCES))
    (work / "parts" / "machine.sources").write_text(source_stanzas(APT_SOURCES))
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": str(work / "parts"),
        "Dir::State::lists": str(work / "lists"),
        "Dir::Cache": str(work / "cache"),
        "APT::Sandbox::User": "",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    subprocess.run(["apt-get", *options, "-qq", "update"], cwd=work, check=True)
    subprocess.run(["apt-get", *options, "-qq", "source", "--download-only", *packages], cwd=work, check=True)


def unpack(archive: Path, pin: Pin, into: Path) -> None:
    """Extract the wanted files and folders of an archive that has the right digest, below ``into``."""
    if not archive.is_file():
        sys.exit(f"the package {pin.package} of this Debian has no {pin.archive}: it needs Debian 12")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != pin.sha256:
        sys.exit(f"{pin.archive} has the SHA-256 {digest}, expected {pin.sha256}")
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = member.name.partition("/")[2]
            source = tar.extractfile(member) if any(f"{inside}/".startswith(f"{one}/") for one in pin.wanted) else None
            if source is not None:
                path = into / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(source.read())


def main() -> None:
    """Run from the command line and from CMake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=HERE.parent / "build" / "third_party")
    done = fetch(parser.parse_args().into)
    sys.stdout.write("Debian sources: fetched\n" if done else "Debian sources: up to date\n")


if __name__ == "__main__":
    main()
