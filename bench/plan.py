# SPDX-License-Identifier: Apache-2.0
"""The cost of planning, from commit to actions, on real bare repositories of 1,000, 10,000 and 100,000 devices.

Each size runs in its own process, through the steps of the daemon: the files of a commit (`CommitTree`),
loading with its cache on disk, and the planner. A one-file change is measured twice, once for the label of
a device and once for the model version of a rollout; the slower of the two counts.
"""

from __future__ import annotations

import gc
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedGit
from reconciler.load import CheckCache, load
from reconciler.model import (
    Action,
    Artifact,
    Capabilities,
    Commit,
    Desired,
    Digest,
    Hold,
    Install,
    NoChange,
    Observed,
    ObservedDevice,
    Phase,
)
from reconciler.plan import Planner

SIZES = (1_000, 10_000, 100_000)
DEVICES_A_FILE = 80
GATEWAYS = 10
KINDS = 4
SPECIAL = 3  # rollouts over a part of the fleet, besides the one over all of it
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UNCHANGED_PASSES = 20
SETTLED = timedelta(days=3)
PAYLOAD = b"stands for a model of a few kilobytes\n" * 40
API = "apiVersion: tinyfleet/v1alpha1"


def files(size: int) -> Iterator[tuple[str, str]]:
    """Yield the files of a realistic fleet."""
    yield "fleet.yaml", f"{API}\nkind: Fleet\nmetadata: {{name: bench}}\nspec: {{reportEvery: 5m, silentAfter: 15m}}\n"
    for number in range(GATEWAYS):
        yield (
            f"gateways/gw{number}.yaml",
            (
                f"{API}\nkind: Gateway\nmetadata: {{name: gw{number}}}\n"
                f"spec:\n  selector: {{matchLabels: {{site: site-{number}}}}}\n  limits: {{transfers: 8}}\n"
            ),
        )
    for number in range(KINDS):
        yield (
            f"types/kind{number}.yaml",
            (
                f"{API}\nkind: DeviceType\nmetadata: {{name: kind{number}}}\nspec:\n  architecture: xtensa-lx7\n"
                "  slotBytes: 65536\n  arenaBytes: 32768\n  operators: [CONV_2D, FULLY_CONNECTED, SOFTMAX, ADD]\n"
            ),
        )
    yield "models/model.tflite", PAYLOAD.decode()
    yield "models/model.yaml", "---\n".join(model(version) for version in ("1.0.0", "1.1.0"))
    yield "rollouts/all.yaml", rollout_over_all("1.0.0")
    for number in range(SPECIAL):
        yield (
            f"rollouts/special{number}.yaml",
            (
                f"{API}\nkind: Rollout\nmetadata: {{name: special{number}}}\nspec:\n"
                f'  model: {{name: vibration, version: "1.0.0"}}\n  priority: {number + 1}\n'
                f"  selector: {{matchLabels: {{line: l{number}}}}}\n"
            ),
        )
    for first in range(0, size, DEVICES_A_FILE):
        yield devices_file(first, size)


def model(version: str) -> str:
    """Describe one version of the model."""
    return (
        f'{API}\nkind: Model\nmetadata: {{name: vibration}}\nspec:\n  version: "{version}"\n'
        f"  source: {{path: models/model.tflite, sha256: {hashlib.sha256(PAYLOAD).hexdigest()}}}\n"
        "  needs: {operators: [CONV_2D, SOFTMAX], slotBytes: 4096, arenaBytes: 8192}\n  parameters: {threshold: 0.5}\n"
    )


def rollout_over_all(version: str) -> str:
    """Describe the rollout over all devices except those of the special rollouts."""
    return (
        f'{API}\nkind: Rollout\nmetadata: {{name: all}}\nspec:\n  model: {{name: vibration, version: "{version}"}}\n'
        "  selector: {}\n  failureBudget: {percent: 5}\n  waves:\n    - {name: canary, count: 5, soak: 1h}\n"
        "    - {name: tenth, percent: 10, soak: 1h}\n"
    )


