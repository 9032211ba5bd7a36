# SPDX-License-Identifier: Apache-2.0
"""A device is distrusted while its sequence is behind or its messages do not verify."""

from __future__ import annotations

from reconciler.engine.observed.identity_history import IdentityHistories
from reconciler.engine.observed.interpret import PackDefaults
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.trust import MAX_REFUSALS, TrustLedger
from reconciler.engine.state.writer import StateWriter
from reconciler.model import DeviceId, Hold, HoldReason, NoChange, ObservedDevice, Phase, RolloutId
from tests.engine.reports import NOON, PUMP, report

BOOT = 1 << 20
ON_HOLD = Hold(PUMP, RolloutId("r"), HoldReason.WAVE, "its wave")


def test_a_sequence_that_went_back_is_distrusted_until_the_device_is_up_to_date(inventory: Inventory) -> None:
    inventory.set_public_keys({PUMP: "aa" * 32})
    inventory.record_report(PUMP, report(5 * BOOT, sequence=7), NOON, asked=True)
    inventory.record_report(PUMP, report(6 * BOOT, sequence=2), NOON, asked=True)
    devices = inventory.observed(PackDefaults(), {}).devices
    distrust = inventory.trust.distrusted([ON_HOLD], devices)[PUMP]
    assert distrust.reason == "SequenceWentBack"
    assert "held sequence 7 and now holds 2" in distrust.message
    assert inventory.trust.distrusted([NoChange(PUMP, "up to date")], devices) == {}


def test_after_a_restart_only_devices_that_are_behind_are_looked_at(inventory: Inventory, state: StateWriter) -> None:
    for device, sequences in ((PUMP, (7, 2)), (DeviceId("pump-2"), (7, 8))):
        inventory.set_public_keys({PUMP: "aa" * 32})
        for number, sequence in enumerate(sequences, start=1):
            inventory.record_report(device, report(number * BOOT, sequence=sequence), NOON, asked=True)
    inventory.save()
    restarted = Inventory(state)
    restarted.set_public_keys({PUMP: "aa" * 32})
    assert restarted.identities.behind == {PUMP}
    devices = restarted.observed(PackDefaults(), {}).devices
    assert restarted.trust.distrusted([ON_HOLD], devices)[PUMP].reason == "SequenceWentBack"


def test_a_few_messages_that_do_not_verify_are_tolerated(state: StateWriter) -> None:
    trust = TrustLedger(IdentityHistories(state))
    seen = {PUMP: ObservedDevice(NOON, Phase.CONFIRMED, None)}
    reached = [trust.record_refused(PUMP, "AUTHENTICATION") for _ in range(MAX_REFUSALS - 1)]
    assert not any(reached)
    assert trust.distrusted([ON_HOLD], seen) == {}
    trust.record_verified(PUMP)
    reached = [trust.record_refused(PUMP, "SIGNER") for _ in range(MAX_REFUSALS + 1)]
    assert reached.count(True) == 1
    assert trust.distrusted([ON_HOLD], seen)[PUMP].reason == "NotAuthentic"
    assert trust.refused[PUMP].count == 2 * MAX_REFUSALS
    trust.record_verified(PUMP)
    assert trust.distrusted([ON_HOLD], seen) == {}


def test_a_device_whose_samples_have_other_decisions_than_its_model_is_distrusted(inventory: Inventory) -> None:
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    devices = inventory.observed(PackDefaults(), {}).devices
    inventory.trust.record_doubts({PUMP: 3})
    distrust = inventory.trust.distrusted([NoChange(PUMP, "up to date")], devices)[PUMP]
    assert distrust.reason == "DecisionsDiffer"
    assert "3 of its samples" in distrust.message
    inventory.trust.record_doubts({})
    assert inventory.trust.distrusted([NoChange(PUMP, "up to date")], devices) == {}
