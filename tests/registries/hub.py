# SPDX-License-Identifier: Apache-2.0
"""A server with the part of the Hugging Face Hub's API that reads models. The hub's own client downloads from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote

from tests.loopback import QuietHandler, serving

LARGE = 1000  # bytes from which a file is in the storage, at another host


class Hub:
    """Repositories, with their branches and commits."""

    def __init__(self, *, private: bool = False) -> None:
        self.answers: dict[str, bytes] = {}  # that stand for those of the API
        self.storage_logins: set[str | None] = set()
        self._private = private
        self._branches: dict[tuple[str, str], str] = {}
        self._files: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self._stored: dict[str, bytes] = {}

    def commit(self, repository: str, branch: str, files: Mapping[str, bytes]) -> str:
        """Make a commit with exactly these files, and return it."""
        listing = json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
        commit = hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()
        self._branches[repository, branch] = commit
        self._files[repository, commit] = files
        return commit

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve the API, and the storage of large files at another address; yields the address of the API."""
        hub = self

        class Storage(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
                hub.storage_logins.add(self.headers.get("Authorization"))
                _send(self, 200, hub._stored[self.path.rpartition("/")[2]])

        with serving(Storage) as storage:

            class Api(QuietHandler):
                def do_GET(self) -> None:  # noqa: N802 - as above
                    if hub._private and self.headers.get("Authorization") != "Bearer hf_secret":
                        return _send(self, 401, b'{"error": "Invalid username or password."}')
                    path = unquote(self.path.partition("?")[0])
                    return _send(self, *hub._answer(path, storage))

                do_HEAD = do_GET  # noqa: N815 - as above

            with serving(Api) as url:
                yield url

    def _answer(self, path: str, storage: str) -> tuple[int, bytes, dict[str, str]]:
        if path in self.answers:
            return 200, self.answers[path], {}
        if path.startswith("/api/models/"):
            repository, _, branch = path.removeprefix("/api/models/").partition("/revision/")
            commit = self._commit(repository, branch)
            return (
                (404, b"{}", {})
                if commit is None
                else (200, json.dumps({"id": repository, "sha": commit}).encode(), {})
            )
        repository, _, rest = path[1:].partition("/resolve/")
        branch, _, name = rest.partition("/")
        commit = self._commit(repository, branch)
        data = self._files[repository, commit].get(name) if commit is not None else None
        if data is None or commit is None:
            code = "EntryNotFound" if commit is not None else "RevisionNotFound"
            return 404, b"", {"X-Error-Code": code}
        etag = hashlib.sha256(data).hexdigest()
        known = {"X-Repo-Commit": commit, "ETag": f'"{etag}"'}
        if len(data) < LARGE:
            return 200, data, known
        self._stored[etag] = data
        large = {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data)), "Location": f"{storage}/{etag}"}
        return 302, b"", {**known, **large}

    def _commit(self, repository: str, revision: str) -> str | None:
        return revision if (repository, revision) in self._files else self._branches.get((repository, revision))


def _send(handler: QuietHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
