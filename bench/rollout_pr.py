# SPDX-License-Identifier: Apache-2.0
"""The time to review a change to 10,000 devices: the command as a forge's runner calls it, on a real repository.

Ten gateways have committed a status of a thousand devices each, some of them silent; half of the devices are on
serial lines. The change gives all of them another model. The slowest of some runs counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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

SIZE = 10_000
RUNS = 3
COMMENT_LIMIT = 65_536  # GitHub's
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LINES = 5  # serial lines of each gateway
SILENT_ONE_IN = 50
CALL = "from reconciler.cli import main; main()"  # what the installed command does


def devices_file(first: int) -> tuple[str, str]:
    """Describe some devices, every second on a serial line."""
    documents = []
    for number in range(first, min(first + DEVICES_A_FILE, SIZE)):
        within = number // GATEWAYS
        port, address = within // 2 % LINES, within // 2 // LINES % 247 + 1
        serial = f"serial: {{port: /dev/ttyUSB{port}, baud: 9600, address: {address}}}"
        documents.append(
            f"{API}\nkind: Device\nmetadata:\n  name: dev-{number:06}\n"
            f"  labels: {{site: site-{number % GATEWAYS}, line: l{number % 100}, machine: pump}}\n"
            f"spec:\n  type: kind{number % KINDS}\n  link: {{{serial if within % 2 else 'mqtt: {}'}}}\n"
        )
    return f"devices/{first // DEVICES_A_FILE:05}.yaml", "---\n".join(documents)


def fleet() -> Iterator[tuple[str, str]]:
    """Yield the fleet of `bench/plan.py`, with other devices."""
    yield from (file for file in files(SIZE) if not file[0].startswith("devices/"))
    for first in range(0, SIZE, DEVICES_A_FILE):
        yield devices_file(first)


def status(gateway: int, commit: Commit) -> Iterator[tuple[str, bytes]]:
    """Yield the files of one gateway's status branch."""
    good = Condition("Ready", Status.TRUE, "Ready", "The gateway enforces the newest commit.", NOON, commit)
    yield "gateway.yaml", gateway_file(GatewayStatus(f"gw{gateway}", commit, (good,)))
    stamp = PassStamp(NOON, commit)
    for number in range(gateway, SIZE, GATEWAYS):
        name = DeviceId(f"dev-{number:06}")
        action: NoChange | Blocked = NoChange(name, "runs vibration@1.0.0, as rollout all wants")
        if number % SILENT_ONE_IN == 0:
            action = Blocked(
                name, RolloutId("all"), BlockedReason.SILENT, f"not reporting since {NOON:%Y-%m-%d %H:%M:%S UTC}"
            )
        seen = ObservedDevice(NOON, Phase.CONFIRMED, Digest(f"{number % KINDS:032x}"), sequence=number)
        made = device_status(DeviceFacts(action, seen, "vibration@1.0.0"), stamp, None)
        yield f"devices/{name}.yaml", device_file(made)


def commit_status(repository: Repository, gateway: int, commit: Commit) -> None:
    """Commit a status branch, as its gateway does."""
    parts = [b"commit refs/heads/status/gw%d\n" % gateway, b"committer g <g@example.org> 1700000100 +0000\n"]
    parts.append(b"data 6\nStatus\n")
    for path, data in status(gateway, commit):
        parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository.path, input=b"".join(parts), check=True)


def main() -> None:
    """Create the repository, run the command, print the time."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(Path(folder) / "fleet.git")
        base = repository.commit(fleet())
        head = repository.commit(iter([("rollouts/all.yaml", rollout_over_all("1.1.0"))]))
        for gateway in range(GATEWAYS):
            commit_status(repository, gateway, base)
        command = [sys.executable, "-c", CALL, "plan", str(repository.path)]
        arguments = [*command, "--base", base, "--head", head, "--output", "markdown"]
        slowest, comment = 0.0, ""
        for _ in range(RUNS):
            begin = time.perf_counter()
            comment = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
            slowest = max(slowest, time.perf_counter() - begin)
    touched = next(line for line in comment.splitlines() if "touched" in line)
    print(touched)
    if "Status of 10,000 devices by 10 gateways" not in comment:
        raise SystemExit("expected: the review reads the status branches")
    if len(comment) > COMMENT_LIMIT:
        raise SystemExit(f"the comment is too long: {len(comment)} characters")
    print(f"plan_10k_pr_chars={len(comment)}")
    print(f"plan_10k_pr_s={slowest:.2f}")


if __name__ == "__main__":
    main()
