# SPDX-License-Identifier: Apache-2.0
"""How fast a gateway stores samples and votes: ranges of 16 KiB, windows of 250 samples, 20 votes on each sample."""

from __future__ import annotations

import random
import struct
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from reconciler.knowledge.records import LogPosition, SampleBatch, Voter
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import ContestId, DeviceId, ModelRef, Version
from reconciler.model.contests import Candidate
from reconciler.model.samples import Sample, SampleLog

CONTEST = ContestId("bench")
RANGES, DEVICES, VOTERS = 400, 20, 20
RECORD = 576  # a window of 250 int16 and three features
IN_A_RANGE = 16_384 // RECORD
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def main() -> None:
    """Print the figures."""
    draw = random.Random(1)
    batches = [_batch(draw, number) for number in range(RANGES)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "knowledge.db"
        knowledge = KnowledgeWriter(path)
        began = time.perf_counter()
        stored = sum(knowledge.ingest(batch) for batch in batches)
        ingested_s = time.perf_counter() - began
        began = time.perf_counter()
        ids = [each.id for each in knowledge.samples_after(CONTEST, 0, stored)]
        for number in range(VOTERS):
            voter = Voter(Candidate(ModelRef("forest", Version(str(number))), 0.6), "source")
            knowledge.save_votes(CONTEST, {voter: {each: bool(draw.getrandbits(1)) for each in ids}}, ids[-1])
        voted_s = time.perf_counter() - began
        knowledge.close()
        print(f"ingest_samples_per_s={stored / ingested_s:.0f}")
        print(f"ingest_with_{VOTERS}_votes_samples_per_s={stored / (ingested_s + voted_s):.0f}")
        print(f"bytes_per_sample={path.stat().st_size / stored:.0f}")


def _batch(draw: random.Random, number: int) -> SampleBatch:
    device = DeviceId(f"pump-{number % DEVICES}")
    before = number // DEVICES * IN_A_RANGE * RECORD
    samples = tuple(_sample(draw, device, before + index * RECORD) for index in range(IN_A_RANGE))
    return SampleBatch(CONTEST, device, SampleLog.ANOMALIES, before, LogPosition(before + IN_A_RANGE * RECORD), samples)


def _sample(draw: random.Random, device: DeviceId, offset: int) -> Sample:
    return Sample(
        device=device,
        log=SampleLog.ANOMALIES,
        offset=offset,
        boots=1,
        uptime_ms=offset,
        inferences=offset,
        score=draw.randrange(1 << 20),
        anomalous=True,
        skipped=0,
        context=b"abcd",
        features=(1, 2, 3),
        window=struct.pack("<250h", *[draw.randrange(-9999, 9999) for _ in range(250)]),
        element_type=2,
        weight=1,
        received_at=NOW,
    )


if __name__ == "__main__":
    main()
