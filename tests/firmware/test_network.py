# SPDX-License-Identifier: Apache-2.0
"""A device that speaks MQTT over TLS itself, on an emulated board, against a real broker."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware.network.build import build
from firmware.tools.size_report import read_symbols
from reconciler.devices.conversation import Confirmed
from reconciler.devices.messages import Have, Missing
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.model import DeviceId
from signing.device_credentials import DeviceCredentials
from tests import mosquitto
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.board import MPS2_AN386, Board, write_flash_file
from tests.firmware.broker import Authority, Broker
from tests.firmware.network_board import (
    NETWORK,
    SETTINGS_AT,
    DeviceBehindBroker,
    Packets,
    TlsServer,
    deliver,
    read_unchecked,
    settings,
)
from tests.firmware.talk import digest16, first_blocks, job, question, report_of, update

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(240)]
PREBAKED = make_pack(1)
WAIT_S = 60.0
BUDGET = Path(__file__).resolve().parents[2] / "firmware" / "budget.json"
SwitchOn = Callable[[DeviceCredentials, int], Board]
LARGE = make_pack(9, inputs=4090, vectors=12)


@pytest.fixture(scope="session")
def network_elf() -> Path:
    return build()


@pytest.fixture
def authority(tmp_path: Path, made: Made) -> Authority:
    authority = Authority(tmp_path / "pki")
    authority.issue(made.name)
    return authority


@pytest.fixture
def stranger(tmp_path: Path, made: Made) -> Authority:
    """An authority of the same names that nobody trusts."""
    authority = Authority(tmp_path / "stranger")
    for name in (made.name, "localhost"):
        authority.issue(name)
    return authority


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Broker]:
    broker = Broker(tmp_path, authority)
    yield broker
    broker.stop()


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


@pytest.fixture
def switch_on(network_elf: Path, tmp_path: Path, made: Made) -> SwitchOn:
    """Make the board with credentials, for a server of the name localhost on a port of this machine."""

    def make(shown: DeviceCredentials, port: int) -> Board:
        flash = tmp_path / "flash.bin"
        network = settings(shown, "localhost", port)
        write_flash_file(MPS2_AN386, flash, {0: made.region(PREBAKED), SETTINGS_AT: network})
        return Board(MPS2_AN386, network_elf, flash, extra=NETWORK)

    return make


@pytest.fixture
def own(authority: Authority, made: Made) -> DeviceCredentials:
    return read_unchecked(authority.folder / "ca.crt", authority.folder / f"{made.name}.crt")


@pytest.fixture
def server(authority: Authority) -> Iterator[TlsServer]:
    """A server that has the right certificate."""
    authority.issue("localhost")
    with TlsServer(authority.folder, authority.folder, "localhost") as server:
        yield server


def link_of(bench: Bench, made: Made, broker: Broker) -> MqttLink:
    assert broker.authority is not None
    broker.authority.issue("gw-1")
    pki = broker.authority.folder
    files = (pki / "ca.crt", pki / "gw-1.crt", pki / "gw-1.key")
    return MqttLink(MqttSettings("localhost", bench.fleet, "gw-1", broker.port, *files), [DeviceId(made.name)])


def test_an_update_over_tls(
    switch_on: SwitchOn, own: DeviceCredentials, bench: Bench, made: Made, broker: Broker
) -> None:
    with switch_on(own, broker.port) as board:
        outcome, cost = asyncio.run(deliver(link_of(bench, made, broker), bench, made, LARGE))
        symbols = read_symbols("arm-none-eabi-", board.elf)
        stack = board.stack_used_bytes(symbols["board_stack_begin"].address, symbols["board_stack_end"].address)
        heap = board.memory(symbols["tls_heap"].address, symbols["tls_heap"].size)
    assert isinstance(outcome, Confirmed), outcome
    assert outcome.report.running == digest16(LARGE)
    assert cost.blocks_resent == 0
    budget = json.loads(BUDGET.read_text())
    assert 500 < stack <= budget["stack_network_m4"], f"{stack} bytes of stack"
    assert 5000 < len(heap.rstrip(b"\0")) <= budget["heap_network_m4"], f"{len(heap.rstrip(bytes(1)))} bytes of heap"


def test_a_kill_during_a_transfer_resumes_over_tls(
    switch_on: SwitchOn, own: DeviceCredentials, bench: Bench, made: Made, broker: Broker
) -> None:
    client = broker.client()
    device = DeviceBehindBroker(client, bench.fleet, made.name)
    with switch_on(own, broker.port) as board:
        device.await_presence()
        work = job(made, bench.install(made, LARGE, 1), LARGE, report_of(device, made), block_bytes=1024)
        half = work.blocks // 2
        first_blocks(device, work, half)
        assert question(device, Missing(work.transfer)) == Have(work.transfer, half, b"")

        board.kill()
        board.start()

        device.await_presence()
        outcome, transfer = update(device, made, work)
    mosquitto.disconnect(client)
    assert isinstance(outcome, Confirmed), outcome
    assert transfer.cost.blocks_sent <= work.blocks - half + 1


def test_it_connects_again_when_the_broker_returns(
    switch_on: SwitchOn, own: DeviceCredentials, bench: Bench, made: Made, broker: Broker
) -> None:
    heard: queue.Queue[bytes] = queue.Queue()
    with switch_on(own, broker.port):
        for _ in range(2):
            client = broker.client()
            client.on_message = lambda _client, _data, message: heard.put(bytes(message.payload))
            client.subscribe(f"tinyfleet/{bench.fleet}/{made.name}/presence", 1)
            while heard.get(timeout=WAIT_S) != b"1":
                pass
            mosquitto.disconnect(client)
            broker.stop()
            broker.start()


def test_a_broker_of_another_authority_is_refused(
    switch_on: SwitchOn, own: DeviceCredentials, authority: Authority, stranger: Authority
) -> None:
    with TlsServer(stranger.folder, authority.folder, "localhost") as intruder, switch_on(own, intruder.port):
        assert intruder.handshake() == "TLSV1_ALERT_UNKNOWN_CA"
        assert intruder.handshake() == "TLSV1_ALERT_UNKNOWN_CA"  # it tries again, and refuses again


def test_a_device_that_plays_the_broker_is_refused(
    switch_on: SwitchOn, own: DeviceCredentials, authority: Authority
) -> None:
    """Its certificate is of the fleet's authority, but for another name."""
    authority.issue("pump-2")
    with TlsServer(authority.folder, authority.folder, "pump-2") as intruder, switch_on(own, intruder.port):
        assert intruder.handshake() == "SSLV3_ALERT_BAD_CERTIFICATE"


