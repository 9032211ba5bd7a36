# SPDX-License-Identifier: Apache-2.0
"""Two daemons and two brokers: a request that nobody here can do goes to the gateway that can."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from demo.world import FLEET, World, document
from reconciler.client import OperationClient
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from tests.system.node_world import NODE, WITHIN_S, NodeWorld, function, gateway
from tests.system.two_gateways import HallWorld

SAMPLES = struct.pack("<6h", 3, -4, 0, 3, 4, 7)
RMS = struct.pack("<3i", 3, 4, 4)
WHAT = DataDescriptor((ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(2, 3), unit="mg"),))
ANY = DataDescriptor((ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(None, 3), unit="mg"),))
EDGE: Mapping[str, Any] = {"functions": {}, "forward": ["cloud"]}


@pytest.fixture
def nodes(firmware: None, world: World) -> Iterator[tuple[NodeWorld, NodeWorld]]:  # noqa: ARG001 - must have been built
    """Start an edge and a cloud; the function and the bucket are in the cloud."""
    world.make_repository()
    cloud = NodeWorld(HallWorld(world.folder / "cloud", "cloud", world), "cloud")
    edge = NodeWorld(HallWorld(world.folder / "edge", "edge", world), "edge", authority=cloud.broker.authority)
    edge.ask(cloud)
    for each in (cloud, edge):
        each.broker.restart()  # with the rights of all
    files = {"gateways/edge.yaml": gateway(EDGE, "edge"), "gateways/cloud.yaml": gateway(NODE, "cloud")}
    placed = function("rms", placement={"nodes": {"matchLabels": {"site": "cloud"}}})
    world.commit("Begin", {"fleet.yaml": document("Fleet", FLEET, {}), **files, **placed})
    for each in (cloud, edge):
        each.site.start_gateway()
    cloud.wait_for_reason("functions/rms.yaml", "Ready", "Ready")
    edge.wait_for_reason("gateway.yaml", "NodeServing", "NodeServing")
    yield edge, cloud
    for each in (edge, cloud):
        each.world.__exit__(None, None, None)
        each.stop()


def provider(client: OperationClient, operation: str) -> str:
    found = [each for each in client.operations(timeout_s=WITHIN_S) if each.operation == operation]
    return ", ".join(f"{each.node}: {each.provider}" for each in found)


def refusal(client: OperationClient, operation: str, what: DataDescriptor = WHAT, data: bytes = SAMPLES) -> AnswerCode:
    with pytest.raises(OperationFailed) as failed:
        client.call(operation, data, what=what, timeout_s=4)
    return failed.value.code


def test_a_request_is_done_where_it_can_be_and_refused_where_nobody_can(nodes: tuple[NodeWorld, NodeWorld]) -> None:
    edge, cloud = nodes
    with edge.client() as client, cloud.client() as in_cloud:
        done = client.perform("features.rms", SAMPLES, what=WHAT, timeout_s=WITHIN_S)
        assert (done.data, done.node) == (RMS, "cloud")
        assert done.taken_s is not None

        item = bytes(range(60)) * 200  # in three parts, there and back
        number = client.call("data.put.vibration", item, what=ANY, call=b"one call", timeout_s=WITHIN_S)
        assert client.call("data.put.vibration", item, what=ANY, call=b"one call") == number
        assert in_cloud.call("data.get.vibration", number) == item
        assert client.call("data.get.vibration", number, what=NUMBER) == item
        assert struct.unpack("<4Q", in_cloud.call("data.stat.vibration"))[0] == 1  # stored once, in the cloud

        world = edge.world  # it lists what the cloud can do, so that nobody has to describe the data
        world.wait_for("the list", lambda: provider(client, "features.rms") == "cloud: rms 1.0.0", within_s=WITHIN_S)
        assert client.call("features.rms", SAMPLES) == RMS
        assert provider(client, "node.inspect") == "edge: node"

        assert refusal(client, "features.fft") is AnswerCode.NO_SUCH_OPERATION
        volts = DataDescriptor((ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(2, 3), unit="V"),))
        assert refusal(client, "features.rms", volts) is AnswerCode.DESCRIPTOR_MISMATCH
        assert refusal(in_cloud, "features.fft") is AnswerCode.NO_SUCH_OPERATION  # the cloud asks nobody


def test_local_operations_continue_while_the_uplink_is_cut(nodes: tuple[NodeWorld, NodeWorld]) -> None:
    edge, cloud = nodes
    with edge.client() as client:
        assert client.call("features.rms", SAMPLES, what=WHAT, timeout_s=WITHIN_S) == RMS
        edge.wait_for_reason("gateway.yaml", "UplinkUp", "UplinkUp")
        cloud.broker.stop()
        assert client.operations()
        assert refusal(client, "features.rms") is AnswerCode.DEADLINE
        down = edge.wait_for_reason("gateway.yaml", "UplinkUp", "UplinkDown")
        assert down["message"].startswith(f"cloud: localhost:{cloud.broker.port}: can't connect")
        cloud.broker.start()
        assert client.call("features.rms", SAMPLES, what=WHAT, timeout_s=WITHIN_S) == RMS
        edge.wait_for_reason("gateway.yaml", "UplinkUp", "UplinkUp")


NUMBER = DataDescriptor((ValueDescriptor(name="number", dtype=ValueElement.UINT64, shape=(1,)),))
