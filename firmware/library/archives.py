# SPDX-License-Identifier: Apache-2.0
"""Writes the library as archives. The same tree gives the same bytes: names sorted, no dates, no owners."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from firmware.library.contents import contents, version

VENDOR: Final = "tinyfleet"
_NO_DATE: Final = (1980, 1, 1, 0, 0, 0)


def write(into: Path, third_party: Path) -> list[Path]:
    """Write the archives and return their paths: for everyone, and the same files as a CMSIS-Pack."""
    into.mkdir(parents=True, exist_ok=True)
    files = contents(third_party)
    archive = into / f"tinyfleet-{version()}.tar.gz"
    archive.write_bytes(_tar(files, "tinyfleet"))
    arduino = into / f"tinyfleet-{version()}.zip"
    arduino.write_bytes(_zip({f"tinyfleet/{name}": data for name, data in files.items()}))
    pack = into / f"{VENDOR}.tinyfleet.{version()}.pack"
    pack.write_bytes(_zip({_pack_name(name): data for name, data in files.items()}))
    return [archive, arduino, pack]


def _pack_name(name: str) -> str:
    """A pack names its description for its vendor."""
    return f"{VENDOR}.tinyfleet.pdsc" if name == "tinyfleet.pdsc" else name


def _tar(files: Mapping[str, bytes], top: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_DATE), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
