# SPDX-License-Identifier: Apache-2.0
"""The wheel makes a working gateway, without TensorFlow and without a source tree."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.package.conftest import ROOT, run


class Gateway:
    """The installed command, in an empty folder."""

    def __init__(self, environment: Path, folder: Path) -> None:
        self.folder = folder
        self.command = environment / "bin" / "tinyfleet"
        self._variables = {"PATH": f"{environment / 'bin'}:{os.defpath}", "HOME": str(folder)}

    def __call__(self, *words: str | Path, status: int = 0) -> str:
        done = subprocess.run(
            [self.command, *words], cwd=self.folder, env=self._variables, check=False, capture_output=True, text=True
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def tinyfleet(installed: Path, tmp_path: Path) -> Gateway:
    return Gateway(installed, tmp_path)


def test_the_sdist_has_exactly_the_tracked_files(sdist: Path) -> None:
    tracked = set(run("git", "ls-files", cwd=ROOT).splitlines())
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    named = (
        "firmware/src/",
        "firmware/include/",
        "docs/",
        "tests/",
        "fleet-repo-example/",
        "schemas/",
        "systemd/",
        "micropython/",
    )
    missing = {name for name in tracked if name.startswith(named) and (ROOT / name).is_file()} - packed
    assert missing == set()
    assert not [name for name in packed if name.startswith(("firmware/build/", ".venv/", ".git/", "dist/"))]


def test_the_wheel_has_two_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"reconciler", "signing", "tinyfleet-0.1.0.data", "tinyfleet-0.1.0.dist-info"}
    schemas = {path.name for path in (ROOT / "schemas").glob("*.json")}
    assert {Path(name).name for name in names if name.startswith("reconciler/schemas/")} == schemas
    assert "reconciler/systemd/tinyfleet.service" in names
    agent = {path.relative_to(ROOT).as_posix() for path in (ROOT / "micropython").rglob("*.py")}
    assert {name.removeprefix("reconciler/") for name in names if name.startswith("reconciler/micropython/")} == agent


def test_the_wheel_includes_man_pages_and_completion(installed: Path) -> None:
    share = installed / "share"
    assert (share / "man" / "man1" / "tinyfleet-keys-gateway-init.1").read_text().startswith('.TH "TINYFLEET-KEYS')
    assert "_TINYFLEET_COMPLETE" in (share / "bash-completion" / "completions" / "tinyfleet").read_text()
    assert (share / "zsh" / "site-functions" / "_tinyfleet").exists()
    assert (share / "fish" / "vendor_completions.d" / "tinyfleet.fish").exists()


def pinned(name: str) -> dict[str, str]:
    """Return package → version of a file of requirements."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(package): version for package, version in pairs}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_constraints_install_what_was_tested_and_nothing_else(installed: Path) -> None:
    pip = (installed / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    assert "No broken requirements" in run(*pip, "check", cwd=installed)
    listed = json.loads(run(*pip, "list", "--format", "json", cwd=installed))
    present = {canonical(each["name"]): each["version"] for each in listed}
    assert present.pop("tinyfleet") == "0.1.0"
    assert {name: version for name, version in present.items() if name not in {"pip", "setuptools"}} == pinned("base")


def test_the_constraints_cover_every_extra(wheel: Path) -> None:
    lines = zipfile.ZipFile(wheel).read("reconciler/constraints.txt").decode().splitlines()[1:]
    expected = {
        name: version
        for file in ("base", "build", "learn", "functions", "dask", "remote")
        for name, version in pinned(file).items()
    }
    assert {canonical(line.split("==")[0]): line.split("==")[1] for line in lines} == expected
    assert len(lines) == len(expected)


def test_wheel_and_sdist_are_reproducible(sdist: Path, source: Path, wheel: Path, tmp_path: Path) -> None:
    """Build both again from the sdist: in another folder, at another time, with other permissions."""
    run("tar", "--extract", "--no-same-owner", "--file", sdist, cwd=tmp_path)
    copy = tmp_path / source.name
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(path.stat().st_mode & 0o700)
    (copy / "PKG-INFO").unlink()  # hatchling adds its own
    hatch = (sys.executable, "-m", "hatchling", "build", "-d", tmp_path)
    run(*hatch, "-t", "sdist", cwd=copy, TZ="Asia/Kathmandu")
    again = tmp_path / sdist.name
    assert digest(again) == digest(sdist)
    shutil.copytree(source / "build", copy / "build")
    run(*hatch, "-t", "wheel", cwd=copy, TZ="Asia/Kathmandu")
    assert digest(tmp_path / wheel.name) == digest(wheel)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_version_and_a_fleet(tinyfleet: Gateway) -> None:
    assert tinyfleet("--version") == "tinyfleet, version 0.1.0\n"
    example = ROOT / "fleet-repo-example"
    assert tinyfleet("validate", "--strict", example).startswith("valid: 2 gateways")
    assert "13 devices" in tinyfleet("plan", example)
    tinyfleet("init", "plant")
    tinyfleet("validate", "--strict", "plant")


def test_keys_and_certificates(tinyfleet: Gateway) -> None:
    secret = tinyfleet.folder / "passphrase"
    secret.write_text("correct horse battery")
    secret.chmod(0o600)
    asking = ("--passphrase-file", secret)
    tinyfleet("keys", "root", "init", "root", *asking)
    tinyfleet("keys", "gateway", "init", "gw", "--fleet", "plant")
    tinyfleet("keys", "delegate", "gw/request.cose", "--root", "root", "--fleet", "plant", *asking)
    tinyfleet("pki", "init", "ca", "--fleet", "plant", *asking)
    tinyfleet("pki", "issue", "broker", "localhost", "--ca", "ca", "-o", "out", *asking)
    tinyfleet("pki", "broker-config", "--ca", "ca", "--broker", "localhost", "-o", "out")
    assert "require_certificate true" in (tinyfleet.folder / "out" / "tinyfleet.conf").read_text()


def test_a_gateway_is_configured_and_its_service_installed(tinyfleet: Gateway) -> None:
    tinyfleet("init", "plant")
    assert '"gateway-1"' in tinyfleet("config", "show", "--config", "plant/to-gateway/gateway.toml")
    tinyfleet("install-service", "--root", "image")
    unit = (tinyfleet.folder / "image" / "etc" / "systemd" / "system" / "tinyfleet.service").read_text()
    assert f"ExecStart={tinyfleet.command} run --config /etc/tinyfleet/gateway.toml" in unit


def test_commands_that_need_the_extra_say_so(tinyfleet: Gateway) -> None:
    forest = tinyfleet("build", "--quiet", "line-current@1.0.0", ROOT / "fleet-repo-example", status=1)
    assert "scikit-learn" in forest
    assert "install tinyfleet[build]" in forest
    network = tinyfleet("build", "--quiet", "pump-vibration@1.0.0", ROOT / "fleet-repo-example", status=1)
    assert "ai-edge-litert" in network
    assert "install tinyfleet[build]" in network
    assert "Traceback" not in forest + network


def test_what_init_writes_builds_without_any_extra(tinyfleet: Gateway) -> None:
    tinyfleet("init", "plant")
    assert "line-current@1.0.0 for virtual: built" in tinyfleet("build", "--quiet", "plant")


def test_a_threshold_model_builds_without_the_extra(tinyfleet: Gateway) -> None:
    model = tinyfleet.folder / "sum.json"
    model.write_text(json.dumps({"kind": "threshold", "weights": [1, -2], "threshold": 3, "golden": [[1, 2]]}))
    tinyfleet("init", "plant")
    tinyfleet("pack", "make", model, "--for", "plant/device-types/virtual.yaml", "-o", "sum.pack")
    assert (tinyfleet.folder / "sum.pack").read_bytes()[:4] == b"TFPK"
