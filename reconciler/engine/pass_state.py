# SPDX-License-Identifier: Apache-2.0
"""The values of one pass: what its steps hand on, and what its caller gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.engine.desired.desired_state import DesiredState
from reconciler.engine.desired.gateway_scope import GatewayScope
from reconciler.model import Action, Observed


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass found and planned."""

    number: int
    desired_state: DesiredState
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class PassState:
    """What the steps of a pass hand on: each returns it with what it adds."""

    scope: GatewayScope
    now: datetime
    observed: Observed = field(default_factory=Observed)
    actions: tuple[Action, ...] = ()  # for the devices that this gateway serves


Step = Callable[[PassState], PassState]
