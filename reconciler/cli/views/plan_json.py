# SPDX-License-Identifier: Apache-2.0
"""A plan as JSON."""

from __future__ import annotations

import json
from typing import Any

from reconciler.cli.views.plan_groups import PlanResult
from reconciler.model import Action, ActivatePrebaked, Blocked, Configure, Hold, Install, NoChange

ACTION_NAMES: dict[type[Action], str] = {
    Blocked: "blocked",
    Hold: "hold",
    Install: "install",
    ActivatePrebaked: "activate-prebaked",
    Configure: "configure",
    NoChange: "no-change",
}


def as_json(plan: PlanResult, *, every: bool) -> str:
    """Write a plan; without `every`, devices without a change are counted but not listed."""
    document = {
        "commit": plan.commit or None,
        "at": plan.at.isoformat(),
        "assumed": plan.assumed,
        "counts": counts(plan),
        "rollouts": [
            {
                "rollout": each.rollout,
                "model": each.model,
                "complete": each.complete,
                "summary": each.summary,
                "waves": dict(each.waves),
            }
            for each in plan.rollouts
        ],
        "actions": [action_fields(action) for action in plan.actions if every or not isinstance(action, NoChange)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def counts(plan: PlanResult) -> dict[str, int]:
    """Count the actions by name."""
    return {ACTION_NAMES[kind]: count for kind, count in plan.counts.items()}


def action_fields(action: Action) -> dict[str, Any]:
    """Return the fields of an action."""
    fields: dict[str, Any] = {
        "device": action.device,
        "action": ACTION_NAMES[type(action)],
        "message": action.why,
    }
    if not isinstance(action, NoChange):
        fields["rollout"] = action.rollout
    match action:
        case Install(model=model, origin=origin, parameters=parameters):
            fields |= {"model": str(model), "from": str(origin), "parameters": dict(parameters)}
        case ActivatePrebaked(model=model, parameters=parameters):
            fields |= {"model": str(model), "parameters": dict(parameters)}
        case Configure(parameters=parameters):
            fields |= {"parameters": dict(parameters)}
        case Hold(reason=reason):
            fields |= {"reason": str(reason)}
        case Blocked(reason=reason, short_by=short_by, also=also):
            fields |= {"reason": str(reason)}
            fields |= {"shortBy": short_by} if short_by else {}
            fields |= {"also": [str(other) for other in also]} if also else {}
        case NoChange():
            pass
    return fields
