# SPDX-License-Identifier: Apache-2.0
"""OCI artifacts in the layout of CNCF ModelPack, on a real registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.compiler.source_fetcher import from_url
from reconciler.registries import client
from reconciler.registries.addresses import parse
from reconciler.registries.web import RegistryUnavailable
from tests.loopback import QuietHandler, serving
from tests.registries.real_registry import Registry, registry

RAW = "application/vnd.cncf.model.weight.v1.raw"
TAR = "application/vnd.cncf.model.weight.v1.tar"
MODEL, README = b"a model" * 1000, b"how to use it"
# Of the password `secret`, by bcrypt, which docker-registry wants and Python lacks.
HASH = "$2b$04$U12yScm1mvc0kWMUYAgpme2EvLrV4DKBx9N12GlpNXiUBFCM0uC7G"


def archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        made.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def test_a_tag_names_an_artifact_and_then_another(server: Registry) -> None:
    reference = f"oci://{server.host}/models/pump:stable#model.tflite"
    first = server.push("models/pump", "stable", {"model.tflite": (RAW, MODEL), "README.md": (RAW, README)})
    pinned = client.pin(parse(reference))
    assert str(pinned) == f"oci://{server.host}/models/pump@sha256:{first}#model.tflite"
    assert from_url(reference) == MODEL
    second = server.push("models/pump", "stable", {"model.tflite": (RAW, b"another"), "README.md": (RAW, README)})
    assert str(client.pin(parse(reference))).endswith(f"@sha256:{second}#model.tflite")
    assert (from_url(reference), from_url(str(pinned))) == (b"another", MODEL)


@pytest.mark.parametrize("kind", [RAW, TAR, f"{TAR}+gzip"])
def test_a_layer_is_a_file_or_an_archive_with_it(server: Registry, kind: str) -> None:
    content = {RAW: MODEL, TAR: archive("model.tflite", MODEL)}.get(kind) or gzip.compress(
        archive("model.tflite", MODEL)
    )
    digest = server.push("models/layers", "x", {"README.md": (RAW, README), "model.tflite": (kind, content)})
    assert from_url(f"oci://{server.host}/models/layers@sha256:{digest}#model.tflite") == MODEL


def test_without_a_name_the_digest_of_the_file_selects_the_layer(server: Registry) -> None:
    digest = server.push("models/two", "x", {"a": (RAW, README), "b": (RAW, MODEL)})
    url = f"oci://{server.host}/models/two@sha256:{digest}"
    assert from_url(url, hashlib.sha256(MODEL).hexdigest()) == MODEL
    with pytest.raises(RegistryUnavailable, match="its layers have a, b"):
        from_url(url)


def test_what_is_missing_is_named_and_tried_again(server: Registry) -> None:
    server.push("models/some", "x", {"a": (RAW, README)})
    with pytest.raises(RegistryUnavailable, match="its layers have a"):
        from_url(f"oci://{server.host}/models/some:x#b")
    with pytest.raises(RegistryUnavailable, match="answered 404"):
        from_url(f"oci://{server.host}/models/some:y#a")


def test_an_archive_that_inflates_without_end_is_refused(server: Registry) -> None:
    bomb = gzip.compress(archive("a", bytes(4 << 20)))
    server.push("models/bomb", "x", {"a": (f"{TAR}+gzip", bomb)})
    address = parse(f"oci://{server.host}/models/bomb:x#a")
    with pytest.raises(RegistryUnavailable, match="more than 1048576 bytes"):
        client.fetch(address, None, 1 << 20)


def test_a_private_registry_gets_the_login_of_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    with registry(tmp_path, login="ada:secret", password_hash=HASH) as server:
        server.push("models/pump", "1", {"model.tflite": (RAW, MODEL)})
        url = f"oci://{server.host}/models/pump:1#model.tflite"
        with pytest.raises(RegistryUnavailable, match="wants a login"):
            from_url(url)
        auth = {"auths": {server.host: {"auth": "YWRhOnNlY3JldA=="}}}
        (tmp_path / "config.json").write_text(json.dumps(auth))
        assert from_url(url) == MODEL


def test_a_registry_with_tokens_is_asked_as_it_wants() -> None:
    """docker-registry issues no tokens, so this server speaks only as far as the token specification goes."""
    asked: list[tuple[str, str | None]] = []
    content = json.dumps({"layers": []}).encode()

    class Tokens(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            allowed = self.headers.get("Authorization")
            asked.append((self.path, allowed))
            is_token = self.path.startswith("/token?")
            body = b'{"token": "t0ken"}' if is_token else content
            good = is_token or allowed == "Bearer t0ken"
            self.send_response(200 if good else 401)
            realm = f"http://{self.headers['Host']}/token"
            self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="works",scope="ignored"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Tokens) as url:
        found = client.pin(parse(f"oci://{url.removeprefix('http://')}/models/pump:1"))
    assert str(found).endswith(f"@sha256:{hashlib.sha256(content).hexdigest()}")
    assert asked == [
        ("/v2/models/pump/manifests/1", None),
        ("/token?service=works&scope=repository%3Amodels%2Fpump%3Apull", None),
        ("/v2/models/pump/manifests/1", "Bearer t0ken"),
    ]
