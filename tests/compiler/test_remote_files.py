# SPDX-License-Identifier: Apache-2.0
"""Sources at https:// addresses and stores at s3:// addresses, on real servers on loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from reconciler.compiler.artifact_store import ArtifactStore, StoreUnavailable
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.errors import ToolsMissing
from reconciler.compiler.recipe import File
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import SourceUnavailable, fetcher
from reconciler.load import DirectoryTree
from reconciler.model import Digest, ModelSource
from tests.compiler.recipes import Files, forest_recipe, model_with_data
from tests.loopback import QuietHandler, self_signed, server_context, serving
from tests.page.server import free_port

CONTENT = bytes(range(256)) * 4096


class Website(QuietHandler):
    """A file, an endless file, and an error."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        match self.path:
            case "/m.tflite":
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT)
            case "/busy":
                self.send_error(503)
            case _:
                self.send_error(404)

    def do_HEAD(self) -> None:  # noqa: N802 - as above
        self.send_response(200 if self.path == "/m.tflite" else 404)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def website(certificate: tuple[Path, Path]) -> Iterator[str]:
    with serving(Website, server_context(*certificate)) as address:
        yield address


def fetched(url: str, content: bytes = CONTENT) -> bytes:
    digest = Digest(hashlib.sha256(content).hexdigest())
    model = model_with_data(ModelSource(digest, url=url), ModelSource(Digest("1" * 64), path="data.npy"))
    return fetcher(model, DirectoryTree(Path(__file__).parent))(File("m.tflite", digest))


def fetched_by_a_process(url: str, trusted: Path) -> str:
    """Fetch in a process of its own, because the authorities are read when it starts; return what came of it."""
    script = (
        "import hashlib, sys; from tests.compiler.test_remote_files import fetched\n"
        "from reconciler.errors import FleetError\n"
        "try: print(hashlib.sha256(fetched(sys.argv[1])).hexdigest())\n"
        "except FleetError as failure: print(failure.reason, failure)\n"
    )
    environment = {**os.environ, "SSL_CERT_FILE": str(trusted)}
    done = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout.strip()


def test_a_source_comes_from_an_https_server(website: str, certificate: tuple[Path, Path]) -> None:
    assert website.startswith("https://")
    assert fetched_by_a_process(f"{website}/m.tflite", certificate[0]) == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("path", ["/busy", "/gone"])
def test_an_https_server_without_the_file_is_tried_again(
    website: str, certificate: tuple[Path, Path], path: str
) -> None:
    outcome = fetched_by_a_process(f"{website}{path}", certificate[0])
    assert outcome.startswith(f"SourceUnavailable cannot fetch {website}{path}: ")


def test_an_unknown_authority_is_named_and_tried_again(website: str, tmp_path: Path) -> None:
    (tmp_path / "none.pem").touch()
    outcome = fetched_by_a_process(f"{website}/m.tflite", tmp_path / "none.pem")
    assert outcome.startswith("SourceUnavailable ")
    assert "certificate" in outcome.lower()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3-compatible server with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "anyone")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("artifacts")
        yield "s3://artifacts/tinyfleet"
    server.stop()


def test_gateways_share_a_store_on_an_s3_server(s3: str, tmp_path: Path) -> None:
    files = Files()
    recipe = forest_recipe(files)
    built = BuildService(ArtifactStore(s3)).build(recipe, files)
    other = Files()
    forest_recipe(other)
    assert BuildService(ArtifactStore(s3)).build(recipe, other) == built
    assert other.fetched == 0
    assert ArtifactStore(str(tmp_path)).get(recipe.digest) is None
    (entry,) = fsspec.filesystem("s3").find(s3)
    assert entry.endswith(recipe.digest)


def test_a_damaged_object_is_built_again(s3: str) -> None:
    recipe = forest_recipe(Files(), parameters={"threshold": 0.7})
    store = ArtifactStore(s3)
    fsspec.filesystem("s3").pipe_file(f"{s3}/{recipe.digest[:2]}/{recipe.digest}", b"damaged")
    assert store.get(recipe.digest) is None


def test_a_source_comes_from_an_s3_server(s3: str) -> None:
    fsspec.filesystem("s3").pipe_file(f"{s3}/m.tflite", CONTENT)
    assert fetched(f"{s3}/m.tflite") == CONTENT
    with pytest.raises(SourceUnavailable, match="there is no such file"):
        fetched(f"{s3}/gone.tflite")


def test_a_bucket_that_does_not_exist_is_a_store_that_is_tried_again(s3: str) -> None:
    assert s3
    files = Files()
    recipe = forest_recipe(files)
    result = run_job(BuildJob(recipe, files.by_digest))
    assert isinstance(result, BuildResult)
    with pytest.raises(StoreUnavailable, match="cannot write to the artifact store"):
        ArtifactStore("s3://no-such-bucket/x").put(recipe.digest, result)


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("https://example.org/m.tflite", "aiohttp", "tinyfleet[http]"),
        ("s3://bucket/store", "s3fs", "tinyfleet[s3]"),
    ],
)
def test_a_missing_extra_is_named(url: str, package: str, extra: str) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from reconciler.compiler.remote_files import file_system\n"
        "from reconciler.compiler.errors import ToolsMissing\n"
        f"try: file_system({url!r})\n"
        "except ToolsMissing as missing: print(missing)\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert extra in out


def test_an_unknown_kind_of_url_is_named() -> None:
    with pytest.raises(ToolsMissing, match="gopher:// is not supported"):
        ArtifactStore("gopher://example.org/store")
