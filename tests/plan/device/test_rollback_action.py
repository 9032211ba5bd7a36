# SPDX-License-Identifier: Apache-2.0
"""The rollback of one device: the cheapest way, and the cases without one."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model import (
    ActivatePrebaked,
    Artifact,
    Before,
    Configure,
    Desired,
    Digest,
    Install,
    ObservedDevice,
    OnFailure,
    Origin,
)
from reconciler.plan.device.case import Case
from reconciler.plan.device.rollback_action import RollbackAction, rollback_action
from reconciler.plan.device.rollout_goal import goal_for
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    OTHER,
    V1,
    V2,
    artifact,
    capabilities_of,
    device,
    digest_of,
    fleet,
    observe,
    seen,
)

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
NEITHER = digest_of(OTHER, ESP32.name)
DESIRED = fleet([device(1)], [replace(EVERYWHERE, on_failure=OnFailure.ROLL_BACK)])
PLAIN = replace(DESIRED, types={ESP32.name: replace(ESP32, prebaked=())})
REVISION = revision_of(DESIRED, EVERYWHERE.name)
WITHOUT_PREBAKED = replace(capabilities_of(ESP32), prebaked=())  # a device that was provisioned without a model
NAME = device(1).name


def rollback(
    report: ObservedDevice, *built: Artifact, failed: tuple[Digest, ...] = (), desired: Desired = DESIRED
) -> RollbackAction | None:
    goal = goal_for(desired, observe({}, *(built or BUILT)), EVERYWHERE.name, ESP32.name)
    return rollback_action(Case(goal, NAME, report, frozenset(failed), NOW))


def test_rollback_prefers_what_the_device_ran_before_then_its_other_slot() -> None:
    before = Before(REVISION, OLD, {"threshold": 0.3})
    found = rollback(
        seen(WANTED, other_slot=NEITHER, before=before, capabilities=WITHOUT_PREBAKED),
        *BUILT,
        artifact(OTHER, ESP32.name),
    )
    assert isinstance(found, Install)
    assert (found.model, found.origin, found.parameters) == (V1, Origin.ARTIFACT, {"threshold": 0.3})
    lost = rollback(
        seen(WANTED, other_slot=NEITHER, before=before, capabilities=WITHOUT_PREBAKED),
        *BUILT,
        artifact(OTHER, ESP32.name),
        failed=(OLD,),
    )
    assert isinstance(lost, Install)
    assert (lost.model, lost.origin) == (OTHER, Origin.OTHER_SLOT)


def test_a_former_model_without_artifact_cannot_be_restored() -> None:
    unknown = Before(REVISION, Digest("f" * 64), {})
    assert rollback(seen(WANTED, before=unknown, capabilities=WITHOUT_PREBAKED)) is None


def test_a_former_model_that_left_git_is_not_transferred_again() -> None:
    gone = replace(DESIRED, models={ref: each for ref, each in DESIRED.models.items() if ref != V1})
    before = Before(REVISION, OLD, {})
    assert rollback(seen(WANTED, before=before, capabilities=WITHOUT_PREBAKED), desired=gone) is None
    held = rollback(seen(WANTED, before=before, other_slot=OLD, capabilities=WITHOUT_PREBAKED), desired=gone)
    assert isinstance(held, Install)
    assert held.origin is Origin.OTHER_SLOT


def test_rollback_uses_a_pre_baked_model_if_the_former_is_unknown() -> None:
    found = rollback(seen(WANTED))
    assert isinstance(found, ActivatePrebaked)
    assert found.model == V1
    assert "it is not known what the device ran before" in found.why
    assert rollback(seen(WANTED), failed=(OLD,)) is None
    assert rollback(seen(WANTED, capabilities=WITHOUT_PREBAKED)) is None
    assert rollback(seen(WANTED), desired=PLAIN) is None


def test_a_device_that_does_not_run_the_model_is_not_rolled_back() -> None:
    assert rollback(seen(OLD)) is None
    assert rollback(seen(OLD, before=Before(REVISION, WANTED, {}))) is None


def test_parameters_roll_back_if_this_revision_changed_them() -> None:
    now = seen(WANTED, parameters={"threshold": 0.5})
    found = rollback(replace(now, before=Before(REVISION, WANTED, {"threshold": 0.4})))
    assert isinstance(found, Configure)
    assert found.parameters == {"threshold": 0.4}
    assert rollback(replace(now, before=Before(REVISION, WANTED, {"threshold": 0.5}))) is None
    assert rollback(replace(now, before=Before("another revision", WANTED, {"threshold": 0.4}))) is None


def test_no_rollback_without_artifact_or_with_on_failure_stop() -> None:
    assert rollback(seen(OLD), artifact(V1, ESP32.name)) is None
    stopping = replace(DESIRED, rollouts={EVERYWHERE.name: EVERYWHERE})
    assert rollback(seen(WANTED, other_slot=OLD), desired=stopping) is None
