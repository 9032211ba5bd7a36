# SPDX-License-Identifier: Apache-2.0
"""Runs git so that it can neither execute what a repository names nor wait forever.

Every process that GitPython starts for us goes through `ConfinedGit.execute`. It sets a clean environment,
so that neither the `GIT_DIR` of a calling hook nor a user's configuration has any effect; configuration
that overrides the repository's own; at most one protocol; and a limit on the memory of each process, because
what a server sends is read long before a signature can be checked. `ConfinedGit.step` adds limits on time and
output for the whole process group.
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
from typing import Any, ClassVar, Final, Self, cast

import git

from reconciler.errors import failure_of_system
from reconciler.foreign_text import printable
from reconciler.git.bounded_output import OutputLimits, OutputTimedOut, OutputTooLarge, exchange
from reconciler.git.errors import DiskFull, GitUnusable, MirrorDamaged, SettingsUnsafe, TransferTooLarge

# Passed on from the caller's environment: network proxies, the SSH agent and the temporary folder.
_PASSED_ON = (
    "PATH", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip

_NOTHING = "/dev/null"

# Keeps git within its limit on memory: large files are streamed, and caches are small.
FRUGAL: Final = (
    ("core.bigFileThreshold", "16m"),
    ("core.deltaBaseCacheLimit", "16m"),
    ("pack.threads", "1"),
    ("pack.windowMemory", "32m"),
    ("pack.deltaCacheSize", "16m"),
)

# Overrides every configuration file. Each line removes one way in which a repository or a user's
# configuration could run a program or extend trust.
_CONFIG: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", _NOTHING),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", _NOTHING),
    ("core.askPass", ""),
    ("core.alternateRefsCommand", "true"),  # a program without output
    ("core.logAllRefUpdates", "false"),
    ("credential.helper", ""),  # clears the list; ours is added after it
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("transfer.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("fetch.writeCommitGraph", "false"),
    ("core.commitGraph", "false"),  # a damaged graph file must not decide about ancestry
    ("core.fsync", "committed,reference"),  # gateways lose power
    *FRUGAL,
    ("gc.auto", "0"),
    ("gc.cruftPacks", "true"),  # what a replaced status leaves behind goes into one file, not into thousands
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("push.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("gpg.program", "false"),  # signatures.py enables what a policy needs
    ("gpg.ssh.program", "ssh-keygen"),
    ("gpg.x509.program", "false"),
)

OUT_OF_MEMORY = "fatal: Out of memory"

# SSH signatures need 2.34. Configuration from the environment, which this module depends on, needs 2.31.
_OLDEST = (2, 34)

_GRACE_S = 2.0  # time for git to remove its lock files after SIGTERM

# Of each process: what it may write to, not the packs that it maps. Enough for a delta between two files of 64 MiB.
MEMORY_BYTES = 180 << 20
OUTPUT_BYTES = 64 << 20  # a list of 100,000 files takes about 12 MiB
MESSAGE_BYTES = 1 << 20  # of errors and progress, which a server can send without end
FILE_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class GitResult:
    """The result of one command."""

    status: int  # negative: the signal that killed it
    out: bytes
    err: str  # printable
    timed_out: bool = False
    too_large: bool = False  # it wrote more than its limit, and was ended


class ConfinedGit(git.Git):
    """GitPython's command runner, with the environment that this module describes."""

    _confined_by_version: ClassVar[dict[str | None, bool]] = {}

    def __init__(self, working_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(working_dir)
        self._confined: dict[str, str] = {}
        self._config: tuple[tuple[str, str], ...] = _CONFIG

    def confine(self, git_dir: Path, config: Iterable[tuple[str, str]] = ()) -> None:
        """Bind to one repository, ignoring the caller's `GIT_DIR`, with `config` on top of the defaults."""
        self._config = (*_CONFIG, *config)
        self._confined = {"GIT_DIR": str(git_dir)}

    def with_config(self, config: Iterable[tuple[str, str]]) -> ConfinedGit:
        """Return a runner for the same repository with additional configuration."""
        other = ConfinedGit(self.working_dir)
        other.confine(self.git_dir, (*self._config[len(_CONFIG) :], *config))
        return other

    @property
    def git_dir(self) -> Path:
        """The repository that this runner is bound to."""
        return Path(self._confined["GIT_DIR"])

    def execute(self, command: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - GitPython's signature
        """Run a command as GitPython does, but only with the confined environment and within limits."""
        wanted = {**self._environment_for(), **(kwargs.pop("env", None) or {})}
        limits = _limits(kwargs.pop("file_bytes", FILE_BYTES))
        # GitPython can only add to the caller's environment, so `env -u` removes the rest. Values are never put
        # on the command line, where every user of the machine could read them.
        unset = [word for name in sorted(os.environ.keys() - wanted.keys()) for word in ("-u", name)]
        try:
            return super().execute([*limits, "env", *unset, *command], *args, env=wanted, **kwargs)
        except git.GitCommandNotFound as missing:
            raise GitUnusable("cannot start git: git, env and prlimit must be on PATH") from missing
        except OSError as problem:
            raise failure_of_system(problem, "cannot start git", GitUnusable) from problem

    def step(
        self,
        *command: str,
        limit_s: float,
        data: bytes = b"",
        env: Mapping[str, str] | None = None,
        file_bytes: int = FILE_BYTES,
        out_bytes: int = OUTPUT_BYTES,
    ) -> GitResult:
        """Run one git command until it ends or exceeds a limit, which ends its whole process group.

        `file_bytes` also limits the process that writes received objects, and so stops an endless transfer.
        """
        handle = self.execute(
            ["git", *command],
            env=env,
            istream=subprocess.PIPE,
            as_process=True,
            start_new_session=True,
            file_bytes=file_bytes,
        )
        process = cast("subprocess.Popen[bytes]", handle.proc)
        try:
            out, err = exchange(process, data, OutputLimits(out_bytes, MESSAGE_BYTES), limit_s=limit_s)
        except OutputTimedOut:
            return GitResult(-signal.SIGKILL, b"", "", timed_out=True)
        except OutputTooLarge:
            return GitResult(-signal.SIGKILL, b"", "", too_large=True)
        else:
            return GitResult(process.returncode, out, printable(err.decode("utf-8", "replace")))
        finally:
            _end(process)

    def require(self) -> None:
        """Refuse a git that is missing or too old to honour the confinement. Checked once per process."""
        if self._confined_by_version.get(os.environ.get("PATH")):
            return
        result = self.step("version", limit_s=30)
        found = re.match(rb"git version (\d+)\.(\d+)", result.out)
        if result.status != 0 or found is None:
            raise GitUnusable(f"cannot run git: {last_line(result.err)}")
        if (int(found[1]), int(found[2])) < _OLDEST:
            raise GitUnusable(
                f"git {found[1].decode()}.{found[2].decode()} is too old: version 2.34 or later is required"
            )
        self._confined_by_version[os.environ.get("PATH")] = True

    def local(self, *command: str, limit_s: float, data: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run a command that succeeds in any intact repository, and return its output."""
        result = self.step(*command, limit_s=limit_s, data=data, env=env)
        if result.timed_out:
            raise MirrorDamaged(f"git {command[0]} did not finish within {limit_s:g} s in the mirror")
        if result.too_large or OUT_OF_MEMORY in result.err:
            raise TransferTooLarge(f"git {command[0]}: the content of the repository exceeds the limits of a gateway")
        if "No space left on device" in result.err:
            raise DiskFull(f"git {command[0]}: {last_line(result.err)}")
        if result.status != 0:
            raise MirrorDamaged(f"git {command[0]} failed in the mirror: {last_line(result.err)}")
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
    """A repository in which every command is confined."""

    GitCommandWrapperType = ConfinedGit

    git: ConfinedGit

    def __enter__(self) -> Self:
        return self

    @classmethod
    def at(cls, path: Path, *, search: bool = False) -> ConfinedRepo:
        """Open a repository: ours or, with `search`, the one that contains an operator's folder."""
        repo = cls(path, search_parent_directories=search, expand_vars=False)
        repo.git.confine(Path(repo.git_dir).absolute())
        repo.git.require()
        return repo


def last_line(text: str) -> str:
    """Return the most telling line of git's output, without hints, for a one-sentence message."""
    lines = [line.strip() for line in printable(text).splitlines() if line.strip() and not line.startswith("hint:")]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "ssh:", "remote:"))]
    return (fatal or lines or ["no message"])[0][:300]


def plain_path(path: str) -> str:
    """Return a path inside a repository in its normal form, or refuse it."""
    parts = path.strip("/").split("/") if path.strip("/") not in {"", "."} else []
    if any(part in {"", ".", ".."} or part.lower() == ".git" or not part.isprintable() for part in parts):
        raise SettingsUnsafe(f"{path!r} is not a path inside a repository")
    return "/".join(parts)


def _limits(file_bytes: int) -> tuple[str, ...]:
    """Return the command that sets the limits before git starts, so that none of its processes escapes them."""
    return (
        "prlimit",
        f"--data={_allowed(resource.RLIMIT_DATA, MEMORY_BYTES)}",
        f"--fsize={_allowed(resource.RLIMIT_FSIZE, file_bytes)}",
        "--core=0",
    )


def _allowed(limit: int, wanted: int) -> int:
    """Return a limit that this process may set: nobody can raise their own."""
    _, most = resource.getrlimit(limit)
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
        # For processes of the group that ignored SIGTERM, including the leader.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
