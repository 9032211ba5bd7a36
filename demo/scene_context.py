# SPDX-License-Identifier: Apache-2.0
"""What a scene works with: the narrator, ways to act and to observe the running system, and the fleet of the demo."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from demo.demo_fleet import DemoFleet
from demo.narrator import Narrator
from demo.world import GATEWAY, TINYFLEET, NotObservedError, Running, World

WITHIN_S = 240.0  # generous: for slow machines
ENDED = re.compile(r"(\w+) \((\d+) blocks sent, (\d+) resent\)")


@dataclass(frozen=True)
class DeliveryResult:
    """How a delivery ended, and how many blocks were sent."""

    outcome: str
    sent: int
    repeated: int


@dataclass
class StoryContext:
    """The processes and the repository of a story, the narrator, and ways to wait, act and observe."""

    world: World
    narrator: Narrator
    gateway_process: Running

    # ------------------------------------------------------------ waiting

    def wait(self, event: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        """Wait until a condition holds and return what it found."""
        with self.narrator.waiting(event):
            return self.world.wait_for(event, condition, within_s=WITHIN_S)

    def watch(self, progress: str, done: Callable[[], int], total: int) -> None:
        """Wait until everything is done, and show the progress."""
        with self.narrator.bar(progress, total) as advance:

            def complete() -> bool:
                now = min(done(), total)
                advance(now)
                return now == total

            self.world.wait_for(progress, complete, within_s=WITHIN_S)

    @staticmethod
    def require(statement: str, holds: object) -> None:
        """End the demo if a statement does not hold."""
        if not holds:
            raise NotObservedError(f"this must hold, but does not: {statement}")

    # ------------------------------------------------------------ actions of a person

    def commit(self, message: str, files: Mapping[str, bytes], *, signed: bool = True) -> str:
        """Commit and push."""
        commit = self.world.commit(message, files, signed=signed)
        self.narrator.action(f"git commit{'' if signed else ' --no-gpg-sign'}, git push: {commit[:10]} {message}")
        return commit

    def revert(self) -> str:
        """Revert the last commit with a new one."""
        self.world.run("git", "revert", "--no-edit", "HEAD", cwd=self.world.work)
        commit = self.world.push()
        self.narrator.action(f"git revert HEAD, git push: {commit[:10]}")
        return commit

    def drop_last_commit(self) -> None:
        """Remove the last commit from the history."""
        self.world.run("git", "reset", "-q", "--hard", "HEAD~1", cwd=self.world.work)
        self.world.push(force=True)
        self.narrator.action("git reset --hard HEAD~1, git push --force")

    def observe(self, text: str) -> None:
        """Report an observation."""
        self.narrator.observe(text)

    # ------------------------------------------------------------ observations

    def runs(self, device: str, model: str) -> bool:
        """Return whether the status branch shows that a device runs this model, ready or not."""
        return bool(self.world.device_status(device).get("model") == model)

    def ready(self, device: str, model: str) -> bool:
        """Return whether the status branch shows that a device runs this model and is ready."""
        status = self.world.device_status(device)
        return status.get("model") == model and status["conditions"][0]["status"] == "True"

    def condition(self, device: str, kind: str) -> dict[str, Any]:
        """Return a condition of a device from the status branch; empty if there is none yet."""
        found = self.world.device_status(device).get("conditions", [])
        return next((each for each in found if each["type"] == kind), {})

    def rollout(self, name: str, commit: str | None = None) -> dict[str, Any]:
        """Return the status of a rollout, from the head of the status branch or from one of its commits."""
        path = f"rollouts/{name}.yaml"
        text = self.world.status_file(path) if commit is None else self.world.file_at(commit, path)
        status: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return status

    def gateway(self) -> dict[str, dict[str, Any]]:
        """Return the conditions of the gateway from the status branch, by type."""
        text = self.world.status_file("gateway.yaml")
        status = yaml.load(text, yaml.CSafeLoader)["status"] if text else {"conditions": []}
        return {each["type"]: each for each in status["conditions"]}

    def query(self, *arguments: str) -> Any:  # noqa: ANN401 - any JSON value
        """Run a tinyfleet command on the gateway, and return its JSON output."""
        options = ("--config", self.world.folder / "gateway.toml", "--output", "json")
        return json.loads(self.world.run(TINYFLEET, *arguments, *options))

    def device_at(self, commit: str, device: str) -> dict[str, Any]:
        """Return the status of a device in one commit of the status branch."""
        text = self.world.file_at(commit, f"devices/{device}.yaml")
        status: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return status

    def deliveries(self, device: str) -> list[DeliveryResult]:
        """Read the results of the deliveries to a device from the log of the daemon."""
        lines = (line for line in self.gateway_process.log.splitlines() if device in line)
        return [
            DeliveryResult(found[1], int(found[2]), int(found[3])) for line in lines if (found := ENDED.search(line))
        ]

    def status_commits(self, since: str) -> list[str]:
        """List the commits of the status branch after one, oldest first."""
        command = ("rev-list", "--reverse", f"{since}..status/{GATEWAY}")
        return self.world.run("git", "--git-dir", self.world.remote, *command).split()


@dataclass
class SceneContext(StoryContext):
    """The same, with the fleet of the demo."""

    fleet: DemoFleet

    def metric(self, name: str, **labels: str) -> float:
        """Sum a metric of the daemon over all labels except the given ones."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.fleet.http_port}/metrics", timeout=10) as response:
            text = response.read().decode()
        samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())
