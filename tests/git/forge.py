# SPDX-License-Identifier: Apache-2.0
"""A real repository and real keys, created for the test without the machine's Git configuration."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model import Commit


@dataclass(frozen=True)
class SshKey:
    name: str
    path: Path

    @property
    def public(self) -> str:
        return self.path.with_suffix(".pub").read_text().rsplit(" ", 1)[0].strip()

    def signs(self) -> tuple[str, ...]:
        return ("-c", "gpg.format=ssh", "-c", f"user.signingKey={self.path}", "-c", "commit.gpgSign=true")


@dataclass(frozen=True)
class GpgKey:
    name: str
    home: Path

    def export(self) -> bytes:
        return run_gpg(self.home, "--export", "--armor", self.name)

    def signs(self) -> tuple[str, ...]:
        return ("-c", "gpg.format=openpgp", "-c", f"user.signingKey={self.name}", "-c", "commit.gpgSign=true")


Key = SshKey | GpgKey


def run_gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def make_ssh_key(folder: Path, name: str, kind: str = "ed25519") -> SshKey:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(path)], check=True, capture_output=True
    )
    return SshKey(name, path)


@dataclass
class Forge:
    """A bare repository, and a person's work tree that pushes to it."""

    bare: Path
    work: Path
    gpg_home: Path | None = None
    clock: int = field(default=1_790_000_000)

    def git(self, *arguments: str, cwd: Path | None = None, data: bytes | None = None) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.work.parent),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": f"{self.clock} +0000",
            "GIT_COMMITTER_DATE": f"{self.clock} +0000",
            **({"GNUPGHOME": str(self.gpg_home)} if self.gpg_home else {}),
        }
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=cwd or self.work, env=env, input=data, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str] | None = None, key: Key | None = None, *, push: bool = True) -> Commit:
        self.clock += 1
        for name, text in (files or {"fleet.yaml": f"at: {self.clock}\n"}).items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git(*(key.signs() if key else ()), "commit", "--quiet", "--allow-empty", "-m", f"change {self.clock}")
        if push:
            self.push()
        return self.head()

    def merge(self, name: str, key: Key | None = None) -> Commit:
        """Merge as a forge does: always with a merge commit, signed by the forge or unsigned."""
        self.clock += 1
        self.git(*(key.signs() if key else ()), "merge", "--quiet", "--no-ff", "-m", f"Merge {name}", name)
        self.push()
        return self.head()

    def push(self, *options: str) -> None:
        self.git("push", "--quiet", *options, "origin", "HEAD")

    def head(self) -> Commit:
        return Commit(self.git("rev-parse", "HEAD"))


def make_forge(folder: Path) -> Forge:
    forge = Forge(folder / "origin.git", folder / "work")
    forge.work.mkdir(parents=True)
    forge.git("init", "--quiet", "--bare", "--initial-branch=main", str(forge.bare))
    forge.git("init", "--quiet", "--initial-branch=main")
    forge.git("remote", "add", "origin", str(forge.bare))
    return forge
