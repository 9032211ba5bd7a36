# SPDX-License-Identifier: Apache-2.0
"""The first run of a new user: `make demo` and `make test` on a bare Debian 12, as root and as an ordinary user.

Each user gets a separate system, which debootstrap creates from this machine's mirror with python3, git, make and
nothing else. The commit that is checked out here is cloned into the home directory. The ordinary user may use sudo,
which set-up needs.

Each command in the system runs in a new mount and process namespace, so the kernel removes all mounts and ends all
processes when it ends for whatever reason. Outside of the namespace nothing is ever mounted, so deleting the system
cannot reach anything that was mounted in it.

The output ends with one line for each user: user=root demo_rc=0 test_rc=0
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUITE = "bookworm"
GIVEN = ("python3", "git", "make")
TARGETS = ("demo", "test")
# The system needs the network settings of this machine. No other variables are passed on.
NETWORK = ("SSL_CERT_", "OPENBLAS_")
NETWORK_NAMES = {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
NETWORK_FILES = (
    "etc/apt/sources.list",
    "etc/apt/sources.list.d",
    "etc/apt/apt.conf.d",
    "etc/apt/auth.conf.d",
    "etc/apt/keyrings",
    "etc/apt/trusted.gpg.d",
    "etc/resolv.conf",
    "etc/hosts",
    "etc/ssl/certs/ca-certificates.crt",
    "usr/local/share/ca-certificates",  # the source of the file above, when a package regenerates it
)
PIP_SETTINGS = {"index-url", "extra-index-url", "trusted-host", "proxy", "cert", "default-timeout"}
# Mounts and processes end with their namespaces.
APART = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
# The system becomes the root of its mount namespace, because builds create user namespaces, and a chroot forbids that.
ENTER = """\
mount --bind "$1" "$1"
cd "$1"
shift
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --bind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
pivot_root . mnt
umount --lazy /mnt
exec "$@"
"""


@dataclass(frozen=True)
class User:
    """The user who runs the two commands."""

    name: str

    @property
    def home(self) -> Path:
        """Return the home directory, as the system sees it."""
        return Path("/root") if self.name == "root" else Path("/home") / self.name


USERS = (User("root"), User("ada"))


def network(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that configure access to packages."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith(NETWORK) or name.upper() in NETWORK_NAMES
    }


def pip_configuration(listed: str) -> str:
    """Return pip's configuration for the system, from `pip config list`; without folders of this machine."""
    found: dict[str, list[str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        setting = name.rpartition(".")[2]
        if setting in PIP_SETTINGS:
            found[setting] = [word for word in str(ast.literal_eval(value)).split() if not word.startswith("file:")]
    return "\n".join(["[global]", *(f"{name} = {' '.join(words)}" for name, words in found.items() if words), ""])


def summary(user: User, codes: Mapping[str, int]) -> str:
    """Return the last line for a user."""
    return " ".join([f"user={user.name}", *(f"{target}_rc={codes[target]}" for target in TARGETS)])


def say(line: str) -> None:
    """Print progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class System:
    """A Debian system in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str, log: Path, **environment: str) -> int:
        """Run a command in it as root; return its exit code."""
        command = [*APART, "sh", "-eu", "-c", ENTER, "fresh", str(self.folder), *words]
        with log.open("ab") as out:
            done = subprocess.run(
                command,
                env={**_plain(User("root")), **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
            )
        return done.returncode

    def must(self, *words: str, log: Path) -> None:
        """Run a command that must succeed."""
        if self.run(*words, log=log, DEBIAN_FRONTEND="noninteractive"):
            sys.exit(f"fresh: `{' '.join(words)}` failed in the system: {log}")

    def configure_network(self) -> None:
        """Copy this machine's access to the package mirrors."""
        (self.folder / "etc/apt/sources.list").unlink()  # written by debootstrap, replaced below
        for name in NETWORK_FILES:
            _copy(Path("/") / name, self.folder / name)
        command = [sys.executable, "-m", "pip", "config", "list"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (self.folder / "etc/pip.conf").write_text(pip_configuration(listed), encoding="utf-8")


def base(folder: Path, log: Path) -> System:
    """Create the Debian system that is copied for each user."""
    uri = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {SUITE}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    if not uri:
        sys.exit(f"fresh: apt knows no mirror of {SUITE}; try `apt-get update`")
    command = [*APART, "debootstrap", "--variant=minbase", f"--include={','.join(GIVEN)}", SUITE, str(folder), uri[0]]
    with log.open("ab") as out:
        if subprocess.run(command, stdout=out, stderr=out, check=False).returncode:
            sys.exit(f"fresh: debootstrap failed: {log}")
    system = System(folder)
    system.configure_network()
    return system


def first_run(user: User, system: System, logs: Path) -> dict[str, int]:
    """Follow the README: clone, `make demo`, `make test`."""
    log = logs / f"{user.name}-system.log"
    if user.name != "root":
        system.must("apt-get", "update", "-qq", log=log)
        system.must("apt-get", "install", "-y", "-qq", "--no-install-recommends", "sudo", log=log)
        system.must("useradd", "--create-home", "--shell", "/bin/bash", user.name, log=log)
        (system.folder / "etc/sudoers.d/fresh").write_text(f"{user.name} ALL=(ALL) NOPASSWD: ALL\n", encoding="utf-8")
    clone = user.home / "tinyfleet"
    inside = system.folder / clone.relative_to("/")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(inside)], check=True)
    system.must("chown", "-R", f"{user.name}:", str(clone), log=log)
    return {target: _make(target, user, system, logs / f"{user.name}-{target}.log") for target in TARGETS}


def _make(target: str, user: User, system: System, log: Path) -> int:
    began = time.monotonic()
    say(f"fresh: make {target} as {user.name}: {log.relative_to(ROOT)}")
    variables = [f"{name}={value}" for name, value in {**_plain(user), **network(os.environ)}.items()]
    script = f"cd {user.home}/tinyfleet && exec make {target}"
    code = system.run("runuser", "-u", user.name, "--", "env", "-i", *variables, "bash", "-c", script, log=log)
    minutes = (time.monotonic() - began) / 60
    say(f"fresh: make {target} as {user.name}: exit code {code} after {minutes:.0f} minutes")
    return code


def _plain(user: User) -> dict[str, str]:
    sbin = "/usr/local/sbin:/usr/sbin:/sbin:" if user.name == "root" else ""
    return {
        "HOME": str(user.home),
        "USER": user.name,
        "LOGNAME": user.name,
        "SHELL": "/bin/bash",
        "PATH": f"{sbin}/usr/local/bin:/usr/bin:/bin",
    }


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        target.unlink(missing_ok=True)  # debootstrap may have left a link
        shutil.copy(source, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", choices=[user.name for user in USERS], help="only as this user")
    parser.add_argument("--keep", action="store_true", help="keep the systems for inspection")
    asked = parser.parse_args(arguments)
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.exit("fresh: needs root, and debootstrap (`apt-get install debootstrap`)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("fresh: terminated"))
    folder = ROOT / "build" / "fresh"
    shutil.rmtree(folder, ignore_errors=True)
    logs = folder / "logs"
    logs.mkdir(parents=True)
    codes: dict[User, dict[str, int]] = {}
    try:
        bare = base(folder / "base", logs / "debootstrap.log")
        for user in USERS if asked.user is None else [each for each in USERS if each.name == asked.user]:
            system = System(folder / user.name)
            subprocess.run(["cp", "-a", str(bare.folder), str(system.folder)], check=True)
            codes[user] = first_run(user, system, logs)
            if not asked.keep:
                shutil.rmtree(system.folder)
    finally:
        if not asked.keep:
            for each in folder.iterdir():
                if each != logs:
                    shutil.rmtree(each)
    for user, ended in codes.items():
        say(summary(user, ended))
    return int(any(code for ended in codes.values() for code in ended.values()))


if __name__ == "__main__":
    sys.exit(main())
