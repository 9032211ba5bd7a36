# SPDX-License-Identifier: Apache-2.0
"""What it costs to review a change to 10,000 and to 100,000 devices: the command as a forge's runner calls it.

The repository is real. Ten gateways have committed the status of a tenth of the fleet each, some devices are silent,
and half of the devices are on serial lines. The change gives all of them another model. The processor time includes
the command's child processes; it depends less than the elapsed time on what else the machine does.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.plan import API, DEVICES_A_FILE, GATEWAYS, KINDS, Repository, files, rollout_over_all
from reconciler.model import (
    Blocked,
    BlockedReason,
    Commit,
    DeviceId,
    Digest,
    NoChange,
    ObservedDevice,
    Phase,
    RolloutId,
)
from reconciler.report.conditions import Condition, Status
from reconciler.report.device_status import DeviceFacts, PassStamp, device_status
from reconciler.report.gateway_status import GatewayStatus
from reconciler.report.status_files import device_file, gateway_file

SIZES = (10_000, 100_000)
RUNS = 3  # of each size; the median counts
COMMENT_LIMIT = 65_536  # GitHub's
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DEVICES_A_LINE = 200  # a serial line has 247 addresses
SILENT_ONE_IN = 50
CALL = "from reconciler.cli import main; main()"  # what the installed command does


def devices_file(first: int, size: int) -> tuple[str, str]:
    """Describe some devices, every second on a serial line."""
    documents = []
    lines = -(-size // GATEWAYS // 2 // DEVICES_A_LINE)
    for number in range(first, min(first + DEVICES_A_FILE, size)):
        within = number // GATEWAYS
        port, address = within // 2 % lines, within // 2 // lines + 1
        serial = f"serial: {{port: /dev/ttyUSB{port}, baud: 9600, address: {address}}}"
        documents.append(
            f"{API}\nkind: Device\nmetadata:\n  name: dev-{number:06}\n"
            f"  labels: {{site: site-{number % GATEWAYS}, line: l{number % 100}, machine: pump}}\n"
            f"spec:\n  type: kind{number % KINDS}\n  link: {{{serial if within % 2 else 'mqtt: {}'}}}\n"
        )
    return f"devices/{first // DEVICES_A_FILE:05}.yaml", "---\n".join(documents)


def fleet(size: int) -> Iterator[tuple[str, str]]:
    """Yield the fleet of `bench/plan.py`, with other devices."""
    yield from (file for file in files(size) if not file[0].startswith("devices/"))
    for first in range(0, size, DEVICES_A_FILE):
        yield devices_file(first, size)


def status(gateway: int, size: int, commit: Commit) -> Iterator[tuple[str, bytes]]:
    """Yield the files of one gateway's status branch."""
    good = Condition("Ready", Status.TRUE, "Ready", "The gateway enforces the newest commit.", NOON, commit)
    yield "gateway.yaml", gateway_file(GatewayStatus(f"gw{gateway}", commit, (good,)))
    stamp = PassStamp(NOON, commit)
    for number in range(gateway, size, GATEWAYS):
        name = DeviceId(f"dev-{number:06}")
        action: NoChange | Blocked = NoChange(name, "runs vibration@1.0.0, as rollout all wants")
        if number % SILENT_ONE_IN == 0:
            action = Blocked(
                name, RolloutId("all"), BlockedReason.SILENT, f"not reporting since {NOON:%Y-%m-%d %H:%M:%S UTC}"
            )
        seen = ObservedDevice(NOON, Phase.CONFIRMED, Digest(f"{number % KINDS:032x}"), sequence=number)
        made = device_status(DeviceFacts(action, seen, "vibration@1.0.0"), stamp, None)
        yield f"devices/{name}.yaml", device_file(made)


def commit_status(repository: Repository, gateway: int, size: int, commit: Commit) -> None:
    """Commit a status branch, as its gateway does."""
    parts = [b"commit refs/heads/status/gw%d\n" % gateway, b"committer g <g@example.org> 1700000100 +0000\n"]
    parts.append(b"data 6\nStatus\n")
    for path, data in status(gateway, size, commit):
        parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository.path, input=b"".join(parts), check=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command: what it printed, and what it used."""

    comment: str
    elapsed_s: float
    cpu_s: float  # with its child processes
    rss_mib: float  # of the largest process


def review(arguments: list[str]) -> Run:
    """Run the command once."""
    begin = time.perf_counter()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        comment = process.stdout.read() if process.stdout is not None else ""
        _, code, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode != 0:
        raise SystemExit(f"the command failed with {process.returncode}")
    return Run(comment, time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(size: int) -> Run:
    """Create the repository, run the command, and return the median of each figure."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder) / "fleet.git")
        base = repository.commit(fleet(size))
        head = repository.commit(iter([("rollouts/all.yaml", rollout_over_all("1.1.0"))]))
        for gateway in range(GATEWAYS):
            commit_status(repository, gateway, size, base)
        command = [sys.executable, "-c", CALL, "plan", str(repository.path)]
        runs = [review([*command, "--base", base, "--head", head, "--output", "markdown"]) for _ in range(RUNS)]
    comment = runs[0].comment
    print(next(line for line in comment.splitlines() if "affected" in line))
    if f"Status of {size:,} devices from {GATEWAYS} gateways" not in comment:
        raise SystemExit("expected: the review reads the status branches")
    if len(comment) > COMMENT_LIMIT:
        raise SystemExit(f"the comment is too long: {len(comment)} characters")
    return Run(
        comment,
        statistics.median(run.elapsed_s for run in runs),
        statistics.median(run.cpu_s for run in runs),
        max(run.rss_mib for run in runs),
    )


def main() -> None:
    """Measure both sizes and print the figures."""
    ten, hundred = map(measure, SIZES)
    print(f"plan_10k_pr_chars={len(ten.comment)}")
    print(f"plan_10k_pr_s={ten.elapsed_s:.2f}")
    print(f"plan_10k_pr_cpu_s={ten.cpu_s:.2f}")
    print(f"plan_100k_pr_s={hundred.elapsed_s:.2f}")
    print(f"plan_100k_pr_cpu_s={hundred.cpu_s:.2f}")
    print(f"plan_100k_pr_rss_mib={hundred.rss_mib:.0f}")


if __name__ == "__main__":
    main()
