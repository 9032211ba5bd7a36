# SPDX-License-Identifier: Apache-2.0
"""What one sample costs on a half-duplex line: the real agent keeps it, and the gateway's own code fetches it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bench.serial import BAUD, NODE, Workbench
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ATTESTED_BYTES_MAX, SampleSpace
from reconciler.devices.sample_range import AttestedRange, FetchedRange, NothingNew, RangeFetch
from reconciler.devices.simulated_line import run_simulated
from tests.firmware.host import Geometry

SAMPLING = Geometry(anomalies=0x8000, normals=0x4000)
TOKENS = 512
TOKENS_WITHOUT_WINDOW = 4  # a record of features takes two, and a window of 250 samples 16 more
TOKEN_MS = 4000


@dataclass(frozen=True)
class SampleTimes:
    """Seconds from the first question to the last answer of a visit to one log."""

    window_s: float
    features_s: float
    idle_s: float


def sample_times(pack: bytes, anomaly: bytes, baud: int = BAUD) -> SampleTimes:
    """Fetch one sample with its window, one without, and none."""
    return SampleTimes(
        window_s=_visit(pack, [anomaly], baud, TOKENS),
        features_s=_visit(pack, [anomaly], baud, TOKENS_WITHOUT_WINDOW),
        idle_s=_visit(pack, [], baud, TOKENS),
    )


def _visit(pack: bytes, anomalies: list[bytes], baud: int, tokens: int) -> float:
    """Let a device keep these windows, and return how long it takes to fetch them."""
    workbench = Workbench(baud)
    agent = workbench.device(pack, SAMPLING)
    try:
        agent.set_sampling(tokens, TOKEN_MS)
        agent.boot()
        agent.now_ms = tokens * TOKEN_MS  # the bucket is full
        agent.settle()
        if not all(agent.infer(window)[0] for window in anomalies):
            raise SystemExit("the forest calls the window normal")
        fetched, took_s = run_simulated(_timed(workbench.session(workbench.line(agent))))
    finally:
        agent.close()
    if not isinstance(fetched, AttestedRange if anomalies else NothingNew):
        raise SystemExit(f"the visit ended in {fetched}")
    return took_s


async def _timed(session: LinkSession) -> tuple[FetchedRange, float]:
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(session.run())
    began_s = loop.time()
    fetched = await RangeFetch(session, NODE, SampleSpace.ANOMALIES).run(0, ATTESTED_BYTES_MAX)
    took_s = loop.time() - began_s
    running.cancel()
    return fetched, took_s
