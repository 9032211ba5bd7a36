# SPDX-License-Identifier: Apache-2.0
"""The round trip of a question and its answer over a real broker with TLS, configured by `tinyfleet pki broker-config`.

The gateway's side is the daemon's own link. The device's side answers at once, so the figure is the delay of the link
and the broker. If the gateway or the broker used Nagle's algorithm, it would rise by 44 ms for each of them.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from reconciler.devices.link import AnswerReceived, LinkState, Turn
from reconciler.devices.messages import Inquire, ReportKind, TransferResult, encode
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.model import DeviceId
from tests.system.broker_site import FLEET, BrokerSite

GATEWAY, DEVICE = "gw-1", DeviceId("device-1")
ROUND_TRIPS = 500
WARM_UP = 20
LIMIT_S = 120.0


def main() -> None:
    """Print the median and the slowest of the round trips."""
    took_ms = measured_ms()
    sys.stdout.write(f"mqtt_round_trip_ms_p50={statistics.median(took_ms):.2f}\n")
    sys.stdout.write(f"mqtt_round_trip_ms_p99={statistics.quantiles(took_ms, n=100)[98]:.2f}\n")


def measured_ms() -> list[float]:
    """Start a broker and a device, and return how long each of the round trips took."""
    with tempfile.TemporaryDirectory(prefix="mqtt-") as folder:
        site = BrokerSite(Path(folder), "p256")
        site.issue("gateway", GATEWAY)
        site.issue("device", DEVICE)
        site.start()
        device = answering_device(site)
        try:
            return asyncio.run(measure(site))
        finally:
            device.disconnect()
            device.loop_stop()
            site.stop()


async def measure(site: BrokerSite) -> list[float]:
    """Ask one question after the other; return how long each answer took, in milliseconds."""
    pki = site.certificates
    certificate, key = pki / f"{GATEWAY}.crt", pki / f"{GATEWAY}.key"
    settings = MqttSettings("localhost", FLEET, GATEWAY, site.port, pki / "ca.crt", certificate, key)
    link = MqttLink(settings, [DEVICE])
    running = asyncio.create_task(link.run())
    events = link.events()
    took_ms = []
    try:
        async with asyncio.timeout(LIMIT_S):
            while not isinstance(event := await anext(events), LinkState) or not event.up:
                pass
            for number in range(WARM_UP + ROUND_TRIPS):
                asked_s = time.perf_counter()
                link.send(DEVICE, Turn(question=Inquire(ReportKind.REPORT, number.to_bytes(8, "big"))))
                while not isinstance(await anext(events), AnswerReceived):
                    pass
                took_ms.append(1e3 * (time.perf_counter() - asked_s))
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return took_ms[WARM_UP:]


def answering_device(site: BrokerSite) -> Client:
    """Connect a device that answers each question at once."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set_context(site.context(DEVICE))
    up = f"tinyfleet/{FLEET}/{DEVICE}/up"
    answer = encode(TransferResult(None, -1))

    def on_message(client: Client, _data: object, _message: MQTTMessage) -> None:
        client.publish(up, answer, qos=1)

    def on_socket_open(_client: Client, _data: object, opened: object) -> None:
        if isinstance(opened, socket.socket):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    client.on_message = on_message
    client.on_socket_open = on_socket_open
    client.on_connect = lambda client, *_: client.subscribe(f"tinyfleet/{FLEET}/{DEVICE}/down", 1)
    client.connect("localhost", site.port)
    client.loop_start()
    return client


if __name__ == "__main__":
    main()
