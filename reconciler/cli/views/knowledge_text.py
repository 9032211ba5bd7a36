# SPDX-License-Identifier: Apache-2.0
"""What a knowledge base keeps, as a mapping for programs and as text."""

from __future__ import annotations

from typing import Any

from reconciler.knowledge.reader import KnowledgeReader
from reconciler.review.formatting import iso

MEBIBYTE = 1024 * 1024


def knowledge_as_dict(knowledge: KnowledgeReader) -> dict[str, Any]:
    """Count what is kept."""
    contests = []
    for name in knowledge.contests():
        counts = knowledge.counts(name)
        contests.append(
            {
                "contest": name,
                "samples": counts.samples,
                "anomalies": counts.anomalies,
                "labelled": counts.labelled,
                "bytes": counts.bytes,
                "oldest": iso(counts.oldest),
                "newest": iso(counts.newest),
            }
        )
    lost = {
        f"{device} {log.name.lower()}": position.lost_bytes
        for (device, log), position in sorted(knowledge.positions().items())
        if position.lost_bytes
    }
    return {"contests": contests, "lostBytes": lost}


def knowledge_text(fields: dict[str, Any]) -> str:
    """Show the same as text."""
    rows = [("CONTEST", "SAMPLES", "ANOMALIES", "LABELLED", "SIZE", "OLDEST", "NEWEST")]
    rows += [
        (
            each["contest"],
            f"{each['samples']:,}",
            f"{each['anomalies']:,}",
            f"{each['labelled']:,}",
            f"{each['bytes'] / MEBIBYTE:.1f} MiB",
            (each["oldest"] or "-")[:16],
            (each["newest"] or "-")[:16],
        )
        for each in fields["contests"]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not fields["contests"]:
        lines = ["no samples"]
    lost = [
        f"{count:,} bytes of {log} were overwritten before they were fetched"
        for log, count in fields["lostBytes"].items()
    ]
    return "\n".join([*lines, *lost])
