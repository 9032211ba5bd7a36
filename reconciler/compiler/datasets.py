# SPDX-License-Identifier: Apache-2.0
"""Reads data files: CSV with a header line, or `.npy`. Never a pickle."""

from __future__ import annotations

import csv
import io
import tokenize
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import ModelUnreadable

LARGEST_FILE = 256 << 20
MOST_VALUES = 1 << 26
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows of numbers, with labels if a column `label` has them."""

    columns: tuple[str, ...]
    rows: Floats
    labels: Floats | None = None


def refuse_pickle(name: str, data: bytes) -> None:
    """Pickles run code when they are read; nothing that comes from outside may."""
    if data.startswith(_PICKLES) or name.endswith((".pkl", ".pickle", ".joblib")):
        raise ModelUnreadable(
            f"{name} is a pickle: reading one runs the code in it, so none is ever read. "
            "Give the data and a recipe (spec.train), or the trees as JSON (docs/build.md)"
        )


def read_dataset(name: str, data: bytes, *, label: str = "label") -> Dataset:
    """Read a data file by its name's ending."""
    refuse_pickle(name, data)
    if len(data) > LARGEST_FILE:
        raise ModelUnreadable(f"{name} has {len(data)} bytes; at most {LARGEST_FILE} are read")
    return _read_npy(name, data) if name.endswith(".npy") else _read_csv(name, data, label)


def _read_npy(name: str, data: bytes) -> Dataset:
    try:
        version = np.lib.format.read_magic(stream := io.BytesIO(data))
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(stream)
        if dtype.hasobject or dtype.kind not in "fiub" or int(np.prod(shape, dtype=object)) > MOST_VALUES:
            raise ModelUnreadable(f"{name}: {dtype} of shape {shape} is not a table of numbers")
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, TypeError, EOFError, SyntaxError, RecursionError, tokenize.TokenError) as error:
        raise ModelUnreadable(f"{name} is not a readable .npy file: {error}") from error
    rows = np.asarray(array, np.float64).reshape(len(array) if array.ndim else 1, -1)
    _check_finite(name, rows)
    return Dataset(tuple(f"c{i}" for i in range(rows.shape[1])), rows)


def _read_csv(name: str, data: bytes, label: str) -> Dataset:
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ModelUnreadable(f"{name} is not a CSV file: {error}") from error
    if len(lines) < 2 or len(lines) * len(lines[0]) > MOST_VALUES:  # noqa: PLR2004 - a header and a row
        raise ModelUnreadable(f"{name} has {len(lines)} lines; a header and at least one row are needed")
    header = tuple(field.strip() for field in lines[0])
    try:
        rows = np.array([[float(field) for field in line] for line in lines[1:] if line], np.float64)
    except ValueError as error:
        raise ModelUnreadable(f"{name}: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != len(header):  # noqa: PLR2004 - a table
        raise ModelUnreadable(f"{name}: rows have not as many fields as the header")
    _check_finite(name, rows)
    if label not in header:
        return Dataset(header, rows)
    at = header.index(label)
    return Dataset(header[:at] + header[at + 1 :], np.delete(rows, at, axis=1), rows[:, at])


def _check_finite(name: str, rows: Floats) -> None:
    if not np.isfinite(rows).all() or rows.size == 0:
        raise ModelUnreadable(f"{name} has no values, or values that are not finite")