def test_a_device_of_another_authority_is_refused(
    switch_on: SwitchOn, authority: Authority, stranger: Authority, made: Made, server: TlsServer
) -> None:
    shown = read_unchecked(authority.folder / "ca.crt", stranger.folder / f"{made.name}.crt")
    with switch_on(shown, server.port):
        assert server.handshake() == "CERTIFICATE_VERIFY_FAILED"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(bytes.fromhex("20020005"), id="not authorized"),
        pytest.param(bytes.fromhex("30ffffff7f"), id="a packet of 268 MB"),
        pytest.param(bytes.fromhex("30ffffffffff"), id="a length without an end"),
        pytest.param(bytes.fromhex("20020000") + bytes.fromhex("9003000180"), id="subscription refused"),
    ],
)
def test_a_broker_that_breaks_the_protocol_is_left(
    switch_on: SwitchOn, own: DeviceCredentials, server: TlsServer, answer: bytes
) -> None:
    """The device closes the connection, does not crash, and tries again."""
    with switch_on(own, server.port) as board:
        for _ in range(2):
            with server.accept() as connection:
                assert connection.recv(4096)[0] == 0x10  # CONNECT
                connection.sendall(answer)
                while connection.recv(4096):
                    pass
        assert said(board).count(b"warning") == 1  # it has started once


def said(board: Board) -> bytes:
    """Return everything that its UART has sent."""
    board.uart.settimeout(1)
    text = b""
    while True:
        try:
            text += board.uart.recv(4096)
        except TimeoutError:
            return text


def test_messages_that_mean_nothing_are_acknowledged_and_dropped(
    switch_on: SwitchOn, own: DeviceCredentials, bench: Bench, made: Made, server: TlsServer
) -> None:
    topic = f"tinyfleet/{bench.fleet}/{made.name}/down".encode()
    head = len(topic).to_bytes(2, "big") + topic + b"\x12\x34"
    with switch_on(own, server.port), server.accept() as connection:
        packets = Packets(connection)
        assert packets.next()[0] == 0x10
        connection.sendall(bytes.fromhex("20020000"))
        assert packets.next()[0] == 0x82
        connection.sendall(bytes.fromhex("9003000101"))
        for body in (b"", b"\xff" * 1000, bytes(64)):
            packet = head + body
            length = bytes([len(packet) % 128 | 0x80, len(packet) // 128])
            connection.sendall(b"\x32" + length + packet)
            while (packet := packets.next())[0] != 0x40:
                assert packet[0] & 0xF0 == 0x30  # its presence and its report
            assert packet == bytes.fromhex("40 82 00 1234")
