# SPDX-License-Identifier: Apache-2.0
"""Scenes of a contest: from alarms to a better model. Every figure is read from the running system."""

from __future__ import annotations

from demo.contest_fleet import (
    BROKEN,
    CONTEST,
    FALSE_POSITIVES,
    FIRST,
    FOREST,
    LEARNED,
    NEW,
    PUMPS,
    ROWS,
    SECOND,
    STARTER,
    WORN_IN,
    ContestContext,
    branch,
)
from demo.world import GATEWAY

WINDOWS = FALSE_POSITIVES + 4
WORN_IN_SEED = 40
BROKEN_WINDOWS = 6
TABLE = "    "  # the lines of the table in the message of a proposal


def new_pumps_are_quiet(context: ContestContext) -> None:
    """A forest that was trained on new pumps runs on two pumps, and is quiet."""
    context.wait("both pumps to run the forest", lambda: _all_run(context, FIRST))
    context.observe(f"status/{GATEWAY}: both pumps run {FOREST}@{FIRST}, sent over one line")
    context.wait("the models on the gateway to be built", lambda: _condition(context, "Voting")["status"] == "True")
    context.observe(f"contest {CONTEST}: {_condition(context, 'Voting')['message']}")
    alarms = sum(context.pumps.feel(pump, 20 + number, 12, NEW) for number, pump in enumerate(PUMPS))
    context.require("new pumps raise few alarms", alarms <= 2)  # noqa: PLR2004 - of 24
    context.observe(f"12 windows of each sensor: {alarms} of 24 are anomalous")


def worn_in_pumps_raise_false_alarms(context: ContestContext) -> None:
    """The pumps have worn in. They are rougher, but healthy, and the forest raises false alarms."""
    alarms = _feel_worn_in(context)
    context.require("the forest raises false alarms", alarms >= 2 * FALSE_POSITIVES)
    context.observe(f"{WINDOWS} windows of each sensor: {alarms} of {2 * WINDOWS} are anomalous to {FOREST}@{FIRST}")
    context.wait("the gateway to see it", lambda: _condition(context, "ChampionSound")["status"] == "False")
    context.observe(f"contest {CONTEST}: {_condition(context, 'ChampionSound')['message']}")


def a_proposal_appears(context: ContestContext) -> None:
    """The gateway proposes another forest: a signed commit that changes one line, with its reasons."""
    commit = context.wait("the proposal", context.proposal)
    run, remote = context.world.run, context.world.remote
    _show_message(context, branch(), commit)
    changed = run("git", "diff", "--unified=0", f"{commit}^", commit, cwd=remote).splitlines()
    lines = [line for line in changed if line[:1] in "+-" and line[:3] not in {"+++", "---"}]
    context.require("the commit changes one line", len(lines) == 2)  # noqa: PLR2004 - the old one and the new one
    for line in lines:
        context.narrator.line(f"      {line}")
    context.wait("the status", lambda: _condition(context, "Proposed")["reason"] == "Open")
    context.require("nothing is enforced yet", context.world.enforced() == run_head(context))
    context.observe(f"main is still at {run_head(context)[:10]}, and the pumps run {FOREST}@{FIRST}")


def a_person_merges_it(context: ContestContext) -> None:
    """A person merges it. The ordinary rollout delivers the forest, and the false alarms stop."""
    before = _feel_worn_in(context)
    world = context.world
    world.run("git", "fetch", "-q", "origin", cwd=world.work)
    world.run("git", "merge", "-q", "--no-ff", "-m", "Take the better forest", f"origin/{branch()}", cwd=world.work)
    commit = world.push()
    context.narrator.action(f"git merge origin/{branch()}, git push: {commit[:10]}")
    context.wait("both pumps to run the successor", lambda: _all_run(context, SECOND))
    context.observe(f"status/{GATEWAY}: both pumps run {FOREST}@{SECOND}")
    context.wait("the branch to be deleted", lambda: not context.proposal())
    context.observe(f"the gateway has deleted {branch()}")
    after = _feel_worn_in(context)
    context.require("the false alarms stop", after <= before / 5)
    context.observe(f"the same windows as before: {after} of {2 * WINDOWS} are anomalous, instead of {before}")
    found = sum(context.pumps.feel(pump, 60, WINDOWS, BROKEN) for pump in PUMPS)
    context.require("a failing pump is still found", found == 2 * WINDOWS)
    context.observe(f"and of {2 * WINDOWS} windows of a failing bearing, {found} are")


