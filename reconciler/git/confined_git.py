# SPDX-License-Identifier: Apache-2.0
"""Git commands that can neither run what a repository names nor wait for ever.

Everything that GitPython starts for us goes through `ConfinedGit.execute`: a clean environment (so that a
`GIT_DIR` of a calling hook, or a user's configuration, changes nothing), configuration that outranks the
repository's own, and one protocol at most. `ConfinedGit.step` adds a time limit on the whole process group.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import git

from reconciler.git.errors import DiskFull, GitUnusable, MirrorDamaged, SettingsUnsafe

# Of the caller's environment only how to reach the network, an SSH agent and a place for temporary files.
_PASSED_ON = (
    "PATH", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip

_NOTHING = "/dev/null"

# Outranks every file. Each line takes away a way to run something, or to trust something, that a repository
# or a user's configuration could name.
_CONFIG: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", _NOTHING),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", _NOTHING),
    ("core.askPass", ""),
    ("core.alternateRefsCommand", "true"),  # the program that says nothing
    ("core.logAllRefUpdates", "false"),
    ("credential.helper", ""),  # empties the list; ours is added after it
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("transfer.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("fetch.writeCommitGraph", "false"),
    ("core.commitGraph", "false"),  # a damaged graph file must not decide about ancestry
    ("core.fsync", "committed,reference"),  # gateways lose power
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("push.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("gpg.program", "false"),  # signatures.py turns on what a policy needs
    ("gpg.ssh.program", "ssh-keygen"),
    ("gpg.x509.program", "false"),
)

# SSH signatures came with 2.34; configuration from the environment, on which everything here rests, with 2.31.
_OLDEST = (2, 34)

_GRACE_S = 2.0  # for git to take its lock files away after a polite signal


@dataclass(frozen=True, slots=True)
class GitResult:
    """How one command ended."""

    status: int  # negative: the signal that ended it
    out: bytes
    err: str
    timed_out: bool = False


class ConfinedGit(git.Git):
    """GitPython's command runner, in the environment that this module describes."""

    _confined_by_version: ClassVar[dict[str | None, bool]] = {}

    def __init__(self, working_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(working_dir)
        self._confined: dict[str, str] = {}
        self._config: tuple[tuple[str, str], ...] = _CONFIG

    def confine(self, git_dir: Path, config: Iterable[tuple[str, str]] = ()) -> None:
        """Bind to one repository, whatever the caller's `GIT_DIR` says, with `config` over the defaults."""
        self._config = (*_CONFIG, *config)
        self._confined = {"GIT_DIR": str(git_dir)}

    def with_config(self, config: Iterable[tuple[str, str]]) -> ConfinedGit:
        """Return a runner on the same repository with more configuration."""
        other = ConfinedGit(self.working_dir)
        other.confine(self.git_dir, (*self._config[len(_CONFIG) :], *config))
        return other

    @property
    def git_dir(self) -> Path:
        """The repository that this runner is bound to."""
        return Path(self._confined["GIT_DIR"])

    def execute(self, command: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Run a command as GitPython does, but in the confined environment and in no other."""
        wanted = {**self._environment_for(), **(kwargs.pop("env", None) or {})}
        # GitPython adds to the caller's environment and can't take away: `env -u` does. The values don't go there,
        # where everybody on the machine could read them.
        unset = [word for name in sorted(os.environ.keys() - wanted.keys()) for word in ("-u", name)]
        return super().execute(["env", *unset, *command], *args, env=wanted, **kwargs)

    def step(
        self,
        *command: str,
        limit_s: float,
        data: bytes = b"",
        env: Mapping[str, str] | None = None,
        file_bytes: int | None = None,
    ) -> GitResult:
        """Run one git command to its end or to its time limit; nothing of its process group survives the limit."""
        handle = self.execute(
            ["git", *command], env=env, istream=subprocess.PIPE, as_process=True, start_new_session=True
        )
        process = cast("subprocess.Popen[bytes]", handle.proc)
        try:
            if file_bytes is not None:
                # Inherited by whatever writes the received objects: endless data ends here.
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
            try:
                out, err = process.communicate(data, timeout=limit_s)
            except subprocess.TimeoutExpired:
                return GitResult(-signal.SIGKILL, b"", "", timed_out=True)
            return GitResult(process.returncode, out, err.decode("utf-8", "replace"))
        finally:
            _end(process)

    def require(self) -> None:
        """Refuse a git that is missing, or so old that it would ignore what confines it; asked once a process."""
        if self._confined_by_version.get(os.environ.get("PATH")):
            return
        told = self.step("version", limit_s=30)
        found = re.match(rb"git version (\d+)\.(\d+)", told.out)
        if told.status != 0 or found is None:
            raise GitUnusable(f"git can't be run: {last_line(told.err)}")
        if (int(found[1]), int(found[2])) < _OLDEST:
            raise GitUnusable(f"git {found[1].decode()}.{found[2].decode()} is too old: 2.34 or newer is needed")
        self._confined_by_version[os.environ.get("PATH")] = True

    def local(self, *command: str, limit_s: float, data: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run a command that a sound repository always answers, and return its output."""
        result = self.step(*command, limit_s=limit_s, data=data, env=env)
        if result.timed_out:
            raise MirrorDamaged(f"git {command[0]} did not end within {limit_s:g} s on our own copy")
        if "No space left on device" in result.err:
            raise DiskFull(f"git {command[0]}: {last_line(result.err)}")
        if result.status != 0:
            raise MirrorDamaged(f"git {command[0]} failed on our own copy: {last_line(result.err)}")
        return result.out

    def _environment_for(self) -> dict[str, str]:
        config: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(self._config))}
        for number, (key, value) in enumerate(self._config):
            config[f"GIT_CONFIG_KEY_{number}"] = key
            config[f"GIT_CONFIG_VALUE_{number}"] = value
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "HOME": self._confined.get("GIT_DIR", _NOTHING),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": _NOTHING,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ADVICE": "0",
            **config,
            **self._confined,
            **self.environment(),
        }


class ConfinedRepo(git.Repo):
    """A repository whose every command is confined."""

    GitCommandWrapperType = ConfinedGit

    git: ConfinedGit

    def __enter__(self) -> Self:
        return self

    @classmethod
    def at(cls, path: Path, *, search: bool = False) -> ConfinedRepo:
        """Open a repository: ours, or (with `search`) the one that a folder of an operator lies in."""
        repo = cls(path, search_parent_directories=search, expand_vars=False)
        repo.git.confine(Path(repo.git_dir).absolute())
        repo.git.require()
        return repo


def last_line(text: str) -> str:
    """Return what git said last that is no hint, for a one-sentence message."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "ssh:", "remote:"))]
    return (fatal or lines or ["no message"])[0][:300]


def plain_path(path: str) -> str:
    """Return a path inside a repository in its one plain spelling, or refuse it."""
    parts = path.strip("/").split("/") if path.strip("/") not in {"", "."} else []
    if any(part in {"", ".", ".."} or part.lower() == ".git" or not part.isprintable() for part in parts):
        raise SettingsUnsafe(f"{path!r} is no path inside a repository")
    return "/".join(parts)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
        # Whoever of the group ignored the first signal, the leader included.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
