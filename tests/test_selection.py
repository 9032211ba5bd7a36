# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from reconciler.model import Device, DeviceId, Expression, MqttLink, Operator, Selector, TypeId
from reconciler.selection import matcher

PUMP = Device(DeviceId("pump-01"), TypeId("esp32"), MqttLink(), labels={"hall": "north", "canary": ""})


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
        (Selector(match_expressions=(Expression("hall", Operator.IN, ("north", "south")),)), True),
        (Selector(match_expressions=(Expression("hall", Operator.IN, ("south",)),)), False),
        (Selector(match_expressions=(Expression("hall", Operator.NOT_IN, ("south",)),)), True),
        (Selector(match_expressions=(Expression("hall", Operator.NOT_IN, ("north",)),)), False),
        (Selector(match_expressions=(Expression("line", Operator.NOT_IN, ("1",)),)), True),
        (Selector(match_expressions=(Expression("line", Operator.IN, ("",)),)), False),
        (Selector(match_expressions=(Expression("canary", Operator.EXISTS),)), True),
        (Selector(match_expressions=(Expression("line", Operator.EXISTS),)), False),
        (Selector(match_expressions=(Expression("line", Operator.DOES_NOT_EXIST),)), True),
        (Selector(match_expressions=(Expression("canary", Operator.DOES_NOT_EXIST),)), False),
    ],
)
def test_a_selector_takes_what_meets_every_condition(selector: Selector, *, expected: bool) -> None:
    assert matcher(selector)(PUMP) is expected
