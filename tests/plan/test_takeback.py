# SPDX-License-Identifier: Apache-2.0
"""The way back of one device: which of the ways is the cheapest, and where there is none."""

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
from reconciler.plan.device.goal import gather
from reconciler.plan.device.rollback import RollbackAction, rollback_action
from reconciler.plan.revision import revision_of
from tests.plan.fleets import BUILT, ESP32, EVERYWHERE, OTHER, V1, V2, artifact, device, digest_of, fleet, observe, seen
from tests.plan.fleets import told as capabilities_of

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
NEITHER = digest_of(OTHER, ESP32.name)
DESIRED = fleet([device(1)], [replace(EVERYWHERE, on_failure=OnFailure.ROLL_BACK)])
PLAIN = replace(DESIRED, types={ESP32.name: replace(ESP32, prebaked=())})
WISH = revision_of(DESIRED, EVERYWHERE.name)
UNMADE = replace(capabilities_of(ESP32), prebaked=())  # a device that was made with no model
NAME = device(1).name


def back(
    report: ObservedDevice, *built: Artifact, failed: tuple[Digest, ...] = (), desired: Desired = DESIRED
) -> RollbackAction | None:
    pair = (EVERYWHERE.name, ESP32.name)
    goal = gather(desired, observe({}, *(built or BUILT)), [pair])[pair]
    return rollback_action(goal, NAME, report, frozenset(failed))


def test_what_it_ran_before_comes_first_then_what_its_other_slot_holds() -> None:
    before = Before(WISH, OLD, {"threshold": 0.3})
    found = back(
        seen(WANTED, other_slot=NEITHER, before=before, capabilities=UNMADE), *BUILT, artifact(OTHER, ESP32.name)
    )
    assert isinstance(found, Install)
    assert (found.model, found.origin, found.parameters) == (V1, Origin.ARTIFACT, {"threshold": 0.3})
    lost = back(
        seen(WANTED, other_slot=NEITHER, before=before, capabilities=UNMADE),
        *BUILT,
        artifact(OTHER, ESP32.name),
        failed=(OLD,),
    )
    assert isinstance(lost, Install)
    assert (lost.model, lost.origin) == (OTHER, Origin.OTHER_SLOT)


def test_what_no_artifact_is_known_of_can_not_be_named() -> None:
    unknown = Before(WISH, Digest("f" * 64), {})
    assert back(seen(WANTED, before=unknown, capabilities=UNMADE)) is None


def test_what_is_no_longer_in_git_is_not_transferred_again() -> None:
    gone = replace(DESIRED, models={ref: each for ref, each in DESIRED.models.items() if ref != V1})
    before = Before(WISH, OLD, {})
    assert back(seen(WANTED, before=before, capabilities=UNMADE), desired=gone) is None
    held = back(seen(WANTED, before=before, other_slot=OLD, capabilities=UNMADE), desired=gone)
    assert isinstance(held, Install)
    assert held.origin is Origin.OTHER_SLOT


def test_where_nothing_is_known_a_pre_baked_model_stands_in() -> None:
    found = back(seen(WANTED))
    assert isinstance(found, ActivatePrebaked)
    assert found.model == V1
    assert "nothing is known of what it ran before" in found.why
    assert back(seen(WANTED), failed=(OLD,)) is None
    assert back(seen(WANTED, capabilities=UNMADE)) is None
    assert back(seen(WANTED), desired=PLAIN) is None


def test_who_never_had_the_model_or_runs_something_third_is_left_alone() -> None:
    assert back(seen(OLD)) is None
    assert back(seen(OLD, before=Before(WISH, WANTED, {}))) is None


def test_parameters_go_back_where_this_rollout_changed_them() -> None:
    now = seen(WANTED, parameters={"threshold": 0.5})
    found = back(replace(now, before=Before(WISH, WANTED, {"threshold": 0.4})))
    assert isinstance(found, Configure)
    assert found.parameters == {"threshold": 0.4}
    assert back(replace(now, before=Before(WISH, WANTED, {"threshold": 0.5}))) is None
    assert back(replace(now, before=Before("another revision", WANTED, {"threshold": 0.4}))) is None


def test_what_was_never_built_or_is_only_stopped_has_no_way_back() -> None:
    assert back(seen(OLD), artifact(V1, ESP32.name)) is None
    stopping = replace(DESIRED, rollouts={EVERYWHERE.name: EVERYWHERE})
    assert back(seen(WANTED, other_slot=OLD), desired=stopping) is None
