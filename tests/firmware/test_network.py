# SPDX-License-Identifier: Apache-2.0
"""A device that speaks MQTT over TLS itself, on an emulated board, against a real broker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.library.contents import contents
from firmware.tools import fetch_third_party
from reconciler.devices.conversation import Answered, Confirmed, Outcome
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.devices.reports import DeviceReport
from reconciler.devices.transfer import TransferCost
from reconciler.model import DeviceId
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.board import MPS2_AN386, Board, write_flash_file
from tests.firmware.broker import Authority, Broker
from tests.firmware.conftest import FIRMWARE
from tests.firmware.network_board import NETWORK, SETTINGS_AT, Credentials, settings
from tests.firmware.talk import digest16, job

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(240)]
PREBAKED = make_pack(1)
LARGE = make_pack(9, inputs=4090, vectors=12)


@pytest.fixture(scope="session")
def network_elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    third_party = FIRMWARE / "build" / "third_party"
    fetch_third_party.fetch(third_party)
    for name, data in contents(third_party).items():
        path = folder / "tinyfleet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for command in (
        [
            *("cmake", "-G", "Ninja", "-S", FIRMWARE / "network", "-B", folder / "build"),
            *(f"-DLIBRARY={folder / 'tinyfleet'}", f"-DPython3_EXECUTABLE={sys.executable}"),
            f"-DCMAKE_TOOLCHAIN_FILE={FIRMWARE / 'cmake' / 'toolchain-arm.cmake'}",
        ],
        ["cmake", "--build", folder / "build"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"{command}\n{done.stdout}{done.stderr}", pytrace=False)
    return folder / "build" / "tinyfleet-network.elf"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Broker]:
    broker = Broker(tmp_path, authority)
    yield broker
    broker.stop()


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


def board_of(folder: Path, elf: Path, made: Made, network: bytes) -> Board:
    flash = folder / "flash.bin"
    write_flash_file(MPS2_AN386, flash, {0: made.region(PREBAKED), SETTINGS_AT: network})
    return Board(MPS2_AN386, elf, flash, extra=NETWORK)


async def deliver(link: MqttLink, bench: Bench, made: Made, pack: bytes) -> tuple[Outcome, TransferCost]:
    session = LinkSession(link, lambda _device, cose, nonce: made.open_signed(cose, nonce))
    running = asyncio.create_task(session.run())
    device = DeviceId(made.name)
    try:
        asked = await session.ask(device, ReportKind.REPORT)
        assert isinstance(asked, Answered), asked
        assert isinstance(asked.body, DeviceReport)
        work = job(made, bench.install(made, pack, 1), pack, asked.body, block_bytes=1024)
        return await session.update(work)
    finally:
        running.cancel()


def test_an_update_over_tls(network_elf: Path, tmp_path: Path, bench: Bench, made: Made, broker: Broker) -> None:
    authority = broker.authority
    assert authority is not None
    for name in ("gw-1", made.name):
        authority.issue(name)
    pki = authority.folder
    credentials = Credentials.read(pki / "ca.crt", pki / f"{made.name}.crt")
    with board_of(tmp_path, network_elf, made, settings(credentials, "localhost", broker.port)):
        files = (pki / "ca.crt", pki / "gw-1.crt", pki / "gw-1.key")
        link = MqttLink(MqttSettings("localhost", bench.fleet, "gw-1", broker.port, *files), [DeviceId(made.name)])
        outcome, cost = asyncio.run(deliver(link, bench, made, LARGE))
    assert isinstance(outcome, Confirmed), outcome
    assert outcome.report.running == digest16(LARGE)
    assert cost.blocks_resent == 0
