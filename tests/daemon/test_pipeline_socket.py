# SPDX-License-Identifier: Apache-2.0
"""The socket for pipelines refuses what it does not understand, and only the user of the daemon may open it."""

from __future__ import annotations

import asyncio
import json
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.daemon.pipeline_socket import SOCKET_FILE, pipeline_socket
from reconciler.engine.pipelines.station import PipelineStation


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="socket") as made:  # the path of a socket is short
        yield Path(made)


def ask(folder: Path, request: bytes) -> Any:  # noqa: ANN401 - JSON
    async def exchange() -> bytes:
        async with pipeline_socket(folder, PipelineStation(None)):  # type: ignore[arg-type]  # it has no pipelines
            assert stat.S_IMODE((folder / SOCKET_FILE).stat().st_mode) == 0o600
            reader, writer = await asyncio.open_unix_connection(folder / SOCKET_FILE)
            writer.write(request)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

    return json.loads(asyncio.run(exchange()))


@pytest.mark.parametrize(
    "request_",
    [b"", b"\n", b"{", b"[]\n", b"7\n", b'{"bytes": -1}\n', b'{"bytes": "x"}\n', b'{"pipeline": "a", "bytes": 5}\nabc',
     b'{"bytes": 99999999}\n', b"x" * 5000],
)  # fmt: skip
def test_what_is_malformed_is_refused(folder: Path, request_: bytes) -> None:
    assert ask(folder, request_)["error"] == "Malformed"


def test_a_pipeline_that_does_not_exist_is_named(folder: Path) -> None:
    answer = ask(folder, b'{"pipeline": "line"}\n')
    assert answer == {"error": "PipelineUnknown", "message": "this gateway has no pipeline named line"}


def test_a_socket_left_over_by_a_kill_is_replaced(folder: Path) -> None:
    (folder / SOCKET_FILE).touch()
    assert ask(folder, b"{}\n") == {"pipelines": []}
    assert not (folder / SOCKET_FILE).exists()


def test_a_folder_whose_path_is_too_long_keeps_the_daemon_running(folder: Path) -> None:
    deep = folder / ("d" * 120)
    deep.mkdir()

    async def enter() -> bool:
        async with pipeline_socket(deep, PipelineStation(None)):  # type: ignore[arg-type]  # as above
            return not (deep / SOCKET_FILE).exists()

    assert asyncio.run(enter())
