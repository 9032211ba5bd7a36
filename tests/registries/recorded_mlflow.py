# SPDX-License-Identifier: Apache-2.0
"""A server that gives the answers of a real MLflow server, recorded in tests/registries/mlflow.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.loopback import QuietHandler, serving

RECORDING = Path(__file__).with_name("mlflow.json")


class RecordedMlflow:
    """The exchanges of the recording, in two parts: before and after the alias was moved."""

    def __init__(self) -> None:
        self.moved = False
        self.down = False
        self.artifacts: str | None = None  # stands for the place in the recording
        self.requests: list[str] = []
        self.authorizations: set[str | None] = set()
        self._parts: tuple[dict[str, tuple[int, bytes]], ...] = ({}, {})
        after = 0
        for exchange in json.loads(RECORDING.read_text())["exchanges"]:
            if "then" in exchange:
                after = 1
            else:
                answer = (exchange["status"], exchange["body"].encode("latin-1"))
                self._parts[after][exchange["path"]] = answer

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return the recorded answer; a request that was not recorded is a mistake of the client."""
        self.requests.append(path)
        if self.down:
            return 503, b"down for maintenance"
        if self.artifacts is not None and "get-download-uri" in path:
            return 200, json.dumps({"artifact_uri": self.artifacts}).encode()
        if self.moved and path in self._parts[1]:
            return self._parts[1][path]
        return self._parts[0].get(path, (501, f"not recorded: {path}".encode()))

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve the answers; yields the host and port."""
        recorded = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
                recorded.authorizations.add(self.headers.get("Authorization"))
                status, body = recorded.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        with serving(Handler) as url:
            yield url.removeprefix("http://")
