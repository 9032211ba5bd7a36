# SPDX-License-Identifier: Apache-2.0
"""From wanted and observed state to actions; pure. docs/plan.md tells how a plan is reasoned.

`plan` is the definition. A `Planner` gives the same answers and remembers, so that an unchanged pass
costs nothing and a small change costs little.
"""

from reconciler.plan.planner import Planner
from reconciler.plan.reference import DetailedPlan, detailed_plan, plan
from reconciler.plan.rollout.memory import remember

__all__ = ["Planner", "DetailedPlan", "plan", "detailed_plan", "remember"]
