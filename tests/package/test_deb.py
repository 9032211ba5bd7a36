# SPDX-License-Identifier: Apache-2.0
"""The Debian package: its content, and, with TINYFLEET_CHROOT=1, its life cycle in a clean system."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.cyclonedx import cyclonedx_errors
from tests.package.conftest import ROOT, run

PIP = Path(sys.executable).with_name("pip")
DEBIAN_PYTHON = Path("/usr/bin/python3")
CHROOT = pytest.mark.skipif(
    os.environ.get("TINYFLEET_CHROOT") != "1", reason="takes minutes, root and a mirror: make test-deb"
)
EXPECTED = {
    "./etc/tinyfleet/gateway.toml": "-rw-r-----",
    "./lib/systemd/system/tinyfleet.service": "-rw-r--r--",
    "./lib/systemd/system/tinyfleet-pki.service": "-rw-r--r--",
    "./lib/systemd/system/tinyfleet-pki.timer": "-rw-r--r--",
    "./usr/lib/sysusers.d/tinyfleet.conf": "-rw-r--r--",
    "./usr/lib/tmpfiles.d/tinyfleet.conf": "-rw-r--r--",
    "./usr/bin/tinyfleet": "lrwxrwxrwx",
    "./opt/tinyfleet/bin/tinyfleet": "-rwxr-xr-x",
    "./usr/share/man/man1/tinyfleet-run.1.gz": "-rw-r--r--",
    "./usr/share/bash-completion/completions/tinyfleet": "-rw-r--r--",
    "./usr/share/zsh/vendor-completions/_tinyfleet": "-rw-r--r--",
    "./usr/share/fish/vendor_completions.d/tinyfleet.fish": "-rw-r--r--",
    "./usr/share/doc/tinyfleet/copyright": "-rw-r--r--",
    "./usr/share/doc/tinyfleet/constraints.txt": "-rw-r--r--",
    "./usr/share/doc/tinyfleet/tinyfleet.cdx.json": "-rw-r--r--",
    "./": "drwxr-xr-x",
}

pytestmark = pytest.mark.skipif(
    not DEBIAN_PYTHON.exists() or shutil.which("dpkg-deb") is None, reason="a Debian package is made on Debian"
)


@pytest.fixture(scope="session")
def package(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package from the wheel."""
    folder = tmp_path_factory.mktemp("deb")
    run(ROOT / "tools" / "deb.sh", PIP, wheel, folder, cwd=folder, SOURCE_DATE_EPOCH="1790000000")
    return next(folder.glob("*.deb"))


@pytest.fixture(scope="session")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    run("dpkg-deb", "--raw-extract", package, folder, cwd=folder)
    return folder


def test_files_are_where_debian_expects_them(package: Path) -> None:
    listed = run("dpkg-deb", "--contents", package, cwd=package.parent).splitlines()
    rights = {line.split()[5]: line.split()[0] for line in listed}
    assert {name: rights.get(name) for name in EXPECTED} == EXPECTED
    assert {line.split()[1] for line in listed} == {"root/root"}
    assert not [name for name in rights if "__pycache__" in name or re.search(r"/[Aa]ctivate", name)]


def test_the_package_declares_its_dependencies(unpacked: Path) -> None:
    control = (unpacked / "DEBIAN" / "control").read_text()
    minor = run(DEBIAN_PYTHON, "-c", "import sys; print(sys.version_info.minor)", cwd=unpacked).strip()
    assert "@" not in control.replace("maintainers@", "")
    assert f"python3 (>= 3.{minor}), python3 (<< 3.{int(minor) + 1}), git" in control
    assert (unpacked / "DEBIAN" / "conffiles").read_text() == "/etc/tinyfleet/gateway.toml\n"
    for script in ("postinst", "prerm", "postrm"):
        run("sh", "-n", unpacked / "DEBIAN" / script, cwd=unpacked)


def test_the_package_contains_no_build_paths(unpacked: Path) -> None:
    texts = [path for path in (unpacked / "opt" / "tinyfleet").glob("*/*") if path.is_file() and not path.is_symlink()]
    wrong = [path.name for path in [*texts, unpacked / "opt/tinyfleet/pyvenv.cfg"] if b"/tmp" in path.read_bytes()]
    assert wrong == []
    assert (unpacked / "opt/tinyfleet/bin/tinyfleet").read_text().startswith("#!/opt/tinyfleet/bin/python")


def test_the_command_runs_on_debian_s_python(unpacked: Path) -> None:
    python = unpacked / "opt" / "tinyfleet" / "bin" / "python"
    code = "import sys; sys.argv[0] = 'tinyfleet'; from reconciler.cli import main; main()"
    assert "13 devices" in run(python, "-B", "-c", code, "plan", ROOT / "fleet-repo-example", cwd=unpacked)


def test_the_package_is_reproducible(package: Path, wheel: Path, tmp_path: Path) -> None:
    run(ROOT / "tools" / "deb.sh", PIP, wheel, tmp_path, cwd=tmp_path, SOURCE_DATE_EPOCH="1790000000")
    assert next(tmp_path.glob("*.deb")).read_bytes() == package.read_bytes()


