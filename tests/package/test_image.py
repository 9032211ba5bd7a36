# SPDX-License-Identifier: Apache-2.0
"""The OCI image: its layout, and, with TINYFLEET_CHROOT=1, an image that is built, unpacked and started."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from tests.package.conftest import ROOT, run

PIP = Path(sys.executable).with_name("pip")
QUADLET = ROOT / "systemd" / "quadlet" / "tinyfleet.container"
EPOCH = "1790000000"
MAX_MB = 150
GENERATOR = Path("/usr/libexec/podman/quadlet")  # of podman 4.4 and later
# Of podman-systemd.unit(5), as far as a gateway has a use for them.
KEYS = frozenset(
    (
        *("AddDevice", "ContainerName", "DropCapability", "Environment", "GroupAdd", "Image", "Network"),
        *("NoNewPrivileges", "PublishPort", "ReadOnly", "StopTimeout", "Tmpfs", "UserNS", "Volume"),
    )
)
CHROOT = pytest.mark.skipif(
    os.environ.get("TINYFLEET_CHROOT") != "1", reason="takes minutes, root and a mirror: make test-image"
)


class OciImage:
    """An image layout, each blob of which is compared with its digest when it is read."""

    def __init__(self, archive: Path) -> None:
        with tarfile.open(archive) as opened:
            self.blobs = {
                entry.name: content.read()
                for entry in opened
                if entry.isfile() and (content := opened.extractfile(entry)) is not None
            }
        assert json.loads(self.blobs["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        (self.named,) = json.loads(self.blobs["index.json"])["manifests"]
        self.manifest = json.loads(self.read(self.named))
        self.config = json.loads(self.read(self.manifest["config"]))

    def read(self, descriptor: dict[str, Any]) -> bytes:
        content = self.blobs["blobs/" + descriptor["digest"].replace(":", "/")]
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
        assert len(content) == descriptor["size"]
        return content

    def layer(self) -> bytes:
        """Return the only layer, uncompressed."""
        (layer,) = self.manifest["layers"]
        plain = gzip.decompress(self.read(layer))
        assert self.config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(plain).hexdigest()}"]
        return plain


def small_root(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "bin").symlink_to("usr/bin")
    (folder / "usr").chmod(0o755)
    return folder


def laid_out(root: Path, output: Path) -> OciImage:
    run(sys.executable, ROOT / "tools/oci_layout.py", root, output, "localhost/x:1", cwd=ROOT, SOURCE_DATE_EPOCH=EPOCH)
    return OciImage(output)


def test_a_root_file_system_becomes_an_image(tmp_path: Path) -> None:
    made = laid_out(small_root(tmp_path / "root", ["usr/bin/x", "etc/y"]), tmp_path / "image.tar")
    assert made.named["annotations"] == {"org.opencontainers.image.ref.name": "localhost/x:1"}
    assert made.config["config"]["User"] == "tinyfleet"
    assert made.config["created"] == "2026-09-21T14:13:20Z"
    (tmp_path / "layer.tar").write_bytes(made.layer())
    with tarfile.open(tmp_path / "layer.tar") as layer:
        assert layer.getnames() == ["bin", "etc", "etc/y", "usr", "usr/bin", "usr/bin/x"]
        assert layer.getmember("bin").linkname == "usr/bin"
        assert {entry.mtime for entry in layer} == {int(EPOCH)}


def test_the_same_files_give_the_same_image(tmp_path: Path) -> None:
    first = small_root(tmp_path / "first", ["usr/bin/x", "etc/y"])
    second = small_root(tmp_path / "second", ["etc/y", "usr/bin/x"])
    for path in second.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    laid_out(first, tmp_path / "first.tar")
    laid_out(second, tmp_path / "second.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_the_quadlet_names_the_image_and_its_folders() -> None:
    unit = RawConfigParser(strict=False, comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names of units have capitals
    unit.read(QUADLET)
    container = unit["Container"]
    assert container["Image"] == "localhost/tinyfleet:0.1.0"
    mounted = {line.split(":")[1] for line in QUADLET.read_text().splitlines() if line.startswith("Volume=")}
    source = (ROOT / "tools/oci_layout.py").read_text()
    assert mounted == {"/etc/tinyfleet", "/var/lib/tinyfleet"}
    assert all(f'"{folder}": {{}}' in source for folder in mounted)


def test_the_quadlet_has_no_key_that_quadlet_does_not_know() -> None:
    """A unit with an unknown key is not generated. The keys in comments count: they are meant to be used."""
    text = QUADLET.read_text(encoding="utf-8")
    section = text[text.index("[Container]") : text.index("[Service]")]
    keys = {line.lstrip("#").partition("=")[0] for line in section.splitlines() if re.match(r"#?[A-Z]\w+=", line)}
    assert keys <= KEYS
    assert {"AddDevice", "GroupAdd", "UserNS"} <= keys


@pytest.mark.skipif(not GENERATOR.exists(), reason="needs podman 4.4 or later")
def test_quadlet_generates_a_service_from_it(tmp_path: Path) -> None:
    (tmp_path / QUADLET.name).write_bytes(QUADLET.read_bytes())
    environment = {**os.environ, "QUADLET_UNIT_DIRS": str(tmp_path)}
    words = [str(GENERATOR), "--user", "--dryrun"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    assert re.search(r"^ExecStart=.* run .*localhost/tinyfleet:0\.1\.0$", done.stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def built(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the Debian package, and the image from it."""
    folder = tmp_path_factory.mktemp("image")
    run(ROOT / "tools/deb.sh", PIP, wheel, folder, cwd=folder, SOURCE_DATE_EPOCH=EPOCH)
    path = os.environ["PATH"]
    deb = next(folder.glob("*.deb"))
    run(ROOT / "tools/image.sh", sys.executable, deb, folder, cwd=folder, SOURCE_DATE_EPOCH=EPOCH, PATH=path)
    return next(folder.glob("*.oci.tar"))


