# SPDX-License-Identifier: Apache-2.0
"""Writes the samples of a contest for other programs: CSV always, Parquet and Arrow with the extra `learn`.

A row has what the device said, how the models voted and which label counts: a person's, else none. Features and window
are one column each per element in CSV, so that a file can be the training data of a model, and lists in the others.
"""

from __future__ import annotations

import csv
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, ClassVar

from reconciler.errors import Unusable
from reconciler.knowledge.reader import KnowledgeReader
from reconciler.knowledge.records import StoredSample
from reconciler.model import ContestId

BATCH = 1000
_ELEMENTS = {1: "b", 2: "h", 3: "i"}  # of a window, by its type (docs/specs/pack.md, section 2)
COLUMNS = (
    "number", "device", "log", "boots", "offset", "received_at", "uptime_ms", "inferences", "score", "anomalous",
    "weight", "model", "threshold", "label", "votes_anomalous", "votes_normal",
)  # fmt: skip


class ExportFormat(StrEnum):
    """The formats of an export."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


class LearnMissing(Unusable):
    """The export needs a package of the extra `learn`."""

    reason: ClassVar[str] = "LearnMissing"


def export(knowledge: KnowledgeReader, contest: ContestId, form: ExportFormat, path: Path) -> int:
    """Write all samples of a contest to a new file that only its owner can read; return how many."""
    path.touch(mode=0o600, exist_ok=False)
    try:
        if form is ExportFormat.CSV:
            with path.open("w", encoding="utf-8", newline="") as file:
                return _write_csv(knowledge, contest, file)
        return _write_arrow(knowledge, contest, form, path)
    except BaseException:
        path.unlink()
        raise


def rows_of(knowledge: KnowledgeReader, contest: ContestId) -> Iterator[dict[str, Any]]:
    """Yield every sample with its votes and its label, in the order of their storing; holds no more than a batch."""
    contexts = knowledge.contexts()
    last = 0
    while batch := knowledge.samples_after(contest, last, BATCH):
        votes = knowledge.votes(contest, last, batch[-1].id)
        labels = knowledge.labels(contest, last, batch[-1].id)
        for each in batch:
            known = contexts.get(each.sample.context)
            cast = [vote for vote in votes.get(each.id, {}).values() if vote is not None]
            yield {
                **_sample_fields(each),
                "model": str(known.model) if known is not None else None,
                "threshold": known.parameters.get("threshold") if known is not None else None,
                "label": labels.get(each.id),
                "votes_anomalous": sum(cast),
                "votes_normal": len(cast) - sum(cast),
            }
        last = batch[-1].id


def _sample_fields(each: StoredSample) -> dict[str, Any]:
    sample = each.sample
    return {
        "number": each.id,
        "device": str(sample.device),
        "log": sample.log.name.lower(),
        "boots": sample.boots,
        "offset": sample.offset,
        "received_at": sample.received_at,
        "uptime_ms": sample.uptime_ms,
        "inferences": sample.inferences,
        "score": sample.score,
        "anomalous": sample.anomalous,
        "weight": sample.weight,
        "features": list(sample.features),
        "window": _elements(sample.window, sample.element_type),
    }


def _elements(window: bytes | None, element_type: int) -> list[int]:
    code = _ELEMENTS.get(element_type)
    if window is None or code is None:
        return []
    return list(struct.unpack(f"<{len(window) // struct.calcsize(code)}{code}", window))


def _write_csv(knowledge: KnowledgeReader, contest: ContestId, file: IO[str]) -> int:
    """Write a column per element; the first pass finds how many there are."""
    features = windows = 0
    for row in rows_of(knowledge, contest):
        features, windows = max(features, len(row["features"])), max(windows, len(row["window"]))
    header = [*COLUMNS, *(f"f{index}" for index in range(features)), *(f"s{index}" for index in range(windows))]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    count = 0
    for count, row in enumerate(rows_of(knowledge, contest), 1):  # noqa: B007 - the count is the result
        writer.writerow([*_cells(row), *_padded(row["features"], features), *_padded(row["window"], windows)])
    return count


def _cells(row: Mapping[str, Any]) -> Iterator[object]:
    for name in COLUMNS:
        value = row[name]
        if isinstance(value, bool):
            yield int(value)
        elif name == "received_at":
            yield value.isoformat()
        else:
            yield "" if value is None else value


def _padded(values: Sequence[int], count: int) -> list[object]:
    return [*values, *[""] * (count - len(values))]


def _write_arrow(knowledge: KnowledgeReader, contest: ContestId, form: ExportFormat, path: Path) -> int:
    try:
        import pyarrow as pa  # noqa: PLC0415 - of the extra `learn`
        from pyarrow import parquet  # noqa: PLC0415 - as above
    except ModuleNotFoundError as missing:
        raise LearnMissing(f"an export as {form} needs pyarrow: install tinyfleet[learn], or export csv") from missing
    schema = _schema(pa)
    if form is ExportFormat.PARQUET:
        return _write_batches(pa, schema, lambda: parquet.ParquetWriter(path, schema), rows_of(knowledge, contest))
    return _write_batches(pa, schema, lambda: pa.ipc.new_file(str(path), schema), rows_of(knowledge, contest))


def _schema(pa: Any) -> Any:  # noqa: ANN401 - no types
    kinds = {
        "number": pa.int64(), "device": pa.string(), "log": pa.string(), "boots": pa.int64(), "offset": pa.int64(),
        "received_at": pa.timestamp("us", tz="UTC"), "uptime_ms": pa.int64(), "inferences": pa.int64(),
        "score": pa.int32(), "anomalous": pa.bool_(), "weight": pa.int64(), "model": pa.string(),
        "threshold": pa.float64(), "label": pa.bool_(), "votes_anomalous": pa.int32(), "votes_normal": pa.int32(),
        "features": pa.list_(pa.int32()), "window": pa.list_(pa.int32()),
    }  # fmt: skip
    return pa.schema(list(kinds.items()))


def _write_batches(
    pa: Any,  # noqa: ANN401 - no types
    schema: Any,  # noqa: ANN401 - as above
    opened: Callable[[], AbstractContextManager[Any]],
    rows: Iterator[dict[str, Any]],
) -> int:
    count = 0
    batch: list[dict[str, Any]] = []
    with opened() as writer:
        for count, row in enumerate(rows, 1):  # noqa: B007 - the count is the result
            batch.append(row)
            if len(batch) == BATCH:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch.clear()
        writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
    return count
