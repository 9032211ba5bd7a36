# SPDX-License-Identifier: Apache-2.0
"""From a plan's actions to deliveries: which to start, and which to cancel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import assert_never

from reconciler.devices.conversation import Outcome
from reconciler.devices.link_session import LinkSession
from reconciler.engine.delivery.deliveries import Deliveries
from reconciler.engine.delivery.device_update import DeviceUpdate, DeviceUpdater
from reconciler.engine.delivery.still_wanted import UpdateAction, purpose_of, still_wanted
from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    Configure,
    Desired,
    DeviceId,
    Hold,
    Install,
    NoChange,
    Origin,
    RolloutId,
)


class Dispatcher:
    """Starts the deliveries that a plan asks for, and cancels those that it no longer wants."""

    def __init__(
        self, updater: DeviceUpdater, deliveries: Deliveries, session_of: Callable[[DeviceId], LinkSession | None]
    ) -> None:
        self._updater = updater
        self._deliveries = deliveries
        self._session_of = session_of

    def cancel_obsolete(
        self, desired: Desired, actions: Iterable[Action], owners: Mapping[DeviceId, RolloutId]
    ) -> None:
        """Cancel deliveries that are no longer wanted: a window closed, a rollout was suspended, Git changed."""
        in_progress = self._deliveries.purposes
        if not in_progress:
            return
        planned = {action.device: action for action in actions if action.device in in_progress}
        for device, purpose in in_progress.items():
            action = planned.get(device)
            if action is None:
                self._deliveries.cancel(device, "this gateway no longer serves the device")
            elif owners.get(device) != purpose.rollout:
                self._deliveries.cancel(device, f"rollout {purpose.rollout} no longer has the device")
            elif not still_wanted(purpose, action, desired):
                self._deliveries.cancel(device, action.why)

    def start(self, desired: Desired, actions: Iterable[Action], now_s: float) -> None:
        """Start every delivery that the plan asks for and that may start."""
        for action in actions:
            match action:
                case Install(origin=Origin.BUILD):
                    pass  # the artifact catalog builds it; a later plan has Origin.ARTIFACT
                case Install() | ActivatePrebaked() | Configure():
                    self._start_one(desired, action, now_s)
                case NoChange() | Hold() | Blocked():
                    pass
                case unexpected:
                    assert_never(unexpected)

    def _start_one(self, desired: Desired, action: UpdateAction, now_s: float) -> None:
        device = action.device
        session = self._session_of(device)
        if session is None or not self._deliveries.may_start(device, now_s):
            return
        update = DeviceUpdate(desired, action, session)
        if not self._updater.is_possible(update):
            return
        self._deliveries.start(device, action.why, purpose_of(action), self._work(update))

    def _work(self, update: DeviceUpdate) -> Callable[[], Awaitable[Outcome]]:
        return lambda: self._updater.run(update)
