# SPDX-License-Identifier: Apache-2.0
"""A webhook's receiver, over real HTTP on the loopback."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.loopback import QuietHandler, serving


@dataclass(frozen=True)
class Taken:
    body: bytes
    headers: dict[str, str]
    method: str = "POST"
    path: str = "/hook"

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers with the next of `answers`, then with 204."""

    answers: list[int] = field(default_factory=list)
    taken: queue.Queue[Taken] = field(default_factory=queue.Queue)
    location: str = ""
    hold: threading.Event | None = None  # answers only when it is set

    @contextmanager
    def served(self) -> Iterator[str]:
        receiver = self

        class Handler(QuietHandler):
            def do_PUT(self) -> None:  # noqa: N802 - the name that http.server looks for
                self.do_POST()

            def do_POST(self) -> None:  # noqa: N802 - as above
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.hold is not None:
                    receiver.hold.wait(30)
                # Before the answer: a client that has the answer finds its request here.
                receiver.taken.put(Taken(body, dict(self.headers.items()), self.command, self.path))
                status = receiver.answers.pop(0) if receiver.answers else 204
                self.send_response(status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

        with serving(Handler) as url:
            yield f"{url}/hook"
