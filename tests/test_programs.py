# SPDX-License-Identifier: Apache-2.0
"""Set-up installs every program that the product, the tools and the tests start and that a bare Debian lacks."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.docs.shellblocks import blocks
from tests.programs import started_by_ci, started_by_make, started_by_python, started_by_shell

ROOT = Path(__file__).parents[1]
SET_UP = ROOT / "requirements" / "debian.txt"
# The programs of debootstrap's smallest Debian, and the three that the README requires.
BARE = {
    *("basename", "cat", "chmod", "chroot", "cp", "cut", "dirname", "du", "echo", "env", "head", "id", "mkdir"),
    *("mktemp", "printf", "readlink", "rm", "sha256sum", "sleep", "sort", "tail", "touch", "true", "uname"),
    *("apt-get", "awk", "bash", "dpkg", "dpkg-deb", "find", "flock", "grep", "mount", "sed", "sh", "tar", "umount"),
    *("prlimit", "unshare", "git", "make", "python3"),
}
MADE_HERE = {"main", "tinyfleet-vdev", *(path.name for path in Path(sys.executable).parent.iterdir())}
NOT_NEEDED = {
    "apk": "in a forge's image of another system; tests have a substitute",
    "debootstrap": "for `make fresh` and `make test-deb`, which report that it is missing",
    "gh": "on a forge's machine; tests have a substitute",
    "kubectl": "in a test that is skipped if it is missing",
    "node": "for the WebAssembly build of MicroPython; in tests that are skipped if it is missing",
    "npm": "for `make micropython-wasm`",
    "podman": "in a test that is skipped if it is missing",
    "prometheus": "for `make test-monitoring`, which reports that it is missing",
    "promtool": "for `make test-monitoring`; a test that is skipped if it is missing",
    "sudo": "optional",
    "systemctl": "on gateways, not in tests",
    "systemd-analyze": "in tests that are skipped if systemd is missing",
    "systemd-sysusers": "on gateways, not in tests",
    "systemd-tmpfiles": "on gateways, not in tests",
}


def installed(text: str) -> set[str]:
    """Return the programs that set-up installs."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {what for what, _package in lines if not what.startswith("/")}


@cache
def started() -> dict[str, set[str]]:
    """Return program → the tracked files that start it."""
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    texts = {name: (ROOT / name).read_text() for name in names if _kind(name) and (ROOT / name).is_file()}
    python = {name[:-3].replace("/", "."): text for name, text in texts.items() if _kind(name) == "python"}
    found = started_by_python(python)
    for name, text in texts.items():
        match _kind(name):
            case "shell":
                programs = started_by_shell(text)
            case "make":
                programs = started_by_make(text)
            case "ci":
                programs = started_by_ci(text)
            case "page":
                run = [block for block in blocks(ROOT / name) if block.runs]
                programs = set().union(*(started_by_shell(block.script(Path("/tmp"))) for block in run))  # noqa: S108 # nothing is written there
            case _:
                programs = set()
        for program in programs:
            found.setdefault(program, set()).add(name)
    return found


def _kind(name: str) -> str | None:
    path = Path(name)
    if path.suffix == ".sh" or name == ".ci/run" or name.startswith("tools/debian/p"):
        return "shell"
    if path.suffix == ".yml" and (path.parent.name == "workflows" or path.name == ".gitlab-ci.yml"):
        return "ci"
    return {".py": "python", ".mk": "make", ".md": "page"}.get(path.suffix) or {"Makefile": "make"}.get(name)


def test_set_up_installs_every_program_that_is_started() -> None:
    available = installed(SET_UP.read_text(encoding="utf-8")) | BARE | MADE_HERE | NOT_NEEDED.keys()
    missing = {program: sorted(where) for program, where in started().items() if program not in available}
    assert missing == {}, "add them to requirements/debian.txt"


def test_every_exception_is_still_needed() -> None:
    assert sorted((BARE | NOT_NEEDED.keys()) - started().keys() - {"python3"}) == []


@pytest.mark.parametrize("program", ["patch", "curl", "gpg", "cc", "mosquitto", "chromedriver", "arm-none-eabi-size"])
def test_the_search_finds_programs(program: str) -> None:
    assert program in started()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('subprocess.run(["patch", "-p1"], check=True)', {"patch"}),
        ('shutil.which("curl")', {"curl"}),
        ('command = ["cmake", "--build"]\nsubprocess.run([*command, "x"])', {"cmake"}),
        ('program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"\nsubprocess.Popen([program])', {"mosquitto"}),
        ('def run(*words):\n    subprocess.run(words)\nrun("dpkg-deb", "--info")', {"dpkg-deb"}),
        ('def run(words):\n    subprocess.run(words)\nrun(["nm", "a.o"])', {"nm"}),
        ('subprocess.run("openssl req -new".split())', {"openssl"}),
        ('subprocess.run([sys.executable, "-c", "x"])', set()),
        ('print(["patch", "-p1"])', set()),
    ],
)
def test_programs_started_by_python(code: str, expected: set[str]) -> None:
    assert started_by_python({"one": code}).keys() == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("set -eu\ncurl --fail x | jq .", {"curl", "jq"}),
        ("X=1 Y=$(mktemp -d) patch -p1 <a", {"mktemp", "patch"}),
        ("if ! gpg --list; then exec sh; fi  # or python3", {"gpg", "sh"}),
        ("cat <<END\nperl is not run\nEND\n", {"cat"}),
        ("case $1 in\n  a | b) tar x ;;\nesac", {"tar"}),
        ("say() { echo x; }\nsay; echo $((one + 1))", {"echo"}),
    ],
)
def test_programs_started_by_a_shell(script: str, expected: set[str]) -> None:
    assert started_by_shell(script) == expected


def test_programs_started_by_make() -> None:
    text = "A = $(shell clang -v)\nall:\n\t@mkdir -p x; cd x; $(PY) -m y; \\\n\t  cmake .\n"
    assert started_by_make(text) == {"clang", "mkdir", "cmake"}
