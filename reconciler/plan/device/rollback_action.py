# SPDX-License-Identifier: Apache-2.0
"""How a device returns to what it ran before its rollout changed it: in the cheapest way available."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import ActivatePrebaked, Before, Configure, Install, OnFailure, Origin, ShortDigest, short_digest
from reconciler.plan.device.case import Case
from reconciler.plan.device.fallback_action import best_prebaked
from reconciler.plan.device.rollout_goal import FormerModel

RollbackAction = Install | ActivatePrebaked | Configure


def rollback_action(case: Case) -> RollbackAction | None:
    """Choose how to roll the device back; None if it never changed, is back already, or has nothing to return to."""
    goal, seen = case.goal, case.seen
    if goal.rollout.on_failure is not OnFailure.ROLL_BACK or goal.pack is None:
        return None
    running = short_digest(seen.running)
    if seen.before is not None and running == short_digest(seen.before.running):
        return _restore_parameters(case, seen.before)
    if running != goal.pack:
        return None
    failed = {short_digest(digest) for digest in case.failed}
    for digest in _candidates(case):
        if digest not in failed and (found := _return_to(case, digest)) is not None:
            return found
    return _return_to_prebaked(case)


def _restore_parameters(case: Case, before: Before) -> RollbackAction | None:
    """Restore the parameters; a device that this revision never changed has none to restore."""
    if before.revision != case.goal.revision or before.running is None or before.parameters == case.seen.parameters:
        return None
    return Configure(case.device, case.goal.rollout.name, before.parameters, "rolls back to its earlier parameters")


def _candidates(case: Case) -> Iterator[ShortDigest]:
    """Yield what the device ran before and, in case that is unknown, what its other slot holds."""
    before = case.seen.before
    for digest in (short_digest(before.running if before else None), short_digest(case.seen.other_slot)):
        if digest is not None and digest != case.goal.pack:
            yield digest


def _return_to(case: Case, digest: ShortDigest) -> RollbackAction | None:
    goal, seen = case.goal, case.seen
    former = goal.former_models.get(digest)
    if former is None:
        return None  # no artifact has this digest, so no order can name it
    why = f"rolls back to {former.model}"
    prebaked = seen.capabilities.prebaked if seen.capabilities else ()
    if digest in map(short_digest, prebaked):
        message = f"{why}, which it was provisioned with"
        return ActivatePrebaked(case.device, goal.rollout.name, former.model, former.parameters, message)
    if digest == short_digest(seen.other_slot):
        return _install(case, former, Origin.OTHER_SLOT, f"{why}, which is still in its other slot")
    if former.in_git:
        return _install(case, former, Origin.ARTIFACT, f"{why}, which is transferred again")
    return None


def _install(case: Case, former: FormerModel, origin: Origin, why: str) -> Install:
    parameters = former.parameters if case.seen.before is None else case.seen.before.parameters
    return Install(case.device, case.goal.rollout.name, former.model, origin, parameters, why)


def _return_to_prebaked(case: Case) -> RollbackAction | None:
    best = best_prebaked(case.goal.prebaked, case.seen, case.failed)
    if best is None:
        return None
    why = f"rolls back to the pre-baked {best.model}: it is not known what the device ran before"
    return ActivatePrebaked(case.device, case.goal.rollout.name, best.model, best.parameters, why)
