# SPDX-License-Identifier: Apache-2.0
"""A Unix socket next to the daemon's state, through which programs on the gateway have pipelines run.

A request is a line of JSON, and after it the bytes of the input that the line announces. The answer is a line of
JSON. Only the gateway's user may connect: the folder of the state belongs to it, and so does the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from reconciler.engine.pipelines.router import PipelineRouter
from reconciler.engine.pipelines.station import PipelineStation
from reconciler.errors import FleetError

log = logging.getLogger(__name__)

SOCKET_FILE = "pipelines.sock"
LINE_BYTES_MAX = 1024
INPUT_BYTES_MAX = 1 << 24
MALFORMED = (ValueError, TypeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError)
REQUEST_S = 10.0  # to send a request; a connection that sends none is closed


@asynccontextmanager
async def pipeline_socket(folder: Path, station: PipelineStation) -> AsyncIterator[None]:
    """Accept requests inside the block."""
    path = folder / SOCKET_FILE
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(
            lambda reader, writer: _serve(station, reader, writer), path, limit=LINE_BYTES_MAX
        )
    except OSError as error:  # a path that is too long for a socket: everything else works
        log.warning("no pipelines can be run by programs: can't listen at %s: %s", path, error)
        yield
        return
    finally:
        os.umask(before)
    try:
        async with server:
            yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


async def _serve(station: PipelineStation, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        try:
            async with asyncio.timeout(REQUEST_S):
                request, data = await _request(reader)
            answer = await _answer(station, request, data)
        except FleetError as failure:
            answer = {"error": failure.reason, "message": str(failure)}
        except MALFORMED:
            answer = {"error": "Malformed", "message": "expected a line of JSON with `pipeline` and `bytes`"}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


async def _request(reader: asyncio.StreamReader) -> tuple[Mapping[str, Any], bytes]:
    request = json.loads(await reader.readuntil(b"\n"))
    if not isinstance(request, dict):
        raise TypeError(request)
    size = int(request.get("bytes", 0))
    if not 0 <= size <= INPUT_BYTES_MAX:
        raise ValueError(size)
    return request, await reader.readexactly(size)


async def _answer(station: PipelineStation, request: Mapping[str, Any], data: bytes) -> Mapping[str, object]:
    if "pipeline" not in request:
        return {"pipelines": [_described(name, router) for name, router in sorted(station.routers.items())]}
    result = await station.run(str(request["pipeline"]), data)
    return {"outputs": result.outputs.hex(), "ran": list(result.ran), "exact": result.exact}


def _described(name: str, router: PipelineRouter) -> Mapping[str, object]:
    return {
        "name": name,
        "model": str(router.pipeline.model),
        "input_bytes": sum(router.route.input_bytes),
        "stages": [
            {"number": stage.number, "devices": [holder.device for holder in holders], "ran_by": tally.by}
            for stage, holders, tally in zip(router.route.stages, router.holders, router.tallies, strict=True)
        ],
    }
