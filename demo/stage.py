# SPDX-License-Identifier: Apache-2.0
"""Where scenes are played: the plant, whoever tells, and the ways to look at what runs."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from demo.plant import Plant
from demo.telling import Teller
from demo.world import GATEWAY, TINYFLEET, NotObservedError, Running, World

WITHIN_S = 240.0  # a machine may be slow; nothing here takes so long on one that works


ENDED = re.compile(r"(\w+) \((\d+) blocks sent, (\d+) resent\)")


@dataclass(frozen=True)
class Ended:
    """How an order ended, and how many blocks travelled for it."""

    how: str
    sent: int
    again: int


@dataclass
class Stage:
    """What a scene has in hand."""

    plant: Plant
    teller: Teller
    gateway_process: Running

    @property
    def world(self) -> World:
        """The processes and the repository."""
        return self.plant.world

    # ------------------------------------------------------------ waiting

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        """Wait until a condition holds and return what it found."""
        with self.teller.waiting(what):
            return self.world.wait_for(what, condition, within_s=WITHIN_S)

    def watch(self, what: str, done: Callable[[], int], total: int) -> None:
        """Wait until all of it is done, and show how far it is."""
        with self.teller.bar(what, total) as advance:

            def whole() -> bool:
                now = min(done(), total)
                advance(now)
                return now == total

            self.world.wait_for(what, whole, within_s=WITHIN_S)

    @staticmethod
    def require(what: str, holds: object) -> None:
        """End the demo if something is not as it must be."""
        if not holds:
            raise NotObservedError(f"this should be so, and is not: {what}")

    # ------------------------------------------------------------ what a person does

    def commit(self, message: str, files: Mapping[str, bytes], *, signed: bool = True) -> str:
        """Commit and push."""
        commit = self.world.commit(message, files, signed=signed)
        self.teller.act(f"git commit{'' if signed else ' --no-gpg-sign'}, git push: {commit[:10]} {message}")
        return commit

    def revert(self) -> str:
        """Take the last commit back with another one."""
        self.world.run("git", "revert", "--no-edit", "HEAD", cwd=self.world.work)
        commit = self.world.push()
        self.teller.act(f"git revert HEAD, git push: {commit[:10]}")
        return commit

    def drop_last_commit(self) -> None:
        """Take the last commit out of the history."""
        self.world.run("git", "reset", "-q", "--hard", "HEAD~1", cwd=self.world.work)
        self.world.push(force=True)
        self.teller.act("git reset --hard HEAD~1, git push --force")

    def fact(self, text: str) -> None:
        """Tell what was observed."""
        self.teller.fact(text)

    # ------------------------------------------------------------ looking

    def runs(self, device: str, model: str) -> bool:
        """Tell whether the status ref says that a device runs this model, ready or not."""
        return bool(self.world.device_status(device).get("model") == model)

    def ready(self, device: str, model: str) -> bool:
        """Tell whether the status ref says that a device runs this model and is ready."""
        status = self.world.device_status(device)
        return status.get("model") == model and status["conditions"][0]["status"] == "True"

    def condition(self, device: str, kind: str) -> dict[str, Any]:
        """Return one condition of a device from the status ref; empty if nothing yet."""
        found = self.world.device_status(device).get("conditions", [])
        return next((each for each in found if each["type"] == kind), {})

    def rollout(self, name: str, commit: str | None = None) -> dict[str, Any]:
        """Return a rollout's status, as it is or as a commit of the status ref had it."""
        path = f"rollouts/{name}.yaml"
        text = self.world.status_file(path) if commit is None else self.world.file_at(commit, path)
        status: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return status

    def gateway(self) -> dict[str, dict[str, Any]]:
        """Return the gateway's conditions from the status ref, by type."""
        text = self.world.status_file("gateway.yaml")
        status = yaml.load(text, yaml.CSafeLoader)["status"] if text else {"conditions": []}
        return {each["type"]: each for each in status["conditions"]}

    def asked(self, *words: str) -> Any:  # noqa: ANN401 - any JSON value
        """Ask the command, as an operator on the gateway would."""
        where = ("--config", self.world.folder / "gateway.toml", "--output", "json")
        return json.loads(self.world.run(TINYFLEET, *words, *where))

    def metric(self, name: str, **labels: str) -> float:
        """Add up a metric of the daemon over all labels but those given."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plant.http_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    def device_at(self, commit: str, device: str) -> dict[str, Any]:
        """Return what a commit of the status ref said of a device."""
        text = self.world.file_at(commit, f"devices/{device}.yaml")
        status: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)["status"] if text else {}
        return status

    def transfers(self, device: str) -> list[Ended]:
        """Read from the daemon's log how orders to a device ended."""
        lines = (line for line in self.gateway_process.log.splitlines() if device in line)
        return [Ended(found[1], int(found[2]), int(found[3])) for line in lines if (found := ENDED.search(line))]

    def status_commits(self, since: str) -> list[str]:
        """List the commits of the status ref after one, oldest first."""
        words = ("rev-list", "--reverse", f"{since}..status/{GATEWAY}")
        return self.world.run("git", "--git-dir", self.world.remote, *words).split()
