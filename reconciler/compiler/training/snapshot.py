# SPDX-License-Identifier: Apache-2.0
"""The windows of a training as one value with a digest: a line of JSON, then the columns, little-endian.

It is made once, when a training begins, so that a training that continues after a kill, or on another machine, sees the
same windows although the knowledge base has changed meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler.compiler.errors import ModelUnreadable
from reconciler.compiler.pack.io_section import ElementType
from reconciler.model import DeviceId
from reconciler.training.selection import RowUse, SelectedRow

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FORMAT = "tinyfleet-snapshot/1"
_COLUMNS = {
    "number": "<i8",
    "device": "<u4",
    "received_us": "<i8",
    "weight": "<i8",
    "anomalous": "|u1",
    "use": "|u1",
}
_INT16_FIELDS = ("samples", "channels", "scale")
_MICROSECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class SnapshotLayout:
    """What the bytes of the windows mean: the samples of a window, channel by channel.

    They are int16 where a forest has decided, and int8 where a network has.
    """

    samples: int
    channels: int
    scale: float  # of an element, in real units
    element_type: int = ElementType.INT16
    zero_point: int = 0

    @property
    def elements(self) -> int:
        """How many elements a window has."""
        return self.samples * self.channels

    @property
    def window_bytes(self) -> int:
        """How many bytes a window has."""
        return self.elements * ElementType(self.element_type).size

    def as_dict(self) -> Mapping[str, float]:
        """Return the fields of the header of a snapshot; those of int16 are what they were before there was int8."""
        fields = asdict(self)
        return fields if self.element_type != ElementType.INT16 else {name: fields[name] for name in _INT16_FIELDS}


@dataclass(frozen=True)
class Snapshot:
    """The windows of a training."""

    layout: SnapshotLayout
    rows: tuple[SelectedRow, ...]
    windows: bytes  # one after the other

    @cached_property
    def encoded(self) -> bytes:
        """The bytes: the same windows in the same order are the same bytes."""
        import numpy as np  # noqa: PLC0415 - a daemon without trainings does without it

        devices = sorted({row.device for row in self.rows})
        place = {name: index for index, name in enumerate(devices)}
        columns: Mapping[str, Sequence[int]] = {
            "number": [row.number for row in self.rows],
            "device": [place[row.device] for row in self.rows],
            "received_us": [round(row.received_at.timestamp() * _MICROSECOND) for row in self.rows],
            "weight": [row.weight for row in self.rows],
            "anomalous": [row.anomalous for row in self.rows],
            "use": [row.use for row in self.rows],
        }
        layout = self.layout.as_dict()
        header = {"format": FORMAT, "rows": len(self.rows), "layout": layout, "devices": devices}
        line = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        body = b"".join(np.array(columns[name], kind).tobytes() for name, kind in _COLUMNS.items())
        return b"".join((line, b"\n", body, self.windows))

    @cached_property
    def sha256(self) -> str:
        """The digest that names these windows."""
        return hashlib.sha256(self.encoded).hexdigest()

    @property
    def newest(self) -> datetime:
        """When the newest window arrived."""
        return max(row.received_at for row in self.rows)

    def window_table(self) -> npt.NDArray[np.integer]:
        """Return the windows, a row each."""
        import numpy as np  # noqa: PLC0415 - a daemon without trainings does without it

        code = ElementType(self.layout.element_type).code
        return np.frombuffer(self.windows, code).reshape(len(self.rows), -1)


def decode_snapshot(data: bytes) -> Snapshot:
    """Read what `Snapshot.encoded` returned; it is ours, so damage is the only thing that can be wrong with it."""
    import numpy as np  # noqa: PLC0415 - a daemon without trainings does without it

    line, _, body = data.partition(b"\n")
    try:
        header = json.loads(line)
        count, layout = header["rows"], SnapshotLayout(**header["layout"])
        if header["format"] != FORMAT:
            raise ModelUnreadable(f"the snapshot has the format {header['format']!r}; this release reads {FORMAT}")
        columns: dict[str, list[Any]] = {}
        at = 0
        for name, kind in _COLUMNS.items():
            size = count * np.dtype(kind).itemsize
            columns[name] = np.frombuffer(body[at : at + size], kind).tolist()
            at += size
        names = [DeviceId(name) for name in header["devices"]]
        rows = tuple(
            SelectedRow(
                number,
                names[device],
                datetime.fromtimestamp(received_us / _MICROSECOND, UTC),
                weight,
                bool(anomalous),
                RowUse(use),
            )
            for number, device, received_us, weight, anomalous, use in zip(*columns.values(), strict=True)
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelUnreadable(f"the snapshot is damaged: {error!r}") from error
    windows = body[at:]
    if len(rows) != count or len(windows) != count * layout.window_bytes:
        raise ModelUnreadable(f"the snapshot is cut off: {len(windows)} bytes of windows for {count} rows")
    return Snapshot(layout, rows, windows)