@CHROOT
@pytest.mark.timeout(1800)
def test_the_image_is_small_and_its_command_starts(built: Path, tmp_path: Path) -> None:
    assert built.stat().st_size <= MAX_MB * 1_000_000
    packages = built.with_suffix("").with_suffix(".packages").read_text().splitlines()
    assert any(line.startswith("git=") for line in packages)
    made = OciImage(built)
    (tmp_path / "layer.tar").write_bytes(made.layer())
    root = tmp_path / "root"
    root.mkdir(mode=0o755)
    run("tar", "--extract", "--numeric-owner", "--same-owner", "--file", tmp_path / "layer.tar", cwd=root)
    for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):  # as every engine provides them
        os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        (root / "dev" / name).chmod(0o666)
    config = made.config["config"]
    start = ("chroot", f"--userspec={config['User']}", root, "env", "-i", *config["Env"], *config["Entrypoint"])
    assert run(*start, "--version", cwd=root) == "tinyfleet, version 0.1.0\n"
    assert 'name = "my-gateway"' in run(*start, "config", "show", cwd=root)
    run(*start, "init", "/var/lib/tinyfleet/plant", cwd=root)
    run(*start, "validate", "--strict", "/var/lib/tinyfleet/plant", cwd=root)
    owner = (root / "var/lib/tinyfleet").stat()
    assert f"UserNS=keep-id:uid={owner.st_uid},gid={owner.st_gid}" in QUADLET.read_text().splitlines()


@CHROOT
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("podman") is None, reason="no container engine here: Debian's package podman")
def test_podman_runs_the_image(built: Path) -> None:
    subprocess.run(["podman", "load", "--quiet", "--input", str(built)], check=True, timeout=600)
    words = ["podman", "run", "--rm", "--network=none", "localhost/tinyfleet:0.1.0", "--version"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=600)
    assert done.stdout == "tinyfleet, version 0.1.0\n"
