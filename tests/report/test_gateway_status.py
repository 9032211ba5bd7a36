# SPDX-License-Identifier: Apache-2.0
"""The status of a gateway: its conditions and its file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import yaml

from reconciler.model import DeviceId
from reconciler.report.conditions import Status
from reconciler.report.device_status import PassStamp
from reconciler.report.gateway_status import GatewayFacts, GatewayStatus, NodeState, SourceState, gateway_status
from reconciler.report.status_files import gateway_file, read_gateway_file

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def test_the_gateway_reports_the_first_problem_and_the_number_of_others() -> None:
    source = SourceState(good=False, reason="UnsignedCommit", message="commit c2 is not signed")
    facts = GatewayFacts(
        "hall", source, problems=("a.yaml:1:1: x", "b.yaml:2:2: y"), links={"mqtt": "refused", "line": None}
    )
    found = gateway_status(facts, PassStamp(NOON, "c1"), None)
    assert found.ready.reason == "UnsignedCommit"
    conditions = {condition.type: condition for condition in found.conditions}
    assert conditions["Valid"].message == "a.yaml:1:1: x (and 1 more)"
    assert conditions["LinksUp"].message == "mqtt: refused"
    healed = gateway_status(GatewayFacts("hall", SourceState(True, "Fetched", "ok")), PassStamp(LATER, "c2"), found)  # noqa: FBT003 - names the field `good`
    assert healed.ready.status is Status.TRUE
    assert healed.ready.since == LATER
    assert yaml.safe_load(gateway_file(healed))["status"]["commit"] == "c2"
    assert read_gateway_file(gateway_file(healed)) == healed


def test_a_node_has_conditions_of_its_own_which_stay_while_nothing_is_known() -> None:
    good = SourceState(good=True, reason="Fetched", message="ok")
    serving = NodeState(good=True, reason="NodeServing", message="ok")

    def of_node(facts: GatewayFacts, previous: GatewayStatus | None = None) -> dict[str, str]:
        status = gateway_status(facts, PassStamp(LATER, "c2"), previous)
        return {each.type: each.reason for each in status.conditions[7:]}

    facts = GatewayFacts("hall", good, node=serving, uplinks={"cloud": None, "spare": "no answer"})
    assert of_node(facts) == {"NodeServing": "NodeServing", "UplinkUp": "UplinkDown"}
    assert of_node(replace(facts, uplinks={"cloud": None})) == {"NodeServing": "NodeServing", "UplinkUp": "UplinkUp"}
    assert of_node(replace(facts, uplinks={})) == {"NodeServing": "NodeServing"}
    stores = replace(facts, uplinks={}, storage_refusals={})
    assert of_node(stores)["StorageWithin"] == "StorageWithin"
    full = replace(stores, storage_refusals={"b": "9 bytes do not fit into the 2 that the bucket may have"})
    assert of_node(full)["StorageWithin"] == "StorageFull"
    before = gateway_status(facts, PassStamp(LATER, "c2"), None)
    pending = GatewayFacts("hall", good, node_pending=True)
    assert of_node(pending, before) == of_node(facts)
    assert of_node(pending) == of_node(GatewayFacts("hall", good), before) == {}


def test_devices_with_another_root_are_named() -> None:
    good = SourceState(good=True, reason="Fetched", message="fetched")
    devices = frozenset({DeviceId("pump-2"), DeviceId("pump-1")})
    status = gateway_status(GatewayFacts("hall", good, with_another_root=devices), PassStamp(NOON, "c1"), None)
    (found,) = (each for each in status.conditions if each.type == "RootsCurrent")
    assert (found.status, found.reason) == (Status.FALSE, "OtherRoot")
    assert found.message.startswith("pump-1 and 1 more: another root")
    assert status.ready.status is Status.TRUE
