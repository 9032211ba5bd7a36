# SPDX-License-Identifier: Apache-2.0
"""Which devices a gateway serves, and which of other gateways its plan considers because they share a rollout."""

from __future__ import annotations

from dataclasses import replace

from reconciler.engine.desired.gateway_scope import ScopeResolver
from reconciler.model import Desired, Device, DeviceId, Gateway, GatewayId, Rollout, RolloutId, Selector
from tests.plan.example_fleet import OTHER, V1, device, fleet

NORTH = GatewayId("north")
GATEWAYS = tuple(Gateway(GatewayId(name), Selector(match_labels={"at": name})) for name in ("north", "south"))


def rollout_of(name: str, kind: str, **more: object) -> Rollout:
    rollout = Rollout(RolloutId(name), V1 if kind == "pump" else OTHER, Selector(match_labels={"make": kind}))
    return replace(rollout, **more)  # type: ignore[arg-type]  # the tests pass the right types


def at(number: int, gateway: str, kind: str) -> Device:
    return device(number, at=gateway, make=kind)


def ids(*numbers: int) -> set[DeviceId]:
    return {device(number).name for number in numbers}


DEVICES = (at(1, "north", "pump"), at(2, "south", "pump"), at(3, "south", "fan"), at(4, "nowhere", "pump"))
PLANT = fleet(DEVICES, [rollout_of("pumps", "pump"), rollout_of("fans", "fan")], gateways=GATEWAYS)


def test_alone_a_gateway_considers_its_own_devices_only() -> None:
    scope = ScopeResolver(NORTH).resolve(PLANT)
    assert scope is not None
    assert set(scope.desired.devices) == ids(1)
    assert scope.planned is scope.desired
    assert scope.others == frozenset()
    assert scope.owners == {DeviceId("d001"): "pumps"}


def test_together_it_considers_all_devices_of_its_rollouts() -> None:
    scope = ScopeResolver(NORTH, together=True).resolve(PLANT)
    assert scope is not None
    assert set(scope.desired.devices) == ids(1)
    assert set(scope.planned.devices) == ids(1, 2, 4)
    assert scope.others == ids(2, 4)


def test_together_it_considers_the_rollouts_that_its_own_depend_on() -> None:
    rollouts = [
        rollout_of("pumps", "pump", depends_on=(RolloutId("fans"),)),
        rollout_of("fans", "fan", depends_on=(RolloutId("lamps"),)),
        rollout_of("lamps", "lamp"),
        rollout_of("doors", "door"),
    ]
    devices = [*DEVICES, at(5, "south", "lamp"), at(6, "south", "door")]
    scope = ScopeResolver(NORTH, together=True).resolve(fleet(devices, rollouts, gateways=GATEWAYS))
    assert scope is not None
    assert set(scope.planned.devices) == ids(1, 2, 3, 4, 5)


def test_a_dependency_cycle_ends_the_search() -> None:
    """Loading refuses cycles, but if one gets here, the search must end."""
    rollouts = [
        rollout_of("pumps", "pump", depends_on=(RolloutId("fans"),)),
        rollout_of("fans", "fan", depends_on=(RolloutId("pumps"),)),
    ]
    scope = ScopeResolver(NORTH, together=True).resolve(fleet(DEVICES, rollouts, gateways=GATEWAYS))
    assert scope is not None
    assert set(scope.planned.devices) == ids(1, 2, 3, 4)


def test_without_shared_rollouts_nothing_is_added() -> None:
    only = fleet([at(1, "north", "pump"), at(3, "south", "fan")], PLANT.rollouts.values(), gateways=GATEWAYS)
    scope = ScopeResolver(NORTH, together=True).resolve(only)
    assert scope is not None
    assert scope.planned is scope.desired


def test_a_device_without_a_rollout_is_served_and_has_no_owner() -> None:
    scope = ScopeResolver(NORTH, together=True).resolve(
        fleet([at(1, "north", "door")], PLANT.rollouts.values(), gateways=GATEWAYS)
    )
    assert scope is not None
    assert set(scope.desired.devices) == ids(1)
    assert scope.owners == {}


def test_the_same_commit_is_new_once() -> None:
    resolver = ScopeResolver(NORTH)
    first, second, third = (resolver.resolve(PLANT) for _ in range(3))
    assert first is not None
    assert second is not None
    assert (first.is_new, second.is_new) == (True, False)
    assert third is second
    other: Desired = replace(PLANT)
    again = resolver.resolve(other)
    assert again is not None
    assert again.is_new


def test_a_gateway_that_is_not_in_git_has_no_scope() -> None:
    resolver = ScopeResolver(GatewayId("west"), together=True)
    assert resolver.resolve(PLANT) is None
    assert resolver.resolve(PLANT) is None
