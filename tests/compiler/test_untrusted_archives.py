# SPDX-License-Identifier: Apache-2.0
"""Archives of models: their limits, and what they unpack to."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import pytest

from reconciler.compiler.errors import ModelUnreadable, OperatorUnsupported
from reconciler.compiler.tflite import untrusted_archives
from reconciler.compiler.tflite.untrusted_archives import unpack
from tests.compiler.test_hostile import zipped


def _archive(*members: zipfile.ZipInfo | str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for member in members:
            archive.writestr(member, b"x")
    return made.getvalue()


def test_an_archive_of_too_many_files_is_refused() -> None:
    with pytest.raises(ModelUnreadable, match="has 257 files; the limit is 256"):
        untrusted_archives.open_archive("m.zip", _archive(*(f"f{number}" for number in range(257))))


def test_an_archive_with_a_link_is_refused() -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ModelUnreadable, match="would be outside of its folder"):
        untrusted_archives.open_archive("m.zip", _archive(link))


def test_unpacking_makes_the_folders_of_the_members(tmp_path: Path) -> None:
    untrusted_archives.unpack("m.zip", _archive("variables/", "variables/index"), tmp_path)
    assert (tmp_path / "variables" / "index").read_bytes() == b"x"


def test_a_member_that_is_too_large_is_refused() -> None:
    archive = untrusted_archives.open_archive("m.zip", zipped(config=b"x" * 100))
    with pytest.raises(ModelUnreadable, match="unpacks to more than 50 bytes"):
        untrusted_archives.read_member(archive, "config", 50)


def test_unsupported_layers_are_named() -> None:
    config = {"layers": [7, {"class_name": "LSTM", "module": "keras.layers"}]}
    with pytest.raises(OperatorUnsupported, match="has a layer LSTM, of which TensorFlow makes a loop"):
        untrusted_archives.check_keras("m.keras", zipped(config__json=json.dumps(config).encode()))
    harmless = {"layers": [7, {"class_name": "Dense", "module": "keras.layers"}]}
    untrusted_archives.check_keras("m.keras", zipped(config__json=json.dumps(harmless).encode()))


def test_an_archive_is_unpacked_into_its_folder(tmp_path: Path) -> None:
    unpack("m.zip", zipped(saved_model__pb=b"graph", readme__txt=b"x"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["readme.txt", "saved_model.pb"]