def test_the_bill_of_materials_lists_what_is_installed(unpacked: Path, package: Path) -> None:
    text = (unpacked / "usr/share/doc/tinyfleet/tinyfleet.cdx.json").read_text()
    assert package.with_suffix(".cdx.json").read_text() == text
    bill = json.loads(text)
    assert cyclonedx_errors(bill) == []
    folder = next((unpacked / "opt/tinyfleet/lib").glob("python3*/site-packages"))
    found = {(distribution.name, distribution.version) for distribution in distributions(path=[str(folder)])}
    listed = [bill["metadata"]["component"], *bill["components"]]
    assert {(each["name"], each["version"]) for each in listed} == {
        (canonicalize_name(name), version) for name, version in found
    }
    assert [each["name"] for each in listed if "licenses" not in each] == []
    requires = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    reached = reachable(requires, bill["metadata"]["component"]["bom-ref"])
    assert requires.keys() == reached, "a package that nothing requires"


def reachable(requires: dict[str, list[str]], start: str) -> set[str]:
    found, left = set(), [start]
    while left:
        ref = left.pop()
        if ref not in found:
            found.add(ref)
            left += requires[ref]
    return found


class System:
    """A separate Debian system in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str) -> str:
        env = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        return run("chroot", self.folder, "env", "-i", env, "DEBIAN_FRONTEND=noninteractive", *words, cwd=Path("/"))

    def has(self, path: str) -> bool:
        return (self.folder / path.lstrip("/")).exists()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Install a minimal Debian of this machine's release, from this machine's mirror."""
    folder = tmp_path_factory.mktemp("debian")
    folder.chmod(0o755)  # it becomes /, and the daemon is not root
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {suite}", cwd=folder)
    run("debootstrap", "--variant=minbase", suite, folder, targets.split()[0], cwd=folder, PATH=os.environ["PATH"])
    run("mount", "-t", "proc", "proc", folder / "proc", cwd=folder)
    try:
        yield System(folder)
    finally:
        run("umount", folder / "proc", cwd=folder)
        shutil.rmtree(folder)


@CHROOT
@pytest.mark.timeout(900)
def test_from_installation_to_purge(system: System, package: Path, tmp_path: Path) -> None:
    shutil.copy(package, system.folder / "first.deb")
    system("apt-get", "install", "-y", "-qq", "--no-install-recommends", "/first.deb")
    assert system("tinyfleet", "--version") == "tinyfleet, version 0.1.0\n"
    assert "dialout" in system("id", "-nG", "tinyfleet").split()
    for path, rights in {
        "/etc/tinyfleet": "750 root:tinyfleet",
        "/etc/tinyfleet/gateway.toml": "640 root:tinyfleet",
        "/etc/tinyfleet/gateway": "700 tinyfleet:tinyfleet",
        "/var/lib/tinyfleet": "750 tinyfleet:tinyfleet",
    }.items():
        assert system("stat", "-c", "%a %U:%G", path).strip() == rights, path
    as_daemon = ("runuser", "-u", "tinyfleet", "--")
    assert 'name = "my-gateway"' in system(*as_daemon, "tinyfleet", "config", "show")
    system(*as_daemon, "tinyfleet", "init", "/var/lib/tinyfleet/plant")
    system(*as_daemon, "tinyfleet", "validate", "--strict", "/var/lib/tinyfleet/plant")
    system("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/tinyfleet.service")

    configuration = system.folder / "etc" / "tinyfleet" / "gateway.toml"
    edited = configuration.read_text().replace("my-gateway", "hall-north")
    configuration.write_text(edited)
    shutil.copy(next_version(package, tmp_path), system.folder / "next.deb")
    system("apt-get", "install", "-y", "-qq", "--no-install-recommends", "/next.deb")
    assert configuration.read_text() == edited
    assert system("dpkg-query", "-W", "-f", "${Version}", "tinyfleet") == "0.1.1"

    system("apt-get", "remove", "-y", "-qq", "tinyfleet")
    assert not system.has("/opt/tinyfleet")
    assert not system.has("/lib/systemd/system/tinyfleet.service")
    assert configuration.read_text() == edited
    assert system.has("/var/lib/tinyfleet/plant/fleet.yaml")

    system("apt-get", "purge", "-y", "-qq", "tinyfleet")
    for path in ("/etc/tinyfleet", "/var/lib/tinyfleet", "/opt/tinyfleet", "/usr/bin/tinyfleet"):
        assert not system.has(path), path


def next_version(package: Path, folder: Path) -> Path:
    """Repack the package with a higher version, for an upgrade."""
    run("dpkg-deb", "--raw-extract", package, folder / "next", cwd=folder)
    control = folder / "next" / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("Version: 0.1.0", "Version: 0.1.1"))
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", folder / "next", folder / "next.deb", cwd=folder)
    return folder / "next.deb"
