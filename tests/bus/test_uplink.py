# SPDX-License-Identifier: Apache-2.0
"""The connection of a gateway to the broker of another one, over a line that is cut and frozen, and what it may do."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.bus.uplink import Uplink, UplinkSettings
from tests.bus.line_proxy import LineProxy
from tests.system.broker_site import FLEET, BrokerSite, MqttParty

# paho leaves the socket of a handshake that failed to the garbage collector, which warns
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
WITHIN_S = 60
BASE = f"tinyfleet/{FLEET}"
REQUEST, ANSWER = f"{BASE}/server/cloud/request/edge", f"{BASE}/server/cloud/answer/edge"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerSite]:
    """Start the broker of the cloud; the edge has an uplink to it."""
    site = BrokerSite(tmp_path_factory.mktemp("cloud"), "p256")
    site.issue("gateway", "cloud")
    site.issue("uplink", "edge")
    site.start()
    yield site
    site.stop()


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect such sockets here, and not in the middle of another test."""
    yield
    gc.collect()


def settings(site: BrokerSite, port: int) -> UplinkSettings:
    where = site.certificates
    files = where / "ca.crt", where / "edge.crt", where / "edge.key"
    return UplinkSettings("cloud", "localhost", port, *files, keepalive_s=1)


class Running:
    """An uplink that runs, and what it said."""

    def __init__(self, its: UplinkSettings) -> None:
        self.answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self.uplink = Uplink(FLEET, "edge", its, lambda *answer: self.answers.put_nowait(answer), self._changed.set)

    async def trouble(self, part: str) -> None:
        """Wait until it says what is wrong."""
        async with asyncio.timeout(WITHIN_S):
            while part not in (self.uplink.trouble or ""):
                await self._changed.wait()
                self._changed.clear()

    async def passes(self, cloud: MqttParty, payload: bytes) -> None:
        """Ask, as often as it takes, and answer: what is asked without a connection is lost."""
        async with asyncio.timeout(WITHIN_S):
            while cloud.heard.empty():
                self.uplink.ask(payload)
                await asyncio.sleep(0.05)  # nothing says when a request has arrived
            while not cloud.heard.empty():
                assert cloud.next() == (REQUEST, payload)
            assert cloud.publish(ANSWER, payload) == "Success"
            assert await self.answers.get() == ("cloud", payload)
        assert self.uplink.trouble is None


@asynccontextmanager
async def running(its: UplinkSettings) -> AsyncIterator[Running]:
    found = Running(its)
    task = asyncio.create_task(found.uplink.run())
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextmanager
def cloud_of(site: BrokerSite) -> Iterator[MqttParty]:
    with site.client("cloud") as cloud:
        assert cloud.subscribe(REQUEST) == "Granted QoS 1"
        yield cloud


def test_requests_and_answers_pass_again_after_the_line_was_cut_and_frozen(broker: BrokerSite) -> None:
    async def story() -> None:
        with LineProxy(broker.port) as line, cloud_of(broker) as cloud:
            async with running(settings(broker, line.port)) as edge:
                await edge.passes(cloud, b"first")
                line.cut()
                await edge.trouble("the connection ended")
                edge.uplink.ask(b"lost")
                line.restore()
                await edge.passes(cloud, b"second")
                line.freeze()
                await edge.trouble("the connection ended")
                line.restore()
                await edge.passes(cloud, b"third")

    asyncio.run(story())


def test_certificates_that_are_missing_are_named(broker: BrokerSite, tmp_path: Path) -> None:
    async def story() -> None:
        its = settings(broker, broker.port)
        async with running(replace(its, key=tmp_path / "edge.key")) as edge:
            await edge.trouble("can't set up TLS with")

    asyncio.run(story())


def test_a_broker_that_nobody_listens_at_is_named(broker: BrokerSite) -> None:
    async def story() -> None:
        with LineProxy(broker.port) as line:
            line.cut()
            async with running(settings(broker, line.port)) as edge:
                await edge.trouble(f"localhost:{line.port}: can't connect")

    asyncio.run(story())


def test_its_certificate_lets_nobody_do_anything_else(broker: BrokerSite) -> None:
    with broker.client("edge") as stolen:
        for topic in (
            f"{BASE}/server/cloud/request/spare",
            f"{BASE}/server/cloud/answer/edge",
            f"{BASE}/request/edge",
            f"{BASE}/answer/line-tool",
            f"{BASE}/pump-1/down",
            f"{BASE}/gateway/edge/presence",
        ):
            assert stolen.publish(topic, b"x") == "Not authorized"
        assert stolen.subscribe("#") == "Granted QoS 1"  # the broker looks at each message instead
        with broker.client("cloud") as cloud:
            for topic in (
                f"{BASE}/server/cloud/answer/spare",
                f"{BASE}/answer/line-tool",
                f"{BASE}/pump-1/down",
                ANSWER,
            ):
                cloud.publish(topic, topic.encode())
        assert stolen.next() == (ANSWER, ANSWER.encode())  # and nothing before it
        assert stolen.publish(REQUEST, b"x") in {"Success", "No matching subscribers"}
