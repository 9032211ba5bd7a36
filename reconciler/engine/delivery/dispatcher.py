# SPDX-License-Identifier: Apache-2.0
"""From a plan's actions to deliveries: which to start, and which to cancel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
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
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.plan.revision import revision_of

MAX_STARTED = 2000  # deliveries on one link; most of them wait for the link's limits, and each has a task of some KiB


class Dispatcher:
    """Starts the deliveries that a plan asks for, and cancels those that it no longer wants."""

    def __init__(
        self, updater: DeviceUpdater, deliveries: Deliveries, session_of: Callable[[DeviceId], LinkSession | None]
    ) -> None:
        self._updater = updater
        self._deliveries = deliveries
        self._session_of = session_of
        self._updates: SnapshotCache[tuple[UpdateAction, ...]] = SnapshotCache()
        self._revisions: SnapshotCache[Mapping[RolloutId, str]] = SnapshotCache()
        self._checked: SnapshotCache[Mapping[DeviceId, RolloutId]] = SnapshotCache()

    def cancel_obsolete(
        self, desired: Desired, actions: tuple[Action, ...], owners: Mapping[DeviceId, RolloutId]
    ) -> None:
        """Cancel deliveries that are no longer wanted: a window closed, a rollout was suspended, Git changed."""
        if self._checked.get(desired, actions, owners) is not None:
            return  # all deliveries in progress were started for these very actions
        self._checked.put(owners, desired, actions, owners)
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

    def start(self, desired: Desired, actions: tuple[Action, ...], now_s: float) -> None:
        """Start the deliveries that the plan asks for and that may start, up to MAX_STARTED on each link."""
        updates = self._updates.get(actions)
        if updates is None:
            updates = self._updates.put(tuple(_updates(actions)), actions)
        if not updates:
            return
        started = Counter(self._session_of(device) for device in self._deliveries.running)
        for action in updates:
            session = self._session_of(action.device)
            if session is None or started[session] >= MAX_STARTED:
                continue
            if self._start_one(desired, action, session, now_s):
                started[session] += 1

    def _start_one(self, desired: Desired, action: UpdateAction, session: LinkSession, now_s: float) -> bool:
        if not self._deliveries.may_start(action.device, now_s):
            return False
        update = DeviceUpdate(desired, action, session, self._revisions_of(desired)[action.rollout])
        if not self._updater.is_possible(update):
            return False
        self._deliveries.start(action.device, action.why, purpose_of(action), self._work(update))
        return True

    def _revisions_of(self, desired: Desired) -> Mapping[RolloutId, str]:
        known = self._revisions.get(desired)
        if known is not None:
            return known
        return self._revisions.put({name: revision_of(desired, name) for name in desired.rollouts}, desired)

    def _work(self, update: DeviceUpdate) -> Callable[[], Awaitable[Outcome]]:
        return lambda: self._updater.run(update)


def _updates(actions: Iterable[Action]) -> Iterator[UpdateAction]:
    """Pick the actions that send something to a device."""
    for action in actions:
        match action:
            case Install(origin=Origin.BUILD):
                pass  # the artifact catalog builds it; a later plan has Origin.ARTIFACT
            case Install() | ActivatePrebaked() | Configure():
                yield action
            case NoChange() | Hold() | Blocked():
                pass
            case unexpected:
                assert_never(unexpected)
