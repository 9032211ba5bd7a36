# SPDX-License-Identifier: Apache-2.0
"""A fleet in a real repository with status branches, and changes to it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from reconciler.cli import cli
from reconciler.model import (
    Action,
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

API = "apiVersion: tinyfleet/v1alpha1"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday
AT = NOON.isoformat()
SHA = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of no bytes


def fleet_files(*, devices: int = 12, rollout: str = "", **texts: str) -> dict[str, str]:
    """Describe a hall of pumps: two on MQTT for each on a line of 2400 baud."""
    documents = []
    for number in range(devices):
        on_line = f"serial: {{port: /dev/ttyS0, baud: 2400, address: {number + 1}}}"
        documents.append(
            f"{API}\nkind: Device\nmetadata:\n  name: pump-{number:02}\n  labels: {{site: hall, place: p{number}}}\n"
            f"spec:\n  type: board\n  link: {{{on_line if number % 3 == 0 else 'mqtt: {}'}}}\n"
        )
    files = {
        "fleet.yaml": f"{API}\nkind: Fleet\nmetadata: {{name: works}}\nspec: {{silentAfter: 15m}}\n",
        "gateway.yaml": f"{API}\nkind: Gateway\nmetadata: {{name: hall}}\nspec:\n  selector: {{}}\n",
        "type.yaml": (
            f"{API}\nkind: DeviceType\nmetadata: {{name: board}}\nspec:\n  architecture: cortex-m4\n"
            "  slotBytes: 8192\n  arenaBytes: 1024\n  operators: [TREE_ENSEMBLE]\n"
            '  prebaked: [{name: wear, version: "1"}]\n'
        ),
        "empty.bin": "",
        "models.yaml": "---\n".join(model(version) for version in ("1", "2")),
        "rollout.yaml": rollout_document("1", rollout),
        "devices.yaml": "---\n".join(documents),
    }
    return {**files, **{name.replace("__", "."): text for name, text in texts.items()}}


def model(version: str, *, slot: int = 2400, threshold: float = 0.5) -> str:
    return (
        f'{API}\nkind: Model\nmetadata: {{name: wear}}\nspec:\n  version: "{version}"\n'
        f"  source: {{path: empty.bin, sha256: {SHA}}}\n"
        f"  needs: {{operators: [TREE_ENSEMBLE], slotBytes: {slot}, arenaBytes: 512}}\n"
        f"  gates: [{{metric: auc, atLeast: 0.9}}]\n  parameters: {{threshold: {threshold}}}\n"
    )


def rollout_document(version: str, more: str = "") -> str:
    return (
        f'{API}\nkind: Rollout\nmetadata: {{name: wear}}\nspec:\n  model: {{name: wear, version: "{version}"}}\n'
        f"  selector: {{}}\n{more}"
    )


CAREFUL = (
    "  waves: [{name: canary, count: 1, soak: 1h}, {name: half, percent: 50, soak: 1h}]\n"
    "  gates: [{metric: faults, atMost: 0}]\n"
)


@dataclass
class FleetHistory:
    """A working tree with commits, and gateways that commit their status to branches."""

    path: Path
    clock: int = field(default=1_795_000_000)

    def git(self, *arguments: str, data: bytes | None = None) -> str:
        self.clock += 1
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_DATE": f"{self.clock} +0000",
            "GIT_COMMITTER_DATE": f"{self.clock} +0000",
        }
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        command = ["git", "-C", str(self.path), *identity, *arguments]
        done = subprocess.run(command, env=env, input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str], message: str = "change") -> Commit:
        for name, text in files.items():
            (self.path / name).write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return Commit(self.git("rev-parse", "HEAD"))

    def status(self, files: dict[str, bytes], gateway: str = "hall") -> None:
        """Commit the status of a gateway on top of its last one."""
        self.clock += 1
        ref = f"refs/heads/status/{gateway}"
        parts = [f"commit {ref}\n".encode(), f"committer g <g@example.org> {self.clock} +0000\n".encode()]
        parts.append(b"data 6\nStatus\n")
        if ref in self.git("for-each-ref", "--format=%(refname)").splitlines():
            parts.append(f"from {ref}^0\n".encode())
        for path, data in files.items():
            parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        self.git("fast-import", "--quiet", data=b"".join(parts))


def fleet_history(folder: Path) -> FleetHistory:
    made = FleetHistory(folder / "fleet")
    made.path.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    return made


def gateway_status_files(commit: str, name: str = "hall") -> dict[str, bytes]:
    good = Condition("Ready", Status.TRUE, "Ready", "The gateway enforces the newest commit.", NOON, commit)
    return {"gateway.yaml": gateway_file(GatewayStatus(name, commit, (good,)))}


def device_status_file(
    name: str, commit: str, *, action: Action | None = None, model: str = "wear@1", threshold: float = 0.5
) -> dict[str, bytes]:
    """Write the status of a device that runs the desired model, unless another action is given."""
    does = action or NoChange(DeviceId(name), "runs wear@1, as rollout wear wants")
    digest = Digest(f"{abs(hash(model)) % 2**64:032x}")
    seen = ObservedDevice(NOON, Phase.CONFIRMED, digest, sequence=3, parameters={"threshold": threshold})
    return {
        f"devices/{name}.yaml": device_file(
            device_status(DeviceFacts(does, seen, model), PassStamp(NOON, commit), None)
        )
    }


def silent(name: str) -> Blocked:
    why = f"not reporting since {NOON:%Y-%m-%d %H:%M:%S UTC}"
    return Blocked(DeviceId(name), RolloutId("wear"), BlockedReason.SILENT, why)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)])


def reviewed(history: FleetHistory, base: str, head: str, *more: str | Path) -> dict[str, Any]:
    result = run("plan", history.path, "--base", base, "--head", head, "--at", AT, "--output", "json", *more)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def commented(history: FleetHistory, base: str, head: str) -> str:
    result = run("plan", history.path, "--base", base, "--head", head, "--at", AT, "--output", "markdown")
    assert result.exit_code == 0, result.output
    return result.stdout
