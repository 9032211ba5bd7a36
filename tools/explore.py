# SPDX-License-Identifier: Apache-2.0
"""Runs the property tests with fresh examples, repeatedly, and prints how to reproduce each failure.

`make test` draws the same examples each time. This tool draws new ones. Each round has a seed, which decides all
examples of all properties. Test files run one by one, so a campaign ends close to its time limit. It exits with 1 if
anything failed, and prints a command for each failure that reproduces it:

    .venv/bin/python -m pytest --hypothesis-profile=explore --hypothesis-seed=7 'tests/plan/test_windows.py::test_…'
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROFILE = "--hypothesis-profile=explore"
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)
BLOB = re.compile(r"@reproduce_failure\([^)]*\)")
COUNTED = re.compile(r"^(?:=+ )?((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.MULTILINE)
EXAMPLES = "TINYFLEET_EXAMPLES"  # the number of examples of the longest properties
NO_TESTS = 5  # pytest's exit code if it ran no tests


@dataclass(frozen=True, slots=True)
class Finding:
    """A property that failed, and how to reproduce the failure."""

    test: str
    replay: str
    blobs: tuple[str, ...]  # decorators that draw only the failing example, for all failures of this run
    log: Path


def replay(test: str, seed: int, environment: Mapping[str, str]) -> str:
    """Return the command that draws the same examples for one test."""
    examples = [f"{EXAMPLES}={environment[EXAMPLES]}"] if EXAMPLES in environment else []
    command = [".venv/bin/python", "-m", "pytest", PROFILE, f"--hypothesis-seed={seed}", test]
    return shlex.join([*(["env", *examples] if examples else []), *command])


def findings(said: str, seed: int, environment: Mapping[str, str], log: Path) -> list[Finding]:
    """Return the failures in the output of pytest."""
    blobs = tuple(dict.fromkeys(BLOB.findall(said)))
    return [Finding(test, replay(test, seed, environment), blobs, log) for test in dict.fromkeys(FAILED.findall(said))]


def counted(said: str) -> str:
    """Return pytest's own count, such as `7 passed, 1 failed`."""
    found = COUNTED.findall(said)
    return found[-1] if found else "no summary"


def report(found: Sequence[Finding]) -> Iterator[str]:
    """Yield the last lines of a campaign."""
    for finding in found:
        yield f"failed: {finding.test}"
        yield f"  reproduce: {finding.replay}"
        yield from (f"  decorator for this example: {blob}" for blob in finding.blobs)
        yield f"  log: {finding.log}"
    yield f"failures={len(found)}"


def files_with_properties(paths: Sequence[str]) -> list[str]:
    """Return the test files that contain properties."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "hypothesis", "-p", "no:cacheprovider"]
    said = subprocess.run([*command, *paths], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({line.partition("::")[0] for line in said.splitlines() if "::" in line})


def run(file: str, seed: int, logs: Path, workers: int) -> list[Finding]:
    """Run the properties of one file with one seed."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-m", "hypothesis", "-p", "no:cacheprovider"]
    command += ["--timeout=3600", f"--numprocesses={workers}"]
    done = subprocess.run(
        [*command, PROFILE, f"--hypothesis-seed={seed}", file],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = logs / f"{seed}-{file.removeprefix('tests/').replace('/', '-')}.log"
    found = findings(done.stdout, seed, os.environ, log)
    if done.returncode not in {0, NO_TESTS}:
        log.write_text(done.stdout, encoding="utf-8")
        found = found or [Finding(file, replay(file, seed, os.environ), (), log)]  # pytest itself failed
    say(f"seed={seed} seconds={time.monotonic() - began:.0f} {file}: {counted(done.stdout)}")
    return found


def say(line: str) -> None:
    """Print progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", default=["tests"], help="test files or folders")
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--minutes", type=float, default=60, help="start no test file after this time")
    ends.add_argument("--rounds", type=int, help="run all files this many times, without a time limit")
    parser.add_argument("--seed", type=int, help="seed of the first round, to repeat a campaign; later rounds count up")
    parser.add_argument("--workers", type=int, default=0, help="number of processes that share the tests of a file")
    asked = parser.parse_args(arguments)
    logs = ROOT / "build" / "explore"
    logs.mkdir(parents=True, exist_ok=True)
    files = files_with_properties(asked.paths)
    first = secrets.randbelow(1 << 32) if asked.seed is None else asked.seed
    ends_at = time.monotonic() + asked.minutes * 60
    found: list[Finding] = []
    for seed in range(first, first + (asked.rounds or 1 << 32)):
        for file in files:
            if asked.rounds is None and time.monotonic() >= ends_at:
                break
            found += run(file, seed, logs, asked.workers)
        else:
            continue
        break
    for line in report(found):
        say(line)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
