# SPDX-License-Identifier: Apache-2.0
"""From a merged commit to an operation that a program calls through the broker: the daemon, mosquitto, a function."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from demo.world import FLEET, GATEWAY, TINYFLEET, NotObservedError, World
from reconciler.client import AdvertisedOperation, OperationClient
from reconciler.operations.codes import AnswerCode, OperationFailed
from tests.functions.modules import LOOP
from tests.mosquitto import free_port
from tests.system.listening_sockets import listening_addresses
from tests.system.node_world import CLIENT, NODE, WITHIN_S, NodeWorld, function, gateway

WINDOW = struct.pack("<6h", 3, -4, 0, 3, 4, 7)
RMS = struct.pack("<3i", 3, 4, 4)


@pytest.fixture
def node(firmware: None, world: World) -> Iterator[NodeWorld]:  # noqa: ARG001 - must have been built
    made = NodeWorld(world)
    yield made
    made.stop()


def listed(client: OperationClient) -> dict[str, AdvertisedOperation]:
    return {each.operation: each for each in client.operations(timeout_s=WITHIN_S)}


def wait_until_listed(node: NodeWorld, client: OperationClient, operation: str, provider: str) -> None:
    def provided() -> bool:
        found = listed(client).get(operation)
        return found is not None and found.provider == provider

    node.world.wait_for(operation, provided, within_s=WITHIN_S)


def assert_commands_show(node: NodeWorld) -> None:
    """Use the commands as an operator, and as a client."""
    world, broker = node.world, node.broker
    identity = ("--client", CLIENT, "--certificates", str(broker.certificates))
    as_client = ("--broker", f"localhost:{broker.port}", "--fleet", FLEET, *identity)
    (world.folder / "window").write_bytes(WINDOW)
    request = ("operation", "request", "features.rms", "--input", str(world.folder / "window"), "--output", "json")
    result = json.loads(world.run(TINYFLEET, *request, *as_client))
    assert (result["node"], result["outputs"][0]["values"]) == (GATEWAY, [3, 4, 4])
    assert "window: int16 [any, 3] mg" in world.run(TINYFLEET, "operation", "list", *as_client)
    with pytest.raises(NotObservedError, match=r"no operation named features.rmss; did you mean `features.rms`"):
        world.run(TINYFLEET, "operation", "request", "features.rmss", *as_client)
    with pytest.raises(NotObservedError, match="DescriptorMismatch: bytes"):
        world.run(TINYFLEET, "operation", "request", "features.rms", "--input", TINYFLEET, *as_client)
    configuration = ("--output", "json", "--config", str(world.folder / "gateway.toml"))
    (listed,) = json.loads(world.run(TINYFLEET, "node", "list", *configuration))
    assert listed["functions"][0]["function"] == "rms"
    world.wait_for("the calls", lambda: calls(node, configuration) == 2, within_s=WITHIN_S)


def calls(node: NodeWorld, configuration: tuple[str, ...]) -> int:
    (function,) = json.loads(node.world.run(TINYFLEET, "function", "list", *configuration))
    count: int = function["calls"]
    return count


def test_a_merged_function_answers_and_a_commit_replaces_and_removes_it(node: NodeWorld) -> None:
    node.begin(function("rms"))
    node.wait_for_reason("functions/rms.yaml", "Ready", "Ready")
    with node.client() as client:
        assert {"node.inspect", "features.rms", "data.put.vibration"} <= listed(client).keys()
        assert client.call("features.rms", WINDOW, timeout_s=WITHIN_S) == RMS

        assert_commands_show(node)

        node.world.commit("1.1.0", function("rms", version="1.1.0"))
        wait_until_listed(node, client, "features.rms", "rms 1.1.0")
        assert client.call("features.rms", WINDOW) == RMS

        suspended = function("rms", version="1.1.0", suspend=True)
        node.world.commit("Suspend it", suspended)
        node.world.wait_for("its end", lambda: "features.rms" not in listed(client), within_s=WITHIN_S)
        with pytest.raises(OperationFailed) as gone:
            client.call("features.rms", WINDOW)
        assert gone.value.code is AnswerCode.NO_SUCH_OPERATION
    node.world.wait_for("no status", lambda: not node.world.status_file("functions/rms.yaml"), within_s=WITHIN_S)


def test_conditions_say_which_function_can_not_run_and_which_one_fails(node: NodeWorld) -> None:
    node.begin(function("rms"), function("broken", b"(module (oops))"), function("loops", LOOP))
    wrong = node.wait_for_reason("functions/broken.yaml", "Ready", "WasmInvalid")
    assert wrong["message"] == "expected valid module field"
    node.wait_for_reason("gateway.yaml", "NodeServing", "NodeServing")
    with node.client() as client:
        with pytest.raises(OperationFailed) as looped:
            client.call("features.loops", WINDOW, timeout_s=WITHIN_S)
        assert looped.value.code is AnswerCode.FUNCTION_FAILED
        failing = node.wait_for_reason("functions/loops.yaml", "Serving", "OutOfFuel")
        assert "it used up its fuel" in failing["message"]
        assert client.call("features.rms", WINDOW) == RMS  # the others are not affected
    assert "| loops 1.0.0 | features.loops | OutOfFuel |" in (node.world.status_file("README.md") or "")


def test_items_outlive_the_daemon_and_a_bucket_keeps_what_git_says(node: NodeWorld) -> None:
    node.begin()
    node.wait_for_reason("gateway.yaml", "NodeServing", "NodeServing")
    with node.client() as client:
        numbers = [client.call("data.put.vibration", bytes([each] * 6), timeout_s=WITHIN_S) for each in range(4)]
        assert struct.unpack("<4Q", client.call("data.stat.vibration")) == (3, 18, 2, 4)
        node.site.gateway.kill()
        node.site.start_gateway()
        assert client.call("data.get.vibration", numbers[3], timeout_s=WITHIN_S) == bytes([3] * 6)
        node.world.commit("No node any more", {"gateway.yaml": gateway(None)})
        node.world.wait_for(
            "no condition", lambda: not node.condition("gateway.yaml", "NodeServing"), within_s=WITHIN_S
        )
        with pytest.raises(OperationFailed, match="no gateway answered"):
            client.call("data.get.vibration", numbers[3], timeout_s=3)
        node.world.commit("A node again", {"gateway.yaml": gateway(NODE)})
        assert client.call("data.get.vibration", numbers[3], timeout_s=WITHIN_S) == bytes([3] * 6)


def test_the_page_shows_the_node_and_nothing_listens_beyond_the_loopback_interface(node: NodeWorld) -> None:
    """With functions, storage, the page and metrics on; clients reach the gateway only through its broker."""
    configuration = node.world.folder / "gateway.toml"
    text, address = configuration.read_text(encoding="utf-8"), f"127.0.0.1:{free_port()}"
    configuration.write_text(text.replace('listen = ""', f'listen = "{address}"'), encoding="utf-8")
    node.begin(function("rms"))
    node.wait_for_reason("functions/rms.yaml", "Ready", "Ready")
    with urlopen(f"http://{address}/") as answer:
        page = answer.read().decode()
    assert "Clients can call the operations of this gateway." in page
    assert "Buckets of the local storage" in page
    found = listening_addresses(node.site.gateway.pid)
    assert [str(each) for each in found] == ["127.0.0.1"]
