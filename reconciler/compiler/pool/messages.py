# SPDX-License-Identifier: Apache-2.0
"""What passes between a gateway and the process in which its pool of models runs: JSON, then plain bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import IO, Any

ABSTAINED = -1  # a vote; 1 is anomalous, 0 normal


class PooledKind(StrEnum):
    """How a model of the pool is run."""

    PACK = "pack"
    TFLITE = "tflite"
    KERAS = "keras"
    SKOPS = "skops"


@dataclass(frozen=True, slots=True)
class PooledModel:
    """A model of the pool. The digest names its bytes and its settings."""

    name: str
    digest: str
    kind: PooledKind
    data: bytes
    decide: str | None = None  # how the output of a network becomes a decision; packs and scikit-learn know it


@dataclass(frozen=True, slots=True)
class WindowLayout:
    """What the features and the windows of samples mean: they come from one context."""

    element_type: int = 0  # of the window (pack.md, section 2); 0: there are no windows
    scale: float = 1.0  # of an element of the window
    zero_point: int = 0
    samples: int = 0  # from which the features were computed; 0: there are no features
    channels: int = 0
    statistics: tuple[tuple[int, int], ...] = ()  # statistic and channel of each feature


@dataclass(frozen=True, slots=True)
class SampleRows:
    """Samples of one layout: the features as int32 and the windows, one row after the other."""

    layout: WindowLayout
    count: int
    features: bytes
    windows: bytes


def send(stream: IO[bytes], header: Mapping[str, Any], *blobs: bytes) -> None:
    """Write a message."""
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]})
    stream.write(text.encode() + b"\n" + b"".join(blobs))
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[bytes]] | None:
    """Read a message; None: the other side has ended."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    header: dict[str, Any] = json.loads(line)
    blobs = [stream.read(length) for length in header["blobs"]]
    if [len(blob) for blob in blobs] != header["blobs"]:
        return None
    return header, blobs


def rows_header(rows: SampleRows) -> dict[str, Any]:
    """Return what a message says of rows, without their bytes."""
    return {"layout": asdict(rows.layout), "count": rows.count}


def rows_from(header: Mapping[str, Any], blobs: Sequence[bytes]) -> SampleRows:
    """Return the rows of a message."""
    layout = {**header["layout"], "statistics": tuple(map(tuple, header["layout"]["statistics"]))}
    return SampleRows(WindowLayout(**layout), header["count"], *blobs)
