# SPDX-License-Identifier: Apache-2.0
"""The world of a demo or a system test, in one temporary folder: processes, and a fleet repository with its remote."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

ROOT = Path(__file__).resolve().parents[1]
TINYFLEET = Path(sys.executable).parent / "tinyfleet"
VDEV = ROOT / "firmware" / "build" / "host" / "tinyfleet-vdev"
POLL_S = 0.2
FLEET, GATEWAY = "demo", "bench"


class NotObservedError(AssertionError):
    """An expected event did not happen."""


class Running:
    """A background process."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log
        self._ended = False

    @property
    def ended_by_itself(self) -> bool:
        """Return whether the process exited without being stopped."""
        return not self._ended and self._process.poll() is not None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Return all of its output."""
        return self._log.read_text(errors="replace")

    @property
    def said(self) -> str:
        """Return the end of its output."""
        return self.log[-4000:]

    def stop(self, *, within_s: float = 20) -> int:
        """Stop it, by force if it does not react; returns its exit code."""
        self._ended = True
        self._process.terminate()
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def wait(self, *, within_s: float = 120) -> int:
        """Wait until it exits; returns its exit code."""
        self._ended = True
        return self._process.wait(within_s)

    def kill(self) -> None:
        """Kill it immediately."""
        self._ended = True
        self._process.kill()
        self._process.wait(20)


class World:
    """Starts and stops processes, runs commands, and reads the remote repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = folder / "fleet.git"
        self.work = folder / "fleet"
        self._running: list[Running] = []
        self._status_read: tuple[str | None, Mapping[str, bytes]] = (None, {})
        temporary = folder / "tmp"  # what a killed process leaves behind is removed with the folder
        temporary.mkdir(parents=True, exist_ok=True)
        no_settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        self._env = {**os.environ, **no_settings, "TMPDIR": str(temporary)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for running in reversed(self._running):
            running.stop()

    # ------------------------------------------------------------ processes

    def run(self, *command: str | Path, cwd: Path | None = None) -> str:
        """Run a command; returns its output, or raises an error that shows it."""
        done = subprocess.run(command, cwd=cwd, env=self._env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotObservedError(f"{' '.join(str(word) for word in command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name: str, *command: str | Path) -> Running:
        """Start a process that runs until it is stopped, at the latest with the world."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            # In its own process group, so that Ctrl-C on a terminal reaches only us, and we stop it properly.
            process = subprocess.Popen(
                command, env=self._env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )
        running = Running(name, process, log)
        self._running.append(running)
        return running

    def wait_for(self, event: str, condition: Callable[[], Any], *, within_s: float) -> Any:  # noqa: ANN401 - what the condition found
        """Wait until a condition holds and return what it found."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            for running in self._running:
                if running.ended_by_itself:
                    raise NotObservedError(f"{running.name} exited while waiting for: {event}\n{running.said}")
            time.sleep(POLL_S)  # nothing signals a change of a ref in a remote repository
        logs = "\n".join(f"--- {running.name}\n{running.said}" for running in self._running)
        raise NotObservedError(f"waited {within_s:.0f} s in vain for: {event}\n{logs}")

    # ------------------------------------------------------------ the fleet repository

    def make_repository(self) -> None:
        """Create the remote, a clone to work in, and a key that may sign commits."""
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "engineer", "-f", self.folder / "engineer")
        public = (self.folder / "engineer.pub").read_text().split()
        (self.folder / "allowed_signers").write_text(f"engineer@demo {public[0]} {public[1]}\n")
        self.run("git", "init", "-q", "--bare", "-b", "main", self.remote)
        self.run("git", "clone", "-q", self.remote, self.work)
        for name, value in {
            "user.name": "engineer",
            "user.email": "engineer@demo",
            "gpg.format": "ssh",
            "user.signingkey": str(self.folder / "engineer"),
            "commit.gpgsign": "true",
        }.items():
            self.run("git", "config", name, value, cwd=self.work)

    def commit(self, message: str, files: Mapping[str, bytes], *, force: bool = False, signed: bool = True) -> str:
        """Write files, commit and push them; returns the commit."""
        for name, data in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.run("git", "add", "-A", cwd=self.work)
        self.run("git", "commit", "-q", *([] if signed else ["--no-gpg-sign"]), "-m", message, cwd=self.work)
        return self.push(force=force)

    def push(self, *, force: bool = False) -> str:
        """Push the current commit; returns it."""
        self.run("git", "push", "-q", *(["--force"] if force else []), "origin", "HEAD:main", cwd=self.work)
        return self.run("git", "rev-parse", "HEAD", cwd=self.work).strip()

    def status_commit(self) -> str | None:
        """Return the head of the status branch."""
        shown = self._git("rev-parse", "--verify", "--quiet", f"refs/heads/status/{GATEWAY}")
        return shown.decode().strip() if shown is not None else None

    def status_files(self) -> Mapping[str, bytes]:
        """Return all files of the status branch of the remote; read once per commit."""
        commit = self.status_commit()
        if commit != self._status_read[0]:
            packed = self._git("archive", "--format=tar", commit) if commit else None
            self._status_read = (commit, _unpacked(packed or b""))
        return self._status_read[1]

    def status_file(self, path: str) -> str | None:
        """Return one file of the status branch."""
        data = self.status_files().get(path)
        return data.decode() if data is not None else None

    def file_at(self, commit: str, path: str) -> str | None:
        """Return one file of a commit."""
        data = self._git("show", f"{commit}:{path}")
        return data.decode() if data is not None else None

    def enforced(self) -> str | None:
        """Return the commit that the gateway enforces, according to the status branch."""
        text = self.status_file("gateway.yaml")
        commit: str | None = yaml.load(text, yaml.CSafeLoader)["status"].get("commit") if text else None
        return commit

    def device_status(self, device: str) -> dict[str, Any]:
        """Return the status of a device from the status branch; empty if there is none yet."""
        text = self.status_file(f"devices/{device}.yaml")
        status: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return status

    def _git(self, *arguments: str) -> bytes | None:
        done = subprocess.run(
            ["git", "--git-dir", self.remote, *arguments], env=self._env, capture_output=True, check=False
        )
        return done.stdout if done.returncode == 0 else None


def _unpacked(packed: bytes) -> dict[str, bytes]:
    if not packed:
        return {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return {name: file.read() for name, file in members if file is not None}


def document(kind: str, name: str, spec: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> bytes:
    """Return one document of a fleet repository."""
    metadata: dict[str, Any] = {"name": name, **({"labels": dict(labels)} if labels else {})}
    whole = {"apiVersion": "tinyfleet/v1alpha1", "kind": kind, "metadata": metadata, "spec": dict(spec)}
    text: str = yaml.safe_dump(whole, sort_keys=False)
    return text.encode()


def threshold_model(weights: list[int], threshold: int) -> bytes:
    """Return the smallest possible model: a weighted sum compared with a threshold."""
    golden = [[0] * len(weights), [1000] * len(weights), list(range(len(weights)))]
    return json.dumps({"kind": "threshold", "weights": weights, "threshold": threshold, "golden": golden}).encode()