def devices_file(first: int, size: int, *, machine: str = "pump") -> tuple[str, str]:
    """Describe some devices; `machine` is the first one's label."""
    documents = []
    for number in range(first, min(first + DEVICES_A_FILE, size)):
        what = machine if number == first else "pump"
        documents.append(
            f"{API}\nkind: Device\nmetadata:\n  name: dev-{number:06}\n"
            f"  labels: {{site: site-{number % GATEWAYS}, line: l{number % 100}, machine: {what}}}\n"
            f"spec:\n  type: kind{number % KINDS}\n  link: {{mqtt: {{}}}}\n"
        )
    return f"devices/{first // DEVICES_A_FILE:05}.yaml", "---\n".join(documents)


class Repository:
    """A bare repository, written by `git fast-import`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], check=True)
        self._commits = 0

    def commit(self, changed: Iterator[tuple[str, str]]) -> Commit:
        """Commit files on top of the last commit."""
        self._commits += 1
        message = b"fleet"
        parts = [
            b"commit refs/heads/main\n",
            f"committer b <b@example.org> {1_700_000_000 + self._commits} +0000\n".encode(),
        ]
        parts += [b"data %d\n%s\n" % (len(message), message)]
        parts += [b"from refs/heads/main^0\n"] if self._commits > 1 else []
        for path, text in changed:
            data = text.encode()
            parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        subprocess.run(["git", "fast-import", "--quiet"], cwd=self.path, input=b"".join(parts), check=True)
        named = subprocess.run(["git", "rev-parse", "main"], cwd=self.path, check=True, capture_output=True, text=True)
        return Commit(named.stdout.strip())


class Steps:
    """What a daemon keeps between passes, and how it gets from a commit to actions."""

    def __init__(self, repository: Repository, cache: CheckCache) -> None:
        self._git = ConfinedGit(repository.path)
        self._git.confine(repository.path)
        self._cache = cache
        self.planner = Planner()

    def load(self, commit: Commit) -> Desired:
        """Load a commit that is in the repository already, as after a fetch."""
        with CommitTree(self._git, commit) as tree:
            loaded = load(tree, commit=commit, cache=self._cache)
        if loaded.desired is None:
            raise SystemExit("\n".join(map(str, loaded.problems[:5])))
        return loaded.desired

    def actions(self, commit: Commit, observed: Observed) -> tuple[Action, ...]:
        """Go from a commit to the actions."""
        return self.planner.plan(self.load(commit), observed, NOW)


def observe(desired: Desired) -> Observed:
    """Return a state in which every device has reported and runs the version of the first commit."""
    artifacts = {
        (ref, kind): Artifact(
            ref, kind, Digest(hashlib.sha256(f"{ref}{kind}".encode()).hexdigest()), 4096, 8192, frozenset({"CONV_2D"})
        )
        for ref in desired.models
        for kind in desired.types
    }
    wanted = desired.rollouts[min(desired.rollouts)].model
    capabilities = {
        name: Capabilities(name, kind.pack_format, kind.operators, kind.slot_bytes, kind.arena_bytes)
        for name, kind in desired.types.items()
    }
    devices = {
        name: ObservedDevice(
            last_seen=NOW - timedelta(seconds=number % 300),
            phase=Phase.CONFIRMED,
            running=artifacts[wanted, device.type].digest,
            confirmed_since=NOW - SETTLED,
            sequence=1,
            parameters={"threshold": 0.5},
            capabilities=capabilities[device.type],
        )
        for number, (name, device) in enumerate(desired.devices.items())
    }
    return Observed(devices, artifacts)


def milliseconds(since: float) -> float:
    """Return the time since then in milliseconds."""
    return (time.perf_counter() - since) * 1000


def count(actions: tuple[Action, ...], kind: type[Action]) -> int:
    """Count the actions of one kind, to check that the plan is the expected one."""
    return sum(isinstance(action, kind) for action in actions)


def measure(size: int, folder: Path) -> Iterator[tuple[str, float]]:
    """Measure one size of fleet, step by step."""
    repository = Repository(folder / "fleet.git")
    first = repository.commit(files(size))
    relabelled = repository.commit(iter([devices_file(0, size, machine="fan")]))
    bumped = repository.commit(iter([("rollouts/all.yaml", rollout_over_all("1.1.0"))]))
    with CheckCache(folder / "cache.sqlite") as cache:
        steps = Steps(repository, cache)
        begin = time.perf_counter()
        actions = steps.actions(first, Observed())
        yield "cold_ms", milliseconds(begin)
        desired = steps.load(first)
        observed = observe(desired)
        begin = time.perf_counter()
        actions = steps.planner.plan(desired, observed, NOW)
        yield "allreported_ms", milliseconds(begin)
        check(count(actions, NoChange) == size, "the fleet is settled")
        gc.collect()
        yield from unchanged(steps, first, observed)
        yield from one_report(steps, desired, observed)
        begin = time.perf_counter()
        steps.actions(relabelled, observed)
        yield "device_ms", milliseconds(begin)
        begin = time.perf_counter()
        actions = steps.actions(bumped, observed)
        yield "rollout_ms", milliseconds(begin)
        check(count(actions, Install) == 5, "five canaries get the new version")  # noqa: PLR2004 (as in the rollout)
        check(count(actions, Hold) > size * 0.9, "the others wait for them")
    with CheckCache(folder / "cache.sqlite") as cache:
        begin = time.perf_counter()
        Steps(repository, cache).actions(bumped, observed)
        yield "restart_ms", milliseconds(begin)
    yield "rss_mib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def unchanged(steps: Steps, commit: Commit, observed: Observed) -> Iterator[tuple[str, float]]:
    """Time passes in which nothing changes; the slowest counts."""
    slowest = 0.0
    for _ in range(UNCHANGED_PASSES):
        begin = time.perf_counter()
        steps.actions(commit, observed)
        slowest = max(slowest, milliseconds(begin))
    yield "unchanged_ms", slowest


def one_report(steps: Steps, desired: Desired, observed: Observed) -> Iterator[tuple[str, float]]:
    """Time a pass after one device has reported."""
    name = next(iter(observed.devices))
    report = replace(observed.devices[name], last_seen=NOW)
    changed = replace(observed, devices={**observed.devices, name: report})
    begin = time.perf_counter()
    steps.planner.plan(desired, changed, NOW)
    yield "onereport_ms", milliseconds(begin)


def check(holds: bool, what: str) -> None:  # noqa: FBT001 (reads as a sentence where it is called)
    """Stop a bench that would measure something else than it claims."""
    if not holds:
        raise SystemExit(f"expected: {what}")


def main() -> None:
    """Run one size, or all of them and print the figures that have a limit."""
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            for name, value in measure(int(sys.argv[1]), Path(folder)):
                print(f"{name}={value:.2f}", flush=True)
        return
    found: dict[int, dict[str, float]] = {}
    for size in SIZES:
        child = subprocess.run([sys.executable, __file__, str(size)], check=True, stdout=subprocess.PIPE, text=True)
        found[size] = {name: float(value) for name, _, value in (line.partition("=") for line in child.stdout.split())}
        print(f"{size:>7,} devices: " + ", ".join(f"{name} {value:,.1f}" for name, value in found[size].items()))
    ten, hundred = found[10_000], found[100_000]
    print(f"cold_10k_s={ten['cold_ms'] / 1000:.2f}")
    print(f"onechange_10k_ms={max(ten['device_ms'], ten['rollout_ms']):.0f}")
    print(f"onechange_100k_ms={max(hundred['device_ms'], hundred['rollout_ms']):.0f}")
    print(f"unchanged_100k_ms={hundred['unchanged_ms']:.2f}")
    print(f"rss_100k_mib={hundred['rss_mib']:.0f}")


if __name__ == "__main__":
    main()
