# SPDX-License-Identifier: Apache-2.0
"""How lwIP and mbedTLS are fetched: from the servers that apt uses anyway, and only with the pinned digest."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from firmware.tools.fetch_debian_sources import PINS, Pin, pins, source_lists, source_stanzas, unpack


def archive(path: Path, *names: str) -> Pin:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            tar.addfile(entry, io.BytesIO(name.encode()))
    return Pin("example", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), ("src/core", "LICENSE"))


def test_the_pins_name_archives_with_digests() -> None:
    found = pins(PINS.read_text())
    assert [pin.package for pin in found] == ["lwip", "mbedtls"]
    assert all(len(bytes.fromhex(pin.sha256)) == 32 and pin.wanted for pin in found)


def test_lists_of_either_form_become_lists_of_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("# a comment\ndeb [signed-by=/k.gpg] http://mirror/debian bookworm main\n")
    (tmp_path / "sources.list.d" / "x.list").write_text("deb-src http://other/debian bookworm main\n")
    stanza = "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm\nComponents: main\n"
    (tmp_path / "sources.list.d" / "debian.sources").write_text(stanza)
    assert source_lists(tmp_path) == "deb-src [signed-by=/k.gpg] http://mirror/debian bookworm main\n"
    assert source_stanzas(tmp_path) == stanza.replace("Types: deb\n", "Types: deb-src\n")


def test_only_what_is_wanted_is_unpacked(tmp_path: Path) -> None:
    pin = archive(tmp_path / "a.tar.gz", "top/src/core/a.c", "top/src/corey/b.c", "top/LICENSE", "top/test/c.c")
    unpack(tmp_path / "a.tar.gz", pin, tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"src/core/a.c", "LICENSE"}


def test_another_digest_is_refused(tmp_path: Path) -> None:
    pin = archive(tmp_path / "a.tar.gz", "top/LICENSE")
    wrong = Pin(pin.package, pin.archive, "0" * 64, pin.wanted)
    with pytest.raises(SystemExit, match="has the SHA-256"):
        unpack(tmp_path / "a.tar.gz", wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_version_in_debian_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no gone\.tar\.gz"):
        unpack(tmp_path / "gone.tar.gz", Pin("example", "gone.tar.gz", "0" * 64, ("src",)), tmp_path / "out")
