# SPDX-License-Identifier: Apache-2.0
"""The scenes of rollouts. Whatever is told of the system was read from it; what is not observed ends the demo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.models import BETTER, BORN_WITH, MISTAKEN, MODEL, NIGHT, QUIET
from demo.plant import CANARY, DEVICES, MILLS, PRESS, ROLLED_OUT_TO, SEALED
from demo.stage import Stage
from demo.world import GATEWAY

ALL = len(ROLLED_OUT_TO)


def beginning(stage: Stage) -> None:
    """All devices run what they were made with."""
    stage.watch(
        "devices that have reported and are where Git wants them", lambda: ready_with(stage, BORN_WITH.version), ALL
    )
    version = f"{MODEL}@{BORN_WITH.version}"
    stage.fact(f"branch status/{GATEWAY}: {ALL} devices run {version}, which they were made with")


def rollout_wave_by_wave(stage: Stage) -> None:
    """A rollout is merged and confirmed wave by wave, on a dozen virtual devices and a Cortex-M4."""
    before = stage.world.status_commit() or ""
    files = {**stage.plant.version(BETTER), **stage.plant.fleet_rollout(BETTER)}
    stage.commit(f"An isolation forest of {BETTER.trees} trees for everyone", files)
    stage.watch(f"devices that confirmed {MODEL}@{BETTER.version}", lambda: ready_with(stage, BETTER.version), ALL)
    stage.wait("the rollout complete", lambda: stage.rollout("fleet").get("complete"))
    _tell_waves(stage, before)
    told = stage.asked("rollout", "show", "fleet")
    stage.require("`tinyfleet rollout show` says complete", told["state"] == "complete")
    stage.fact(f"tinyfleet rollout show fleet: {told['state']}, {told['done']} of {told['devices']} devices")
    runs = stage.plant.device_says(MILLS[-1])
    stage.fact(f"{MILLS[-1]} itself, asked beside the system: runs {runs['running'][:12]}, sequence {runs['sequence']}")


def bad_model_taken_back(stage: Stage) -> None:
    """A model that was trained on the wrong data stops at the canary and is taken back."""
    before, sequences = stage.world.status_commit() or "", _sequences(stage)
    files = {**stage.plant.version(MISTAKEN), **stage.plant.fleet_rollout(MISTAKEN)}
    commit = stage.commit("A forest that was trained on a mill that stood still", files)
    stage.wait(
        "the rollout taken back", lambda: _rollout_condition(stage, "WithinBudget").get("reason") == "RolledBack"
    )
    stage.wait(f"{CANARY} back on {BETTER.version}", lambda: stage.runs(CANARY, f"{MODEL}@{BETTER.version}"))
    stage.require("the status is about this commit", stage.world.enforced() == commit)
    _tell_ran(stage, before)
    stage.fact(f"rollout fleet: RolledBack: {_rollout_condition(stage, 'WithinBudget')['message']}")
    stage.wait(f"{CANARY} quarantined", lambda: stage.condition(CANARY, "UpToDate").get("reason") == "Quarantined")
    stage.fact(f"{CANARY}: Quarantined: {stage.condition(CANARY, 'UpToDate')['message']}")
    (why,) = stage.asked("status", CANARY)["devices"][0]["quarantined"].values()
    stage.fact(f"tinyfleet status {CANARY}: quarantined, because {why}")
    stage.fact(f"tinyfleet explain {CANARY}: next: {'; '.join(stage.asked('explain', CANARY)['next'])}")
    stage.wait(f"{PRESS} held", lambda: stage.condition(PRESS, "UpToDate").get("reason") == "HeldRolledBack")
    stage.fact(f"{PRESS}: HeldRolledBack: {stage.condition(PRESS, 'UpToDate')['message']}")
    now = _sequences(stage)
    moved = [device for device in sequences if now[device] != sequences[device]]
    stage.require("no device but the canary obeyed any order", moved == [CANARY])
    stage.fact(f"the other {ALL - 1} devices have obeyed no order since: their sequences are what they were")
    reverted = stage.revert()
    stage.watch("devices where Git wants them", lambda: ready_with(stage, BETTER.version), ALL)
    stage.wait("the revert enforced", lambda: stage.world.enforced() == reverted)
    stage.require("nobody had to be told anything", _sequences(stage) == now)
    stage.fact(f"status/{GATEWAY} at {reverted[:10]}: all run {MODEL}@{BETTER.version}; nobody had to be told anything")


def sealed_device(stage: Stage) -> None:
    """A device that can't be updated over the air is served by its pre-baked models."""
    fits = stage.condition(SEALED, "Fits")
    stage.require("the status says why it has no new model", fits.get("reason") == "NeedsProvisioning")
    stage.fact(f"{SEALED}: NeedsProvisioning: {fits['message']}")
    stage.require("it runs what it was made with", stage.runs(SEALED, f"{MODEL}@{BORN_WITH.version}"))
    stage.fact(f"{SEALED} runs {MODEL}@{BORN_WITH.version}, from the flash that no update touches")
    stage.commit(f"{SEALED} shall do its night duty", stage.plant.own_rollout("sealed", "sealed-sensor", QUIET))
    night = f"{NIGHT}@{QUIET.version}"
    stage.wait(f"{SEALED} on {night}", lambda: stage.ready(SEALED, night))
    ended = stage.transfers(SEALED)[-1]
    stage.require("no block travelled", ended.sent == 0)
    stage.fact(f"{SEALED} runs {night}: a signed envelope was enough, {ended.sent} blocks of model travelled")


