# SPDX-License-Identifier: Apache-2.0
"""Models in Git LFS and in DVC: what the real programs write into a repository leads to the file."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import File
from reconciler.compiler.source_fetcher import fetcher
from reconciler.load import DirectoryTree
from reconciler.model import Digest, ModelSource
from reconciler.registries.pointers import dvc_md5, dvc_url, lfs_pointer, lfs_url
from reconciler.registries.web import RegistryUnavailable
from tests.compiler.recipes import model_with_data
from tests.loopback import QuietHandler, serving
from tests.page.server import free_port

MODEL = b"a model in Git LFS" * 100
IN_DVC = b"a model in DVC"
# As dvc 3.67.1 wrote them for the 14 bytes above.
DVC_CONFIG = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://models/dvc\n"
DVC_FILE = b"outs:\n- md5: b8e08eb83fa2ce596a0af6f738bdd807\n  size: 14\n  hash: md5\n  path: pump.tflite\n"


class LfsServer:
    """The batch API of Git LFS, complete enough that git-lfs itself uploads to it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.logins: set[str | None] = set()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve; yields the value of lfs.url."""
        lfs = self

        class Handler(QuietHandler):
            def _send(self, body: bytes, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.git-lfs+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                lfs.logins.add(self.headers.get("Authorization"))
                if not self.path.endswith("/objects/batch"):
                    return self._send(b"{}", 404)  # locks, which are optional
                place = f"http://{self.headers['Host']}/content"
                objects = [lfs.described(each, request["operation"], place) for each in request["objects"]]
                return self._send(json.dumps({"transfer": "basic", "objects": objects}).encode())

            def do_GET(self) -> None:  # noqa: N802 - as above
                body = lfs.files.get(self.path.rpartition("/")[2])
                if self.headers.get("X-Ticket") != "42":
                    return self._send(b"no ticket", 403)
                return self._send(body or b"", 404 if body is None else 200)

            def do_PUT(self) -> None:  # noqa: N802 - as above
                lfs.files[self.path.rpartition("/")[2]] = self.rfile.read(int(self.headers["Content-Length"]))
                self._send(b"")

        with serving(Handler) as url:
            yield f"{url}/plant/fleet.git/info/lfs"

    def described(self, wanted: dict[str, object], operation: str, place: str) -> dict[str, object]:
        """Describe how an object is transferred."""
        oid = str(wanted["oid"])
        if operation == "download" and oid not in self.files:
            return {**wanted, "error": {"code": 404, "message": "no such object"}}
        return {**wanted, "actions": {operation: {"href": f"{place}/{oid}", "header": {"X-Ticket": "42"}}}}


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)


def pointer_of(url: str, folder: Path) -> None:
    """Have git-lfs put a model into LFS, and leave a working tree with pointers, as a gateway's mirror has it."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "remote.git")
    work = folder / "work"
    git(folder, "init", "--quiet", "work")
    git(work, "lfs", "install", "--local")
    git(work, "config", "--file", ".lfsconfig", "lfs.url", url)
    git(work, "lfs", "track", "*.tflite")
    (work / "pump.tflite").write_bytes(MODEL)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "A model")
    git(work, "push", "--quiet", str(folder / "remote.git"), "HEAD:main")
    text = subprocess.run(["git", "show", "HEAD:pump.tflite"], cwd=work, check=True, capture_output=True).stdout
    (work / "pump.tflite").write_bytes(text)


def fetched(folder: Path, path: str, content: bytes) -> bytes:
    digest = Digest(hashlib.sha256(content).hexdigest())
    model = model_with_data(ModelSource(digest, path=path), ModelSource(Digest("1" * 64), path="data.npy"))
    return fetcher(model, DirectoryTree(folder))(File(path, digest))


def test_what_git_lfs_uploads_is_fetched(tmp_path: Path) -> None:
    server = LfsServer()
    with server.served() as url:
        pointer_of(url, tmp_path / "fleet")
        assert server.files == {hashlib.sha256(MODEL).hexdigest(): MODEL}
        assert lfs_pointer((tmp_path / "fleet/work/pump.tflite").read_bytes()) is not None
        assert fetched(tmp_path / "fleet/work", "pump.tflite", MODEL) == MODEL
        server.files.clear()
        with pytest.raises(RegistryUnavailable, match="no such object"):
            fetched(tmp_path / "fleet/work", "pump.tflite", MODEL)


def test_the_login_of_netrc_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = LfsServer()
    server.files[hashlib.sha256(MODEL).hexdigest()] = MODEL
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(MODEL).hexdigest()}\nsize 1800\n"
    (tmp_path / "m.tflite").write_text(pointer)
    with server.served() as url:
        (tmp_path / ".lfsconfig").write_text(f"[lfs]\n\turl = {url}\n\tlocksverify = false\n")
        assert fetched(tmp_path, "m.tflite", MODEL) == MODEL
    assert server.logins == {"Basic YWRhOnNlY3JldA=="}


def test_a_pointer_without_a_server_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n")
    with pytest.raises(BuildFailed, match=r"set lfs\.url"):
        fetched(tmp_path, "m.tflite", MODEL)


@pytest.mark.parametrize("url", ["http://lfs.example", "ssh://git@example.org/fleet", "file:///etc"])
def test_only_https_leads_to_a_server_of_lfs(url: str) -> None:
    assert lfs_url(f"[lfs]\n  url = {url}\n".encode()) is None
    assert lfs_url(b"[lfs]\n  url = https://lfs.example/info/lfs/\n") == "https://lfs.example/info/lfs"


@pytest.fixture
def s3() -> Iterator[None]:
    """An S3-compatible server with the bucket of the remote."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "anyone")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        implementation = fsspec.get_filesystem_class("s3")
        implementation.clear_instance_cache()  # it keeps the address of a server that is gone
        fsspec.filesystem("s3").mkdir("models")
        yield
        implementation.clear_instance_cache()
    server.stop()


@pytest.mark.usefixtures("s3")
def test_what_dvc_adds_is_fetched(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(DVC_CONFIG)
    (tmp_path / "pump.tflite.dvc").write_bytes(DVC_FILE)
    fsspec.filesystem("s3").pipe_file("s3://models/dvc/files/md5/b8/e08eb83fa2ce596a0af6f738bdd807", IN_DVC)
    assert fetched(tmp_path, "pump.tflite.dvc", IN_DVC) == IN_DVC


def test_a_remote_of_dvc_on_a_person_s_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(DVC_CONFIG.replace("s3://models/dvc", "/home"))
    (tmp_path / "pump.tflite.dvc").write_bytes(DVC_FILE)
    with pytest.raises(BuildFailed, match="no default remote that can be read from here"):
        fetched(tmp_path, "pump.tflite.dvc", IN_DVC)


@pytest.mark.parametrize(
    "text",
    [b"", b"outs: []", b"outs:\n- md5: abc.dir\n", b"outs:\n- md5: 1\n- md5: 2\n", b"- x", b"\xff", b"outs: [1]", b"{"],
)
def test_what_stands_for_no_single_file_is_not_a_pointer(text: bytes) -> None:
    assert dvc_md5(text) is None


def test_the_place_of_a_file_in_dvc() -> None:
    md5 = "b8e08eb83fa2ce596a0af6f738bdd807"
    assert dvc_md5(DVC_FILE) == md5
    assert dvc_url(DVC_CONFIG.encode(), md5) == f"s3://models/dvc/files/md5/b8/{md5[2:]}"
    assert dvc_url(b"nonsense", md5) is None
    assert dvc_url(None, md5) is None
