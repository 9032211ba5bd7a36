# SPDX-License-Identifier: Apache-2.0
"""Operations of devices, end to end: a built-in that a client calls, and a request that a device makes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from demo.site import SerialLine, model, rollout
from demo.world import FLEET, GATEWAY, TINYFLEET, World, document, threshold_model
from reconciler.client import OperationClient
from reconciler.devices.operation_messages import CALL_TYPE
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from tests.firmware.operations import SENSE, SENSED_BYTES, SET_OUTPUT, STORE
from tests.system.broker_site import MqttParty
from tests.system.node_world import CLIENT, WITHIN_S, NodeWorld

FAST_BAUD = 115200
DEVICES = ("pump-1", "pump-2")
SAMPLES = {"dtype": "int16", "shape": [SENSED_BYTES // 2]}
LEVEL = {"name": "level", "dtype": "uint8", "shape": [1]}
BUILTINS = [
    {"number": SENSE, "operation": "sense.window", "outputs": [{"name": "window", **SAMPLES}], "idempotent": True},
    {"number": SET_OUTPUT, "operation": "output.set", "inputs": [LEVEL], "outputs": [{**LEVEL, "name": "before"}]},
    {"number": STORE, "operation": "sense.store"},
]
REQUESTS = [{"number": 1, "operation": "data.put.windows", "inputs": [{"name": "window", **SAMPLES}]}]
LEVEL_OF = {
    size: ValueDescriptor(name="level", dtype=ValueElement.UINT8, shape=(size,) if size else (None,))
    for size in (0, 1, 8)
}
OTHER_MODEL = threshold_model([1, 2, 3] * 20, 800)
NODE = {"storage": {"buckets": [{"name": "windows", "descriptor": SAMPLES}]}}


@pytest.fixture(params=["broker", "line"])
def node(request: pytest.FixtureRequest, firmware: None, world: World) -> Iterator[NodeWorld]:  # noqa: ARG001 - must have been built
    line = SerialLine(FAST_BAUD) if request.param == "line" else None
    made = NodeWorld(world, devices=DEVICES, line=line)
    yield made
    made.stop()


def with_operations(node: NodeWorld, **more: Any) -> dict[str, bytes]:  # noqa: ANN401 - fields of the document
    """Return the DeviceType of the site, with what its firmware has."""
    spec = yaml.safe_load(node.site.first_files()["type.yaml"])["spec"]
    spec |= copy_of({"builtins": BUILTINS, "requests": REQUESTS, **more})
    return {"type.yaml": document("DeviceType", "line-sensor", spec)}


def copy_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return equal values of which none is another: YAML in fleet repositories has no aliases."""
    copied: dict[str, Any] = json.loads(json.dumps(values))
    return copied


def begin(node: NodeWorld, more: Mapping[str, bytes]) -> None:
    node.site.start_devices()
    served = {"gateway.yaml": document("Gateway", GATEWAY, {"selector": {}, "node": NODE})}
    # another model than the pre-baked one: with its first order, a device gets the delegation of its gateway
    node.begin({**more, **served, "rollout.yaml": rollout("1.1.0"), **model("1.1.0", OTHER_MODEL)})
    node.world.wait_for("the devices", lambda: node.site.are_ready("1.1.0"), within_s=WITHIN_S)


def call(node: NodeWorld, client: OperationClient, operation: str, data: bytes = b"") -> bytes:
    """Call an operation once the device can be reached."""
    results: list[bytes] = []

    def called() -> bool:
        try:
            results.append(client.call(operation, data, timeout_s=WITHIN_S))
        except OperationFailed as failure:
            if failure.code is not AnswerCode.NO_CAPABLE_NODE:
                raise
        return bool(results)

    node.world.wait_for(operation, called, within_s=WITHIN_S)
    return results[0]


def counts(node: NodeWorld, device: str) -> dict[str, str]:
    return dict(part.split("=") for part in node.site.tell_devices(f"status {device}").split() if "=" in part)


def test_a_client_calls_built_ins_and_a_device_stores_what_it_reads(node: NodeWorld) -> None:
    begin(node, with_operations(node))
    with node.client() as client:
        listed = {each.operation: each for each in client.operations(timeout_s=WITHIN_S)}
        assert listed["sense.window.pump-2"].provider == "device pump-2"
        assert len(call(node, client, "sense.window.pump-1")) == SENSED_BYTES
        assert call(node, client, "output.set.pump-1", b"\x05") == b"\x00"
        assert call(node, client, "output.set.pump-1", b"\x06") == b"\x05"
        assert call(node, client, "output.set.pump-2", b"\x07") == b"\x00"
        assert [counts(node, device)["output"] for device in DEVICES] == ["6", "7"]
        with pytest.raises(OperationFailed, match=r"inputs\[0\].dtype|bytes") as wrong:
            client.call("output.set.pump-1", b"too long")
        assert wrong.value.code is AnswerCode.DESCRIPTOR_MISMATCH

        call(node, client, "sense.store.pump-1")
        node.world.wait_for("the reply", lambda: counts(node, "pump-1")["replies"] == "1", within_s=WITHIN_S)
        assert counts(node, "pump-1")["taken"] == "1"
        items, size, _, newest = struct.unpack("<4Q", client.call("data.stat.windows"))
        assert (items, size) == (1, SENSED_BYTES)
        assert len(client.call("data.get.windows", struct.pack("<Q", newest))) == SENSED_BYTES
        result = json.loads(run(node, "operation", "request", "sense.window.pump-2", "--output", "json"))
        assert len(result["outputs"][0]["values"]) == SENSED_BYTES // 2


def calls_sent(watcher: MqttParty, device: str) -> int:
    """Count the calls that went to a device since the last count."""
    sent = 0
    while not watcher.heard.empty():
        topic, payload = watcher.next()
        sent += topic == f"tinyfleet/{FLEET}/{device}/down" and payload[1] == CALL_TYPE
    return sent


@pytest.mark.parametrize("node", ["broker"], indirect=True)
def test_what_is_refused_reaches_no_device(node: NodeWorld) -> None:
    """One that hears all topics sees a call that fits, and none of those that do not."""
    begin(node, with_operations(node))
    with node.client() as client, node.broker.watcher("watcher") as watcher:
        call(node, client, "output.set.pump-1", b"\x05")
        assert calls_sent(watcher, "pump-1") > 0
        for operation, data, code in (
            ("output.set.pump-1", b"too long", AnswerCode.DESCRIPTOR_MISMATCH),
            ("output.set.pump-1", b"", AnswerCode.DESCRIPTOR_MISMATCH),
            ("output.set.pump-9", b"\x06", AnswerCode.NO_SUCH_OPERATION),
            ("output.get.pump-1", b"\x06", AnswerCode.NO_SUCH_OPERATION),
        ):
            with pytest.raises(OperationFailed) as refused:
                client.call(operation, data, what=DataDescriptor((LEVEL_OF[len(data)],)), timeout_s=WITHIN_S)
            assert refused.value.code is code
        assert call(node, client, "output.set.pump-1", b"\x07") == b"\x05"
        assert calls_sent(watcher, "pump-1") == 1  # that one, behind all that were refused


def run(node: NodeWorld, *command: str) -> str:
    broker = node.broker
    identity = ("--client", CLIENT, "--certificates", str(broker.certificates))
    return node.world.run(TINYFLEET, *command, "--broker", f"localhost:{broker.port}", "--fleet", FLEET, *identity)
