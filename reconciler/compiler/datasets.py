# SPDX-License-Identifier: Apache-2.0
"""Reads datasets: CSV with a header line, or `.npy`. Never a pickle."""

from __future__ import annotations

import csv
import io
import tokenize
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import ModelUnreadable

MAX_FILE_BYTES = 256 << 20
MAX_VALUES = 1 << 26
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows of numbers, with a label for each if the file has a label column."""

    columns: tuple[str, ...]
    rows: Floats
    labels: Floats | None = None


def refuse_pickle(name: str, data: bytes) -> None:
    """Refuse pickles: reading one runs code, and these files come from outside."""
    if data.startswith(_PICKLES) or name.endswith((".pkl", ".pickle", ".joblib")):
        raise ModelUnreadable(
            f"{name} is a pickle: reading one runs the code in it, so pickles are never read. "
            "Use the training data with spec.train, or the trees as JSON (docs/build.md)"
        )


def read_dataset(name: str, data: bytes, *, label: str = "label") -> Dataset:
    """Read a dataset by the suffix of its file name."""
    refuse_pickle(name, data)
    if len(data) > MAX_FILE_BYTES:
        raise ModelUnreadable(f"{name} has {len(data)} bytes; the limit is {MAX_FILE_BYTES}")
    return _read_npy(name, data) if name.endswith(".npy") else _read_csv(name, data, label)


def _read_npy(name: str, data: bytes) -> Dataset:
    try:
        version = np.lib.format.read_magic(stream := io.BytesIO(data))
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(stream)
        if dtype.hasobject or dtype.kind not in "fiub" or int(np.prod(shape, dtype=object)) > MAX_VALUES:
            raise ModelUnreadable(f"{name} holds {dtype} of shape {shape}, which is not a table of numbers")
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, TypeError, EOFError, SyntaxError, RecursionError, tokenize.TokenError) as error:
        raise ModelUnreadable(f"cannot read {name} as a .npy file: {error}") from error
    rows = np.asarray(array, np.float64).reshape(len(array) if array.ndim else 1, -1)
    _check_finite(name, rows)
    return Dataset(tuple(f"c{i}" for i in range(rows.shape[1])), rows)


def _read_csv(name: str, data: bytes, label: str) -> Dataset:
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ModelUnreadable(f"cannot read {name} as a CSV file: {error}") from error
    if len(lines) < 2 or len(lines) * len(lines[0]) > MAX_VALUES:  # noqa: PLR2004 - a header and a row
        raise ModelUnreadable(
            f"{name} has {len(lines)} lines; it needs a header, at least one row, and at most {MAX_VALUES} values"
        )
    header = tuple(field.strip() for field in lines[0])
    try:
        rows = np.array([[float(field) for field in line] for line in lines[1:] if line], np.float64)
    except ValueError as error:
        raise ModelUnreadable(f"{name}: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != len(header):  # noqa: PLR2004 - a table
        raise ModelUnreadable(f"{name}: the rows and the header differ in their number of fields")
    _check_finite(name, rows)
    if label not in header:
        return Dataset(header, rows)
    at = header.index(label)
    return Dataset(header[:at] + header[at + 1 :], np.delete(rows, at, axis=1), rows[:, at])


def _check_finite(name: str, rows: Floats) -> None:
    if not np.isfinite(rows).all() or rows.size == 0:
        raise ModelUnreadable(f"{name} has no values, or some that are not finite")