def status_branch(stage: Stage) -> None:
    """The status branch, as a forge shows it."""
    readme = stage.world.status_file("README.md")
    stage.require("the status branch has a README", readme)
    stage.teller.page(f"status/{GATEWAY}:README.md", readme or "")
    git = ("git", "--git-dir", stage.world.remote)
    log = stage.world.run(*git, "log", "--format=%h %s", "--max-count=5", f"status/{GATEWAY}").splitlines()
    for line in log:
        stage.fact(line)
    stage.wait("all devices ready in the metrics", lambda: _devices_in_metrics(stage) == len(DEVICES))
    confirmed = stage.metric("tinyfleet_updates_total", outcome="confirmed")
    stage.fact(f"/metrics: {len(DEVICES)} devices ready, {confirmed:.0f} updates confirmed")


def _devices_in_metrics(stage: Stage) -> float:
    return stage.metric("tinyfleet_devices", reason="Ready")


def ready_with(stage: Stage, version: str) -> int:
    """Count the devices that the status ref calls ready with this version."""
    return sum(stage.ready(device, f"{MODEL}@{version}") for device in ROLLED_OUT_TO)


def _sequences(stage: Stage) -> Mapping[str, int]:
    """Ask the devices behind the broker themselves; of the press the status tells."""
    said = {device: int(stage.plant.device_says(device)["sequence"]) for device in MILLS}
    return {**said, PRESS: stage.world.device_status(PRESS)["sequence"]}


def _rollout_condition(stage: Stage, kind: str) -> dict[str, Any]:
    found = stage.rollout("fleet").get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


def _tell_waves(stage: Stage, since: str) -> None:
    """Read from the history of the status ref that no wave began before the one before it was done."""
    model, told, waves = f"{MODEL}@{BETTER.version}", 0, []
    for commit in stage.status_commits(since):
        status = stage.rollout("fleet", commit)
        if status.get("model") != model:
            continue
        waves = status["waves"]
        done = [wave["done"] == wave["devices"] for wave in waves]
        for at, wave in enumerate(waves[1:], start=1):
            stage.require(
                f"{wave['name']} waits for {waves[at - 1]['name']}",
                all(done[:at]) or not (wave["done"] or wave["atRisk"]),
            )
        while told < len(waves) and all(done[: told + 1]):
            wave = waves[told]
            stage.fact(
                f"status commit {commit[:10]}: wave {told + 1} ({wave['name']}): "
                f"{wave['done']} of {wave['devices']} done"
            )
            told += 1
    stage.require("each wave was seen done", told == len(waves) > 0)


def _tell_ran(stage: Stage, since: str) -> None:
    """Read from the history of the status ref that nobody but the canary ran the bad model."""
    bad = f"{MODEL}@{MISTAKEN.version}"
    others = [device for device in ROLLED_OUT_TO if device != CANARY]
    commits = stage.status_commits(since)
    ran = {device for commit in commits for device in others if stage.device_at(commit, device).get("model") == bad}
    stage.require("nobody but the canary ran it", not ran)
    stage.fact(f"{len(commits)} status commits since: {bad} ran on none of the other {len(others)} devices")
