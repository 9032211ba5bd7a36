# SPDX-License-Identifier: Apache-2.0
"""From desired and observed state to actions, as a pure function (docs/plan.md).

`plan` is the definition, written as plainly as possible. A `Planner` gives the same answers from memory: an
unchanged pass costs nothing, and a small change costs little.
"""

from reconciler.plan.incremental_planner import Planner
from reconciler.plan.reference import DetailedPlan, detailed_plan, plan
from reconciler.plan.rollout.memory import remember

__all__ = ["DetailedPlan", "Planner", "detailed_plan", "plan", "remember"]
