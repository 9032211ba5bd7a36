# SPDX-License-Identifier: Apache-2.0
"""Which devices a gateway serves, and which others it looks at because their rollouts go on together."""

from __future__ import annotations

from dataclasses import replace

from reconciler.engine.desired.gateway_scope import Scope
from reconciler.model import Desired, Device, DeviceId, Gateway, GatewayId, Rollout, RolloutId, Selector
from tests.plan.fleets import OTHER, V1, device, fleet

NORTH = GatewayId("north")
GATEWAYS = tuple(Gateway(GatewayId(name), Selector(match_labels={"at": name})) for name in ("north", "south"))


def wanting(name: str, kind: str, **more: object) -> Rollout:
    rollout = Rollout(RolloutId(name), V1 if kind == "pump" else OTHER, Selector(match_labels={"make": kind}))
    return replace(rollout, **more)  # type: ignore[arg-type]  # the fields' types are checked by who uses them


def at(number: int, gateway: str, kind: str) -> Device:
    return device(number, at=gateway, make=kind)


def ids(*numbers: int) -> set[DeviceId]:
    return {device(number).name for number in numbers}


DEVICES = (at(1, "north", "pump"), at(2, "south", "pump"), at(3, "south", "fan"), at(4, "nowhere", "pump"))
PLANT = fleet(DEVICES, [wanting("pumps", "pump"), wanting("fans", "fan")], gateways=GATEWAYS)


def test_alone_it_looks_at_its_own_devices() -> None:
    scoped = Scope(NORTH).of(PLANT)
    assert scoped is not None
    assert set(scoped.desired.devices) == ids(1)
    assert scoped.planned is scoped.desired
    assert scoped.others == frozenset()
    assert scoped.owners == {DeviceId("d001"): "pumps"}


def test_together_it_looks_at_all_devices_of_its_rollouts_wherever_they_are() -> None:
    scoped = Scope(NORTH, together=True).of(PLANT)
    assert scoped is not None
    assert set(scoped.desired.devices) == ids(1)
    assert set(scoped.planned.devices) == ids(1, 2, 4)
    assert scoped.others == ids(2, 4)


def test_together_it_looks_at_what_its_rollouts_wait_for_however_far() -> None:
    rollouts = [
        wanting("pumps", "pump", depends_on=(RolloutId("fans"),)),
        wanting("fans", "fan", depends_on=(RolloutId("lamps"),)),
        wanting("lamps", "lamp"),
        wanting("doors", "door"),
    ]
    devices = [*DEVICES, at(5, "south", "lamp"), at(6, "south", "door")]
    scoped = Scope(NORTH, together=True).of(fleet(devices, rollouts, gateways=GATEWAYS))
    assert scoped is not None
    assert set(scoped.planned.devices) == ids(1, 2, 3, 4, 5)


def test_rollouts_that_wait_for_each_other_end_the_search() -> None:
    """Loading refuses them; should they ever get here, looking for others must end."""
    rollouts = [
        wanting("pumps", "pump", depends_on=(RolloutId("fans"),)),
        wanting("fans", "fan", depends_on=(RolloutId("pumps"),)),
    ]
    scoped = Scope(NORTH, together=True).of(fleet(DEVICES, rollouts, gateways=GATEWAYS))
    assert scoped is not None
    assert set(scoped.planned.devices) == ids(1, 2, 3, 4)


def test_where_no_other_is_concerned_nothing_is_added() -> None:
    only = fleet([at(1, "north", "pump"), at(3, "south", "fan")], PLANT.rollouts.values(), gateways=GATEWAYS)
    scoped = Scope(NORTH, together=True).of(only)
    assert scoped is not None
    assert scoped.planned is scoped.desired


def test_a_device_that_no_rollout_wants_is_served_and_has_no_owner() -> None:
    scoped = Scope(NORTH, together=True).of(fleet([at(1, "north", "door")], PLANT.rollouts.values(), gateways=GATEWAYS))
    assert scoped is not None
    assert set(scoped.desired.devices) == ids(1)
    assert scoped.owners == {}


def test_the_same_commit_is_news_once() -> None:
    scope = Scope(NORTH)
    first, second, third = (scope.of(PLANT) for _ in range(3))
    assert first is not None
    assert second is not None
    assert (first.news, second.news) == (True, False)
    assert third is second
    other: Desired = replace(PLANT)
    again = scope.of(other)
    assert again is not None
    assert again.news


def test_a_gateway_that_git_does_not_know_has_nothing() -> None:
    scope = Scope(GatewayId("west"), together=True)
    assert scope.of(PLANT) is None
    assert scope.of(PLANT) is None
