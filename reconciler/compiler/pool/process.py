# SPDX-License-Identifier: Apache-2.0
"""The pool of a gateway: one caged process that has models vote on samples.

A model that raises, crashes the process, needs too much memory or takes too long abstains from the samples at hand.
After three times it is out until Git changes.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reconciler.compiler.pool.messages import PooledModel, SampleRows, receive, rows_header, send
from reconciler.compiler.sandbox import cage_command, cage_environment

log = logging.getLogger(__name__)

FAILURES_MAX = 3  # then a model is out until Git changes


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The resources of the process."""

    vote_s: float = 60.0  # for one batch of samples
    load_s: float = 120.0  # importing TensorFlow takes seconds
    cpu_s: int = 3600  # then the process is replaced
    memory_bytes: int = 4 << 30
    file_bytes: int = 64 << 20


class _ModelFailed(Exception):
    """A model could not be loaded, or did not vote."""


class CagedPool:
    """The process, started when it is needed. For one thread at a time."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._loaded: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._why: dict[str, str] = {}

    @property
    def failing(self) -> Mapping[str, str]:
        """Return why models are out, by their names."""
        return dict(self._why)

    def is_out(self, model: PooledModel) -> bool:
        """Return whether a model has failed too often."""
        return self._failures[model.digest] >= FAILURES_MAX

    def git_changed(self) -> None:
        """Give every model another chance."""
        self._failures.clear()
        self._why.clear()

    def vote(self, model: PooledModel, rows: SampleRows, thresholds: Sequence[float | None]) -> list[list[int]] | None:
        """Return a row of votes for each threshold; None: the model failed, and abstains."""
        if self.is_out(model):
            return None
        try:
            self._load(model)
            header = {"op": "vote", "digest": model.digest, "thresholds": list(thresholds), **rows_header(rows)}
            (votes,) = self._ask(header, (rows.features, rows.windows), self._limits.vote_s)
            return _by_threshold(votes, len(thresholds), rows.count)
        except _ModelFailed as failure:
            self._failures[model.digest] += 1
            log.warning("model %s did not vote: %s", model.name, failure)
            if self.is_out(model):
                self._why[model.name] = str(failure)
                log.error("model %s is out of the pool until Git changes: %s", model.name, failure)  # noqa: TRY400
            return None

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        self._loaded.clear()
        if process is None:
            return
        _kill(process)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _load(self, model: PooledModel) -> None:
        if self._process is not None and model.digest in self._loaded:
            return
        about = {**asdict(model), "data": None}
        self._ask({"op": "load", "model": about}, (model.data,), self._limits.load_s)
        self._loaded.add(model.digest)

    def _ask(self, header: Mapping[str, Any], blobs: Sequence[bytes], within_s: float) -> list[bytes]:
        process = self._started()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("opened with pipes")
        late = threading.Event()
        timer = threading.Timer(within_s, _end_late, (process, late))
        timer.start()
        try:
            send(process.stdin, header, *blobs)
            message = receive(process.stdout)
        except OSError:
            message = None
        finally:
            timer.cancel()
        if message is None:
            self.close()
            how = f"took longer than {within_s:g} s" if late.is_set() else _described(process.returncode)
            raise _ModelFailed(how)
        answer, votes = message
        if answer["cpu_s"] > self._limits.cpu_s / 2:
            self.close()  # the next one starts with all of its time
        if "error" in answer:
            raise _ModelFailed(answer["error"])
        return votes

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._folder = tempfile.TemporaryDirectory(prefix="tinyfleet-pool-")
            folder = Path(self._folder.name)
            limits = json.dumps({name: getattr(self._limits, name) for name in ("memory_bytes", "cpu_s", "file_bytes")})
            self._process = subprocess.Popen(
                cage_command("reconciler.compiler.pool.worker", limits),
                cwd=folder,
                env=cage_environment(folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._process


def _by_threshold(votes: bytes, thresholds: int, count: int) -> list[list[int]]:
    if len(votes) != thresholds * count:
        raise _ModelFailed(f"it gave {len(votes)} votes in place of {thresholds * count}")
    flat = memoryview(votes).cast("b")
    return [flat[at : at + count].tolist() for at in range(0, len(votes), count)]


def _end_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _described(code: int | None) -> str:
    if code is not None and code < 0 and code != -signal.SIGKILL:
        return f"it ended the process with {signal.Signals(-code).name}"
    return "it ended the process: it crashed, or needs too much memory"