def a_pump_teaches_itself(context: ContestContext) -> None:
    """Without anyone's data: a pump grows a forest from its own windows, and the gateway proposes it for all."""
    world, pump = context.world, PUMPS[0]
    context.commit("Have the pumps learn, from the forest of new pumps", context.pumps.learning_files())
    context.wait("both pumps to collect rows", lambda: all(_learns(context, each, "CollectingRows") for each in PUMPS))
    context.observe(f"{pump}, condition Learning: {context.condition(pump, 'Learning')['message']}")
    before = context.pumps.feel(pump, WORN_IN_SEED, ROWS, WORN_IN)
    context.wait(f"{pump} to grow a forest", lambda: _learns(context, pump, "ForestGrown"))
    context.observe(f"{pump}, condition Learning: {context.condition(pump, 'Learning')['message']}")
    after = context.pumps.feel(pump, WORN_IN_SEED, ROWS, WORN_IN)
    context.require("its own forest raises fewer false alarms", after <= before / 5)
    context.observe(f"{ROWS} windows: {before} were anomalous to {FOREST}@{STARTER}, and {after} are to its own forest")
    found = context.pumps.feel(pump, 60, BROKEN_WINDOWS, BROKEN)
    context.require("it finds a failing bearing", found == BROKEN_WINDOWS)
    context.observe(f"and of {BROKEN_WINDOWS} windows of a failing bearing, {found} are")
    commit = context.wait("the gateway to grow the same forest and propose it", lambda: context.proposal(LEARNED))
    context.wait("the status", lambda: _condition(context, "LocalForests")["reason"] == "LocalForestProposed")
    context.observe(f"contest {CONTEST}: {_condition(context, 'LocalForests')['message']}")
    _show_message(context, branch(LEARNED), commit)
    added = world.run("git", "diff", "--name-only", f"{commit}^", commit, cwd=world.remote).split()
    context.observe(f"it adds {', '.join(path.rpartition('/')[2] for path in added)}, and no window of the pump")
    context.require("it was not merged", world.enforced() == run_head(context))


def run_head(context: ContestContext) -> str:
    """Return the head of the main branch."""
    return context.world.run("git", "rev-parse", "main", cwd=context.world.remote).strip()


def _show_message(context: ContestContext, name: str, commit: str) -> None:
    message = context.world.run("git", "show", "--no-patch", "--format=%B", commit, cwd=context.world.remote)
    context.observe(f"branch {name}: {commit[:10]} {message.splitlines()[0]}")
    for line in message.splitlines():
        if line.startswith(TABLE):
            context.narrator.line(f"  {line}")


def _learns(context: ContestContext, pump: str, reason: str) -> bool:
    return context.ready(pump, f"{FOREST}@{STARTER}") and context.condition(pump, "Learning").get("reason") == reason


def _feel_worn_in(context: ContestContext) -> int:
    return sum(context.pumps.feel(pump, WORN_IN_SEED + n, WINDOWS, WORN_IN) for n, pump in enumerate(PUMPS))


def _all_run(context: ContestContext, version: str) -> bool:
    return all(context.ready(pump, f"{FOREST}@{version}") for pump in PUMPS)


def _condition(context: ContestContext, kind: str) -> dict[str, str]:
    missing = {"status": "Unknown", "reason": "", "message": ""}
    if context.world.status_file(f"contests/{CONTEST}.yaml") is None:
        return missing
    found = [each for each in context.contest()["conditions"] if each["type"] == kind]
    return dict(found[0]) if found else missing
