# SPDX-License-Identifier: Apache-2.0
"""Scenes of rollouts. Every observation is read from the running system; one that fails ends the demo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.demo_fleet import CANARY, DEVICES, MILLS, PRESS, ROLLED_OUT_TO, SEALED
from demo.models import BAD, BETTER, MODEL, NIGHT_MODEL, NIGHT_NAME, PREBAKED
from demo.scene_context import SceneContext
from demo.world import GATEWAY

ALL = len(ROLLED_OUT_TO)


def initial_state(context: SceneContext) -> None:
    """All devices run their pre-baked model."""
    context.watch("devices that have reported and are ready", lambda: ready_with(context, PREBAKED.version), ALL)
    version = f"{MODEL}@{PREBAKED.version}"
    context.observe(f"branch status/{GATEWAY}: {ALL} devices run {version}, their pre-baked model")


def rollout_in_waves(context: SceneContext) -> None:
    """A merged rollout is confirmed wave by wave, on eleven virtual devices and a Cortex-M4."""
    before = context.world.status_commit() or ""
    files = {**context.fleet.version(BETTER), **context.fleet.fleet_rollout(BETTER)}
    context.commit(f"Roll out an isolation forest of {BETTER.trees} trees", files)
    context.watch(f"devices that confirmed {MODEL}@{BETTER.version}", lambda: ready_with(context, BETTER.version), ALL)
    context.wait("the rollout to complete", lambda: context.rollout("fleet").get("complete"))
    _check_waves(context, before)
    shown = context.query("rollout", "show", "fleet")
    context.require("`tinyfleet rollout show` shows the state complete", shown["state"] == "complete")
    context.observe(f"tinyfleet rollout show fleet: {shown['state']}, {shown['done']} of {shown['devices']} devices")
    runs = context.fleet.device_state(MILLS[-1])
    context.observe(f"{MILLS[-1]}, asked directly: runs {runs['running'][:12]}, sequence {runs['sequence']}")


def bad_model_rolled_back(context: SceneContext) -> None:
    """A model that was trained on the wrong data stops at the canary and is rolled back."""
    before, sequences = context.world.status_commit() or "", _sequences(context)
    files = {**context.fleet.version(BAD), **context.fleet.fleet_rollout(BAD)}
    commit = context.commit("Roll out a forest that was trained on a standing mill", files)
    context.wait(
        "the rollout to be rolled back",
        lambda: _rollout_condition(context, "WithinBudget").get("reason") == "RolledBack",
    )
    context.wait(f"{CANARY} to return to {BETTER.version}", lambda: context.runs(CANARY, f"{MODEL}@{BETTER.version}"))
    context.require("the status is that of this commit", context.world.enforced() == commit)
    _check_only_canary_ran(context, before)
    context.observe(f"rollout fleet: RolledBack: {_rollout_condition(context, 'WithinBudget')['message']}")
    context.wait(
        f"{CANARY} to be quarantined", lambda: context.condition(CANARY, "UpToDate").get("reason") == "Quarantined"
    )
    context.observe(f"{CANARY}: Quarantined: {context.condition(CANARY, 'UpToDate')['message']}")
    (why,) = context.query("status", CANARY)["devices"][0]["quarantined"].values()
    context.observe(f"tinyfleet status {CANARY}: quarantined: {why}")
    context.observe(f"tinyfleet explain {CANARY}: next: {'; '.join(context.query('explain', CANARY)['next'])}")
    context.wait(f"{PRESS} to be held", lambda: context.condition(PRESS, "UpToDate").get("reason") == "HeldRolledBack")
    context.observe(f"{PRESS}: HeldRolledBack: {context.condition(PRESS, 'UpToDate')['message']}")
    now = _sequences(context)
    moved = [device for device in sequences if now[device] != sequences[device]]
    context.require("no device except the canary received an order", moved == [CANARY])
    context.observe(f"the other {ALL - 1} devices received no order: their sequences have not changed")
    reverted = context.revert()
    context.watch("devices that are ready", lambda: ready_with(context, BETTER.version), ALL)
    context.wait("the revert to be enforced", lambda: context.world.enforced() == reverted)
    context.require("no device received an order", _sequences(context) == now)
    context.observe(f"status/{GATEWAY} at {reverted[:10]}: all run {MODEL}@{BETTER.version}, without a further order")


def device_without_updates(context: SceneContext) -> None:
    """A device without over-the-air updates uses its pre-baked models."""
    fits = context.condition(SEALED, "Fits")
    context.require("the status shows why it has no new model", fits.get("reason") == "NeedsProvisioning")
    context.observe(f"{SEALED}: NeedsProvisioning: {fits['message']}")
    context.require("it runs its pre-baked model", context.runs(SEALED, f"{MODEL}@{PREBAKED.version}"))
    context.observe(f"{SEALED} runs {MODEL}@{PREBAKED.version}, from flash that no update changes")
    context.commit(
        f"Switch {SEALED} to the night model", context.fleet.own_rollout("sealed", "sealed-sensor", NIGHT_MODEL)
    )
    night = f"{NIGHT_NAME}@{NIGHT_MODEL.version}"
    context.wait(f"{SEALED} to run {night}", lambda: context.ready(SEALED, night))
    result = context.deliveries(SEALED)[-1]
    context.require("no block was sent", result.sent == 0)
    context.observe(f"{SEALED} runs {night}: a signed envelope was enough, {result.sent} blocks were sent")


def status_branch(context: SceneContext) -> None:
    """The status branch, as a forge shows it."""
    readme = context.world.status_file("README.md")
    context.require("the status branch has a README", readme)
    context.narrator.page(f"status/{GATEWAY}:README.md", readme or "")
    git = ("git", "--git-dir", context.world.remote)
    log = context.world.run(*git, "log", "--format=%h %s", "--max-count=5", f"status/{GATEWAY}").splitlines()
    for line in log:
        context.observe(line)
    context.wait("the metrics to show all devices ready", lambda: _devices_in_metrics(context) == len(DEVICES))
    confirmed = context.metric("tinyfleet_updates_total", outcome="confirmed")
    context.observe(f"/metrics: {len(DEVICES)} devices ready, {confirmed:.0f} updates confirmed")


def _devices_in_metrics(context: SceneContext) -> float:
    return context.metric("tinyfleet_devices", reason="Ready")


def ready_with(context: SceneContext, version: str) -> int:
    """Count the devices that the status branch shows ready with this version."""
    return sum(context.ready(device, f"{MODEL}@{version}") for device in ROLLED_OUT_TO)


def _sequences(context: SceneContext) -> Mapping[str, int]:
    """Ask the virtual devices directly; for the press, use the status."""
    sequences = {device: int(context.fleet.device_state(device)["sequence"]) for device in MILLS}
    return {**sequences, PRESS: context.world.device_status(PRESS)["sequence"]}


def _rollout_condition(context: SceneContext, kind: str) -> dict[str, Any]:
    found = context.rollout("fleet").get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


def _check_waves(context: SceneContext, since: str) -> None:
    """Check in the history of the status branch that each wave started after the one before was done."""
    model, reported, waves = f"{MODEL}@{BETTER.version}", 0, []
    for commit in context.status_commits(since):
        status = context.rollout("fleet", commit)
        if status.get("model") != model:
            continue
        waves = status["waves"]
        done = [wave["done"] == wave["devices"] for wave in waves]
        for at, wave in enumerate(waves[1:], start=1):
            context.require(
                f"{wave['name']} waits for {waves[at - 1]['name']}",
                all(done[:at]) or not (wave["done"] or wave["atRisk"]),
            )
        while reported < len(waves) and all(done[: reported + 1]):
            wave = waves[reported]
            context.observe(
                f"status commit {commit[:10]}: wave {reported + 1} ({wave['name']}): "
                f"{wave['done']} of {wave['devices']} done"
            )
            reported += 1
    context.require("each wave was observed as done", reported == len(waves) > 0)


def _check_only_canary_ran(context: SceneContext, since: str) -> None:
    """Check in the history of the status branch that only the canary ran the bad model."""
    bad = f"{MODEL}@{BAD.version}"
    others = [device for device in ROLLED_OUT_TO if device != CANARY]
    commits = context.status_commits(since)
    ran = {device for commit in commits for device in others if context.device_at(commit, device).get("model") == bad}
    context.require("only the canary ran it", not ran)
    context.observe(f"{len(commits)} status commits since then: {bad} ran on none of the other {len(others)} devices")
