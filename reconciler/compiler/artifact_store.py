# SPDX-License-Identifier: Apache-2.0
"""Stores artifacts by the digest of their recipe, in a folder or in any storage that fsspec supports.

An entry is one file, so that it is either complete or absent: the SHA-256 of the rest, the report as one
line of JSON, and the pack. A damaged entry is logged, and then treated as a missing one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.compiler.build_result import BuildResult, report_from_json
from reconciler.compiler.remote_files import failures_as, file_system
from reconciler.errors import Transient

_LOG = logging.getLogger(__name__)


class StoreUnavailable(Transient):
    """The store cannot be read or written at the moment."""

    reason = "StoreUnavailable"


class ArtifactStore:
    """The artifact store at one fsspec URL."""

    def __init__(self, url: str) -> None:
        self._files: Any
        self._files, root = file_system(url)
        self._root = root.rstrip("/")
        protocols = self._files.protocol if isinstance(self._files.protocol, tuple) else (self._files.protocol,)
        self._local = "file" in protocols

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}"

    def get(self, digest: str) -> BuildResult | None:
        """Return an artifact, or None if it is missing or damaged."""
        try:
            with failures_as(StoreUnavailable, "cannot read the artifact store"):
                content = bytes(self._files.cat_file(self._path(digest)))
        except FileNotFoundError:
            return None
        built = _decode(content, digest)
        if built is None:
            _LOG.warning("artifact %s in the store is damaged and will be built again", digest)
        return built

    def put(self, digest: str, built: BuildResult) -> None:
        """Write an artifact atomically: no reader sees half of it, even after a power cut."""
        content = _encode(built)
        try:
            with failures_as(StoreUnavailable, "cannot write to the artifact store"):
                if self._local:
                    _write_durably(Path(self._path(digest)), content)
                else:  # object stores write a whole object or nothing
                    self._files.pipe_file(self._path(digest), content)
        except FileNotFoundError as error:
            raise StoreUnavailable(f"cannot write to the artifact store: {error}") from error

    @contextmanager
    def exclusively(self, digest: str) -> Iterator[None]:
        """Keep other processes on this machine from building the same recipe at the same time."""
        if not self._local:
            yield  # two gateways may build the same recipe; both get the same bytes
            return
        folder = Path(self._root) / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / digest, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot lock the artifact store: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _encode(built: BuildResult) -> bytes:
    report = json.dumps(json.loads(built.report.to_json()), sort_keys=True, separators=(",", ":")).encode()
    body = report + b"\n" + built.pack
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _decode(content: bytes, digest: str) -> BuildResult | None:
    head, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != head:
        return None
    report, _, pack = body.partition(b"\n")
    built = BuildResult(pack, report_from_json(report))
    return built if built.intact and built.report.recipe == digest else None


def _write_durably(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{id(content)}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
