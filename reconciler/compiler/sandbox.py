# SPDX-License-Identifier: Apache-2.0
"""Runs a build in a subprocess with limits on time and memory and, where the system allows it, no network."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from reconciler.compiler import errors
from reconciler.compiler.build_result import ORACLE_STEP, BuildResult, report_from_json
from reconciler.compiler.engine_runner import FIRMWARE_VARIABLE
from reconciler.compiler.errors import BuildFailed, ModelUnreadable
from reconciler.compiler.recipe import Recipe
from reconciler.errors import failure_of_system
from reconciler.foreign_text import printable

Progress = Callable[[str], None]
_UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--")
_TAIL = 2000
_CRASHES = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGFPE, -signal.SIGBUS})
_LOOK_S = 0.5  # how often a process that may be cancelled is looked after
# Where the engine's programs are, and the settings of coverage, so that it measures builds too.
_INHERITED_VARIABLES = (FIRMWARE_VARIABLE, "COVERAGE_PROCESS_CONFIG")


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """The resources that one build may use."""

    wall_s: float = 900.0
    cpu_s: int = 1800
    memory_bytes: int = 4 << 30  # of address space; a conversion with TensorFlow maps a little under 3 GiB
    file_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class BuildJob:
    """A build with its files, which any executor can run on this machine or another."""

    recipe: Recipe
    files: Mapping[str, bytes]
    limits: BuildLimits = field(default_factory=BuildLimits)


def run_job(job: BuildJob, progress: Progress | None = None) -> BuildResult:
    """Run a build in a subprocess, and return its result or raise its failure."""
    with system_failures("cannot start a build"), tempfile.TemporaryDirectory(prefix="tinyfleet-build-") as name:
        folder = Path(name)
        (folder / "files").mkdir()
        for digest, data in job.files.items():
            (folder / "files" / digest).write_bytes(data)
        (folder / "recipe.json").write_bytes(job.recipe.to_json())
        (folder / "settings.json").write_text(json.dumps(asdict(job.limits)))
        ended = run_in_cage("reconciler.compiler.worker", folder, job.limits.wall_s, progress)
        return _collect(folder, job, ended)


@contextmanager
def system_failures(doing: str) -> Iterator[None]:
    """Turn an error of the system into a failure that is tried again."""
    try:
        yield
    except OSError as error:
        raise failure_of_system(error, doing, errors.ToolsMissing) from error


@cache
def can_isolate_network() -> bool:
    """Return whether this system lets a process drop its network access."""
    if shutil.which("unshare") is None:
        return False
    with system_failures("cannot start unshare"):  # not kept: a lack of resources must not end the isolation
        return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True, slots=True)
class CageExit:
    """How a subprocess ended."""

    code: int
    timed_out: bool
    errors: str
    step: str


def run_in_cage(
    module: str, folder: Path, wall_s: float, progress: Progress | None, cancelled: threading.Event | None = None
) -> CageExit:
    """Run one of our modules on a folder. It ends, with all that it started, after this time or if it is cancelled."""
    steps = [""]

    def follow(step: str) -> None:
        steps.append(step)
        if progress is not None:
            progress(step)

    command = cage_command(module, str(folder))
    with (folder / "stderr").open("wb") as errors_file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=cage_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors_file,
            start_new_session=True,
        )
        with process:
            try:
                timed_out = not _follow(process, time.monotonic() + wall_s, follow, cancelled)
            finally:
                _end(process)
    tail = printable((folder / "stderr").read_bytes()[-_TAIL:].decode("utf-8", "replace"))
    return CageExit(process.returncode, timed_out, tail, steps[-1])


def cage_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules without network access, where the system allows it."""
    command = [sys.executable, "-m", module, *arguments]
    return [*_UNSHARE, *command] if can_isolate_network() else command


def cage_environment(folder: Path) -> dict[str, str]:
    """Return the variables that a caged process needs. The daemon's own may hold secrets, so they are left out."""
    package_root = str(Path(__file__).resolve().parents[2])
    return {
        **{name: os.environ[name] for name in _INHERITED_VARIABLES if os.environ.get(name)},
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": package_root,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_DETERMINISTIC_OPS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def _follow(
    process: subprocess.Popen[bytes], deadline: float, progress: Progress, cancelled: threading.Event | None
) -> bool:
    """Forward progress until the process ends; return False if the deadline passes first, or it is cancelled."""
    if process.stdout is None:
        return True
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if cancelled is not None and cancelled.is_set():
                return False
            if not selector.select(left if cancelled is None else min(left, _LOOK_S)):
                continue
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                return _wait(process, deadline)
            *lines, buffer = (buffer + chunk)[-_TAIL:].split(b"\n")
            for line in lines:
                if line.startswith(b"step "):
                    progress(line[5:].decode("utf-8", "replace"))
    return False


def _wait(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, so that nothing the build started outlives it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has already ended
    process.wait()


def _collect(folder: Path, job: BuildJob, ended: CageExit) -> BuildResult:
    raise_failure_in(folder)
    if ended.timed_out or ended.code != 0 or not (folder / "report.json").exists():
        raise failure_of_exit(ended, job.limits)
    return BuildResult((folder / "pack").read_bytes(), report_from_json((folder / "report.json").read_bytes()))


def raise_failure_in(folder: Path) -> None:
    """Raise the failure that a subprocess wrote, if there is one."""
    failure = folder / "error.json"
    if failure.exists():
        document = json.loads(failure.read_bytes())
        kind = getattr(errors, document["kind"], BuildFailed)
        raise kind(printable(document["message"]))


def failure_of_exit(ended: CageExit, limits: BuildLimits) -> BuildFailed:
    """Return the failure of a build that left no error of its own."""
    if ended.timed_out:
        return BuildFailed(
            f"the build took longer than its limit of {limits.wall_s:g} s and was stopped{_at(ended)}: "
            "use a smaller model, or less data"
        )
    if ended.code in _CRASHES and ended.step == ORACLE_STEP and "bad_alloc" not in ended.errors:
        return ModelUnreadable(
            f"TensorFlow Lite itself refuses this model: its kernels end with {signal.Signals(-ended.code).name}: "
            f"{_last_error(ended) or 'they give no reason'}; convert the model again"
        )
    return BuildFailed(f"the build subprocess {explain_exit(ended, limits)}")


def explain_exit(ended: CageExit, limits: BuildLimits) -> str:
    """Describe the end of a process that left no error of its own."""
    last = _last_error(ended)
    return f"{_explain_code(ended.code, limits)}{_at(ended)}{': ' + last if last else ''}"


def _at(ended: CageExit) -> str:
    return f" at the step `{ended.step}`" if ended.step else ""


def _last_error(ended: CageExit) -> str:
    return ended.errors.strip().rsplit("\n", 1)[-1][:300]


def _explain_code(code: int, limits: BuildLimits) -> str:
    if code == -signal.SIGXCPU:
        return f"used up its limit of {limits.cpu_s} s of processor time"
    if code < 0:
        name = signal.Signals(-code).name
        limit = f"{limits.memory_bytes} bytes of memory"
        return f"was ended by {name}: the model crashes a library, or needs more than {limit}"
    return f"exited with code {code}"
