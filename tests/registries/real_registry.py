# SPDX-License-Identifier: Apache-2.0
"""A real OCI registry on loopback: Debian's docker-registry, and what pushes an artifact to it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.page.server import free_port

ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
START_S = 30.0


class Registry:
    """A running registry."""

    def __init__(self, host: str, login: str | None) -> None:
        self.host = host
        self._headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}

    def push(self, repository: str, tag: str, layers: Mapping[str, tuple[str, bytes]]) -> str:
        """Push an artifact with a layer for each file, as file → (media type, content); return its digest."""
        descriptors = [
            {**self._blob(repository, kind, content), "annotations": {"org.cncf.model.filepath": name}}
            for name, (kind, content) in layers.items()
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": self._blob(repository, CONFIG, b'{"descriptor": {"name": "pump"}}'),
            "layers": descriptors,
        }
        body = json.dumps(manifest).encode()
        self.ask("PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": MANIFEST})
        return hashlib.sha256(body).hexdigest()

    def _blob(self, repository: str, kind: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = self.ask("POST", f"/v2/{repository}/blobs/uploads/")["location"]
        path = "/" + place.partition("://")[2].partition("/")[2]
        self.ask("PUT", f"{path}&digest={digest}", content, {"Content-Type": "application/octet-stream"})
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Send a request; return the headers of the answer."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, path, body, {**self._headers, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text!r}"
            return {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()


@contextmanager
def registry(folder: Path, *, login: str | None = None, password_hash: str = "") -> Iterator[Registry]:
    """Run a registry, with a login if one is given."""
    port = free_port()
    settings: dict[str, object] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
    }
    if login is not None:
        (folder / "htpasswd").write_text(f"{login.partition(':')[0]}:{password_hash}\n")
        settings["auth"] = {"htpasswd": {"realm": "works", "path": str(folder / "htpasswd")}}
    (folder / "registry.yml").write_text(json.dumps(settings))  # JSON is YAML
    command = ["docker-registry", "serve", str(folder / "registry.yml")]
    with (folder / "registry.log").open("w") as log:
        environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        found = Registry(f"127.0.0.1:{port}", login)
        _wait(found, process, folder / "registry.log")
        yield found
    finally:
        process.terminate()
        process.wait()


def _wait(found: Registry, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            found.ask("GET", "/v2/")
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)  # it reports nothing when it listens
        else:
            return
