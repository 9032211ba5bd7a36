# SPDX-License-Identifier: Apache-2.0
"""Clients call operations of a gateway over a real mosquitto, configured by `tinyfleet pki broker-config`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.bus.messages import AskMessage, encode
from reconciler.client import BrokerUnreachable, ClientSettings, OperationClient
from reconciler.devices.mqtt_link import MqttSettings
from reconciler.model import ValueDescriptor, ValueElement
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from tests.bus.node_site import KEEPS, LOOPS, RMS, NodeSite
from tests.system.broker_site import FLEET, BrokerSite

BASE = f"tinyfleet/{FLEET}"
REFUSED = "Not authorized"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerSite]:
    site = BrokerSite(tmp_path_factory.mktemp("broker"), "p256")
    for role, name in (("gateway", "north"), ("client", "tool"), ("client", "intruder"), ("device", "request")):
        site.issue(role, name)
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def node(site: BrokerSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeSite]:
    settings = MqttSettings("localhost", FLEET, "north", site.port, *files(site, "north"))
    with NodeSite(settings, tmp_path_factory.mktemp("node"), (RMS, LOOPS, KEEPS)) as node:
        yield node


@pytest.fixture
def client(site: BrokerSite, node: NodeSite) -> Iterator[OperationClient]:  # noqa: ARG001 - must be there
    settings = ClientSettings("localhost", FLEET, "tool", site.port, *files(site, "tool"))
    with OperationClient(settings) as client:
        yield client


def files(site: BrokerSite, name: str) -> tuple[Path, Path, Path]:
    folder = site.certificates
    return folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key"


def test_a_client_lists_and_calls_operations(client: OperationClient) -> None:
    listed = {each.operation: each for each in client.operations()}
    assert {"node.inspect", "features.rms", "data.put.vibration"} <= listed.keys()
    assert (listed["features.rms"].node, listed["features.rms"].provider) == ("north", "rms 1.0.0")
    done = client.perform("features.rms", struct.pack("<6h", 3, -4, 0, 3, 4, 7))
    assert struct.unpack("<3i", done.data) == (3, 4, 4)
    assert done.node == "north"
    assert done.taken_s is not None


def test_data_that_does_not_fit_is_refused_before_dispatch(client: OperationClient, node: NodeSite) -> None:
    assert node.server is not None
    before = node.server.statistics.dispatched
    wrong = DataDescriptor((ValueDescriptor(name="w", dtype=ValueElement.INT16, shape=(2, 6), unit="mg"),))
    with pytest.raises(OperationFailed, match=r"inputs\[0\]\.shape\[1\]: expected 3, got 6"):
        client.call("features.rms", bytes(24), what=wrong)
    with pytest.raises(OperationFailed) as nowhere:
        client.call("features.fft", what=DataDescriptor())
    assert nowhere.value.code is AnswerCode.NO_SUCH_OPERATION
    assert node.server.statistics.dispatched == before


def test_items_survive_in_a_bucket_and_a_repeated_call_stores_one(client: OperationClient) -> None:
    item = bytes(range(60)) * 200  # in three parts
    number = client.call("data.put.vibration", item, call=b"the-call")
    assert client.call("data.put.vibration", item, call=b"the-call") == number
    assert client.call("data.get.vibration", number) == item
    ((first, *_),) = [struct.unpack("<4Q", client.call("data.stat.vibration"))]
    assert first == 1
    assert client.call("data.delete.vibration", number) == b"\1"
    with pytest.raises(OperationFailed) as gone:
        client.call("data.get.vibration", number)
    assert gone.value.code is AnswerCode.NOT_FOUND


def test_a_function_stores_an_item_and_one_that_loops_fails(client: OperationClient) -> None:
    window = struct.pack("<3h", 1, 2, 3)
    assert client.call("features.keeps", window) == window
    listed = struct.unpack("<3q", client.call("data.list.vibration", bytes(8)))
    assert client.call("data.get.vibration", listed[0].to_bytes(8, "little")) == window
    with pytest.raises(OperationFailed) as looped:
        client.call("features.loops", window)
    assert looped.value.code is AnswerCode.FUNCTION_FAILED
    assert client.call("features.keeps", window) == window


def test_an_intruder_can_neither_ask_for_another_client_nor_read_its_answers(
    site: BrokerSite, client: OperationClient, node: NodeSite
) -> None:
    ask = encode(AskMessage(b"12345678", "node.inspect", DataDescriptor(), 1000, b""))
    with site.client("intruder") as intruder:
        for topic in (f"{BASE}/answer/tool", f"{BASE}/request/tool", f"{BASE}/answer/+", f"{BASE}/#"):
            intruder.subscribe(topic)  # mosquitto grants it, and then delivers nothing
        between = ("server/north/request/tool", "server/north/request/intruder", "server/cloud/answer/north")
        for topic in ("request/tool", "answer/tool", "answer/intruder", "pump-1/down", "request/up", *between):
            assert intruder.publish(f"{BASE}/{topic}", ask) == REFUSED
        intruder.subscribe(f"{BASE}/answer/intruder")
        assert client.operations()
        intruder.publish(f"{BASE}/request/intruder", ask)
        while intruder.heard.empty() or intruder.heard.qsize() < 2:  # taken and done, of its own call
            intruder.heard.put(intruder.next())
        assert {topic for topic, _ in intruder.heard.queue} == {f"{BASE}/answer/intruder"}
    assert {name for name, _ in node.sent} == {"tool", "intruder"}


def test_a_device_named_request_is_not_a_client(site: BrokerSite, node: NodeSite, client: OperationClient) -> None:
    ask = encode(AskMessage(b"12345678", "node.inspect", DataDescriptor(), 1000, b""))
    with site.client("request") as device:
        assert device.publish(f"{BASE}/request/up", ask) == "Success"
        assert device.publish(f"{BASE}/request/tool", ask) == REFUSED
    assert client.operations()  # so the node has seen what came before
    assert "up" not in {name for name, _ in node.sent}


def test_a_revoked_client_has_no_rights_left(site: BrokerSite) -> None:
    site.issue("client", "leaving")
    site.pki(f"revoke client leaving --ca {site.folder / 'ca'}")
    site.configure()
    assert "~leaving" not in (site.certificates / "tinyfleet.acl").read_text(encoding="utf-8")
    assert "~tool" in (site.certificates / "tinyfleet.acl").read_text(encoding="utf-8")


def test_a_broker_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(BrokerUnreachable, match="can't connect"),
        OperationClient(ClientSettings("127.0.0.1", "f", "c", 1)),
    ):
        pass
    with pytest.raises(BrokerUnreachable, match="can't set up TLS"):
        OperationClient(ClientSettings("127.0.0.1", "f", "c", 1, ca=tmp_path / "none"))
