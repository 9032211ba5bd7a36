# SPDX-License-Identifier: Apache-2.0
"""Samples and batches for the tests of the knowledge base."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from reconciler.knowledge.records import LearnedForest, LogPosition, SampleBatch, Voter
from reconciler.model import ContestId, DeviceId, Digest, ModelRef, Version
from reconciler.model.contests import Candidate
from reconciler.model.samples import Sample, SampleLog

CONTEST = ContestId("pump-vibration")
PUMP = DeviceId("pump-1")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
CONTEXT = b"ctx1"
STEP = 128


def candidate(number: int, threshold: float | None = 0.6) -> Candidate:
    """Return a candidate."""
    return Candidate(ModelRef("forest", Version(f"1.0.{number}")), threshold)


def voter(number: int, threshold: float | None = 0.6) -> Voter:
    """Return a voter."""
    return Voter(candidate(number, threshold), f"source-{number}")


def sample(number: int, log: SampleLog = SampleLog.ANOMALIES, device: DeviceId = PUMP, **values: object) -> Sample:
    """Return a sample: the numbers of a log are its order."""
    fields: dict[str, object] = {
        "device": device,
        "log": log,
        "offset": number * STEP,
        "boots": 3,
        "uptime_ms": 1000 * number,
        "inferences": 10 * number,
        "score": -number,
        "anomalous": log is SampleLog.ANOMALIES,
        "skipped": 0,
        "context": CONTEXT,
        "features": (number, -1, 2**31 - 1),
        "window": struct.pack("<4h", number, -1, 2, -3),
        "element_type": 2,
        "weight": 1 if log is SampleLog.ANOMALIES else 100,
        "received_at": NOON + timedelta(seconds=number),
        **values,
    }
    return Sample(**fields)  # type: ignore[arg-type]  # each test replaces what it needs


def batch(before: int, *samples: Sample, end: int | None = None) -> SampleBatch:
    """Return a batch that begins at the cursor and ends after the last sample."""
    first = samples[0]
    position = LogPosition(samples[-1].offset + STEP if end is None else end)
    return SampleBatch(CONTEST, first.device, first.log, before, position, samples)


def batch_of(count: int, log: SampleLog = SampleLog.ANOMALIES, device: DeviceId = PUMP) -> SampleBatch:
    """Return the first samples of a log."""
    return batch(0, *[sample(number, log, device) for number in range(count)])


def learned(seed: int, device: DeviceId = PUMP) -> LearnedForest:
    """Make a forest that a device has grown."""
    starter = ModelRef("forest", Version("1"))
    digests = (Digest(f"{seed:064x}"), seed, bytes([seed]) * 32)
    return LearnedForest(device, CONTEST, starter, *digests, 600, 3, b"pack" * seed, NOON + timedelta(seconds=seed))
