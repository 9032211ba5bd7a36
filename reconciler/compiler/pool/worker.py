# SPDX-License-Identifier: Apache-2.0
"""The process of a pool: `python -m reconciler.compiler.pool.worker LIMITS`. It loads models and has them vote.

It limits itself before it reads anything, as a build does. Whatever a model raises is its own failure; a crash or a
loop ends this process, and the gateway starts another one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from reconciler.compiler.pool.messages import PooledKind, PooledModel, receive, rows_from, send
from reconciler.compiler.worker import set_limits

if TYPE_CHECKING:
    from reconciler.compiler.pool.evaluation import Evaluation


class PoolWorker:
    """Answers one message after another."""

    def __init__(self) -> None:
        self._models: dict[str, Evaluation] = {}

    def answer(self, header: Mapping[str, Any], blobs: Sequence[bytes]) -> bytes:
        """Load a model, or return its votes."""
        # Imported after the limits are set: this imports numpy and, for some models, much more.
        from reconciler.compiler.pool.evaluation import evaluation_of  # noqa: PLC0415

        if header["op"] == "load":
            about = {**header["model"], "kind": PooledKind(header["model"]["kind"]), "data": blobs[0]}
            self._models[about["digest"]] = evaluation_of(PooledModel(**about))
            return b""
        votes = self._models[header["digest"]].vote(rows_from(header, blobs), header["thresholds"])
        return votes.tobytes()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the gateway ends."""
    worker = PoolWorker()
    while (message := receive(requests)) is not None:
        try:
            votes = worker.answer(*message)
        except Exception as error:  # noqa: BLE001 - whatever a model does is an answer, not the end of the pool
            send(answers, {"error": f"{type(error).__name__}: {error}"[:500], "cpu_s": time.process_time()})
        else:
            send(answers, {"cpu_s": time.process_time()}, votes)


def main() -> None:
    """Limit this process, then serve. What a library prints must not get between the answers."""
    limits = json.loads(sys.argv[1])
    set_limits(limits["memory_bytes"], limits["cpu_s"], limits["file_bytes"])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
    os._exit(0)  # does not wait for the threads of TensorFlow
