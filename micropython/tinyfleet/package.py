# SPDX-License-Identifier: Apache-2.0
"""Packages (docs/specs/package.md): four files whose digest follows from them; unpacked, checked again and loaded."""

import json
import os
import sys
from array import array
from hashlib import sha256

from tinyfleet import errors
from tinyfleet.cbor import BSTR, MAP, TSTR, UINT, Reader, head, text
from tinyfleet.errors import Refused
from tinyfleet.files import make_folder, sync

FORMAT = 1
NAMES = ("model.json", "__init__.py", "config.json", "features.py")  # in the order of a package
_PARAMETERS_MAX = 16
_GOLDEN_MAX = 64
_WINDOW_MAX = 4096 * 16
_PIECE = 512
_INT32 = 1 << 31


def digest_of(source: object, size: int) -> "bytes | None":
    """Return SHA-256 over a source with `read`, or None if it does not have this size."""
    digest, left = sha256(), size + 1
    while left > 0:
        data = source.read(min(_PIECE, left))
        if not data:
            break
        digest.update(data)
        left -= len(data)
    return digest.digest() if left == 1 else None


def unpack(source: object, folder: str) -> None:
    """Write the files of a package to a folder; raise Refused unless it is exactly a package."""
    make_folder(folder)
    if _head(source, MAP) != len(NAMES):
        raise Refused(errors.PACK)
    for name in NAMES:
        if source.read(_head(source, TSTR)) != name.encode():
            raise Refused(errors.PACK)
        left = _head(source, BSTR)
        with open(folder + "/" + name, "wb") as file:
            while left:
                data = source.read(min(_PIECE, left))
                if not data:
                    raise Refused(errors.PACK)
                file.write(data)
                left -= len(data)
    sync()
    if source.read(1):
        raise Refused(errors.PACK)


def _head(source: object, major: int) -> int:
    """Read a head of this major type; return its argument."""
    first = source.read(1)
    if not first or first[0] >> 5 != major:
        raise Refused(errors.PACK)
    info = first[0] & 31
    rest = source.read(1 << (info - 24)) if 24 <= info <= 26 else b""
    try:
        return Reader(bytes((info,)) + rest).head(UINT)
    except Refused:
        raise Refused(errors.PACK) from None


class Files:
    """The files in a folder, read as the package that they came from."""

    def __init__(self, folder: str) -> None:
        self._parts = [(head(MAP, len(NAMES)), "")]
        for name in NAMES:
            path = folder + "/" + name
            self._parts.append((text(name) + head(BSTR, os.stat(path)[6]), path))
        self._pending = b""
        self._file: object | None = None

    def read(self, count: int) -> bytes:
        """Return the next bytes, fewer than `count` at each border and none at the end."""
        while True:
            if self._pending:
                data, self._pending = self._pending[:count], self._pending[count:]
                return data
            data = self._file.read(count) if self._file else b""
            if data:
                return data
            if self._file:
                self._file.close()
                self._file = None
            if not self._parts:
                return b""
            self._pending, path = self._parts.pop(0)
            if path:
                self._file = open(path, "rb")


def has_digest(folder: str, digest: bytes, size: int) -> bool:
    """Return whether the files in a folder are those of the package with this digest."""
    try:
        return digest_of(Files(folder), size) == digest
    except OSError:
        return False


class Config:
    """What config.json says, checked."""

    def __init__(self, folder: str) -> None:
        try:
            with open(folder + "/config.json") as file:
                content = json.load(file)
            self._read(content)
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            raise Refused(errors.PACK) from None

    def _read(self, content: dict) -> None:
        window = content["window"]
        self.elements = window["samples"] * window["channels"]
        self.limits = [(entry["default"], entry["least"], entry["most"]) for entry in content["parameters"]]
        self.golden = [(entry["seed"], entry["decision"], entry["score"]) for entry in content["golden"]]
        valid = content["format"] == FORMAT and 1 <= self.elements <= _WINDOW_MAX
        valid = valid and len(self.limits) <= _PARAMETERS_MAX and 1 <= len(self.golden) <= _GOLDEN_MAX
        for default, least, most in self.limits:
            valid = valid and -_INT32 <= least <= default <= most < _INT32
        for seed, _, _ in self.golden:
            valid = valid and 0 < seed < 1 << 32
        if not valid:
            raise ValueError(content)

    def defaults(self) -> "list[int]":
        """Return the parameters as the package has them."""
        return [default for default, _, _ in self.limits]


def load(root: str, name: str) -> object:
    """Load the model in a folder of `root`: its code runs from here on."""
    for module in list(sys.modules):
        if module == name or module.startswith(name + "."):
            del sys.modules[module]
    if root not in sys.path:
        sys.path.insert(0, root)
    return __import__(name).load(root + "/" + name)


def golden_window(seed: int, elements: int) -> "array[int]":
    """Generate the window of a golden vector (docs/specs/pack.md section 4)."""
    window = []
    for _ in range(elements):
        seed ^= seed << 13 & 0xFFFFFFFF
        seed ^= seed >> 17
        seed ^= seed << 5 & 0xFFFFFFFF
        window.append((seed >> 16) - (seed >> 31 << 16))
    return array("h", window)
