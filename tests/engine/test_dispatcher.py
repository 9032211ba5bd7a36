# SPDX-License-Identifier: Apache-2.0
"""Which deliveries a plan starts, and which it cancels."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.engine.state.writer import StateWriter
from reconciler.model import Action, Blocked, BlockedReason, NoChange, Origin, RolloutId
from tests.engine.one_device import DEVICE, INSTALL, OneDevice
from tests.plan.example_fleet import EVERYWHERE, V1


def test_actions_that_send_nothing_start_no_delivery(state: StateWriter) -> None:
    one = OneDevice(state)
    build = replace(INSTALL, origin=Origin.BUILD)
    assert one.run(build, NoChange(DEVICE, "runs it"), Blocked(DEVICE, None, BlockedReason.SILENT, "silent")) == []
    assert one.session.jobs == []


@pytest.mark.parametrize(
    ("actions", "owner", "continues"),
    [
        ((INSTALL,), EVERYWHERE.name, True),
        ((INSTALL,), RolloutId("another"), False),
        ((replace(INSTALL, model=V1),), EVERYWHERE.name, False),
        ((), EVERYWHERE.name, False),  # the gateway no longer serves the device
    ],
)
def test_a_delivery_that_is_no_longer_wanted_is_cancelled(
    state: StateWriter, actions: tuple[Action, ...], owner: RolloutId, *, continues: bool
) -> None:
    one = OneDevice(state)

    async def deliver() -> bool:
        one.dispatcher.cancel_obsolete(one.desired, actions, {DEVICE: owner})  # nothing is in progress yet
        one.dispatcher.start(one.desired, (INSTALL,), now_s=0.0)
        while not one.session.jobs:  # noqa: ASYNC110 - the session shows that the delivery is in progress
            await asyncio.sleep(0)
        one.dispatcher.cancel_obsolete(one.desired, actions, {DEVICE: owner})
        if not continues:
            while one.deliveries.running:  # noqa: ASYNC110 - as a pass does
                await asyncio.sleep(0)
        in_progress = DEVICE in one.deliveries.running
        await one.deliveries.stop()
        return in_progress

    assert asyncio.run(deliver()) == continues
    assert one.done == []  # a cancelled delivery has not failed
