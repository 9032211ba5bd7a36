# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from reconciler.model import Device, DeviceId, MqttAddress, Selector, SelectorExpression, SelectorOperator, TypeId
from reconciler.selection import matcher

PUMP = Device(DeviceId("pump-01"), TypeId("esp32"), MqttAddress(), labels={"hall": "north", "canary": ""})


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector(), True),
        (Selector(match_labels={"hall": "north"}), True),
        (Selector(match_labels={"hall": "south"}), False),
        (Selector(match_labels={"hall": "north", "line": "1"}), False),
        (Selector(match_labels={"canary": ""}), True),
        (Selector(types=(TypeId("esp32"), TypeId("nrf52"))), True),
        (Selector(types=(TypeId("nrf52"),)), False),
        (Selector(devices=(DeviceId("pump-01"),)), True),
        (Selector(devices=(DeviceId("pump-02"),)), False),
        (Selector(devices=(DeviceId("pump-01"),), types=(TypeId("nrf52"),)), False),
        (Selector(match_expressions=(SelectorExpression("hall", SelectorOperator.IN, ("north", "south")),)), True),
        (Selector(match_expressions=(SelectorExpression("hall", SelectorOperator.IN, ("south",)),)), False),
        (Selector(match_expressions=(SelectorExpression("hall", SelectorOperator.NOT_IN, ("south",)),)), True),
        (Selector(match_expressions=(SelectorExpression("hall", SelectorOperator.NOT_IN, ("north",)),)), False),
        (Selector(match_expressions=(SelectorExpression("line", SelectorOperator.NOT_IN, ("1",)),)), True),
        (Selector(match_expressions=(SelectorExpression("line", SelectorOperator.IN, ("",)),)), False),
        (Selector(match_expressions=(SelectorExpression("canary", SelectorOperator.EXISTS),)), True),
        (Selector(match_expressions=(SelectorExpression("line", SelectorOperator.EXISTS),)), False),
        (Selector(match_expressions=(SelectorExpression("line", SelectorOperator.DOES_NOT_EXIST),)), True),
        (Selector(match_expressions=(SelectorExpression("canary", SelectorOperator.DOES_NOT_EXIST),)), False),
    ],
)
def test_a_selector_matches_devices_that_meet_every_condition(selector: Selector, *, expected: bool) -> None:
    assert matcher(selector)(PUMP) is expected
