# SPDX-License-Identifier: Apache-2.0
"""A site for rollouts in waves: twenty labelled devices that infer, and a record of what passed the broker."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cbor2
import paho.mqtt.client as mqtt
import yaml
from click.testing import CliRunner

from demo.site import MODEL, Site, model, rollout
from demo.world import NotObservedError, document, threshold_model
from reconciler.cli import cli
from reconciler.devices.messages import Offer, Signed, parse, parse_answer
from reconciler.devices.reports import Body, DeviceReport, Summary, parse_body
from reconciler.model import Phase
from reconciler.report.rollout_file import read_rollout_file
from reconciler.report.rollout_status import RolloutStatus
from tests import mosquitto
from tests.firmware.broker import Broker

WITHIN_S = 120
ROLLOUT_FILE = f"rollouts/{MODEL}.yaml"
INFER_EVERY = ("--infer-every", "10")
BASELINE = 200  # inferences with the pre-baked model before anything is rolled out
WEIGHTS = [3, -5, 2] * 20  # of the pre-baked model
GROUP = "b"  # the value of the label `line` that every fourth device has; the others have "a"


def same_scores(threshold: int) -> bytes:
    """Return a model with the same scores as the pre-baked one."""
    return threshold_model(WEIGHTS, threshold)


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that the gateway sent to a device."""

    at: float
    device: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """A report that a device sent."""

    at: float
    device: str
    body: Body


class BrokerTraffic:
    """Records everything that passes the broker, in its real order."""

    def __init__(self, broker: Broker) -> None:
        self._lock = threading.Lock()
        self._sent: list[Sent] = []
        self._received: list[Received] = []
        self._client = broker.client("witness")
        self._client.on_message = self._record
        self._client.subscribe("tinyfleet/demo/+/+", 1)

    def close(self) -> None:
        """Stop recording."""
        mosquitto.disconnect(self._client)

    @property
    def sent(self) -> list[Sent]:
        """All orders so far."""
        with self._lock:
            return list(self._sent)

    @property
    def received(self) -> list[Received]:
        """All reports of devices so far."""
        with self._lock:
            return list(self._received)

    def ordered_since(self, begin: float) -> list[Sent]:
        """The first order to each device since a time, in the order in which they were sent."""
        first: dict[str, Sent] = {}
        for sent in self.sent:
            if sent.at >= begin:
                first.setdefault(sent.device, sent)
        return list(first.values())

    def confirmed(self, device: str, digest16: bytes, before: float) -> float | None:
        """Return when a device first reported, before a time, that it had confirmed a pack."""
        for received in self.received:
            body = received.body
            mine = received.device == device and received.at < before
            if mine and isinstance(body, DeviceReport) and (body.phase, body.running) == (Phase.CONFIRMED, digest16):
                return received.at
        return None

    def inferred(self, device: str, digest16: bytes, before: float) -> int:
        """Return how many inferences with a pack a device had reported before a time."""
        counts = [
            received.body.inferences
            for received in self.received
            if received.device == device
            and received.at < before
            and isinstance(received.body, Summary)
            and received.body.running == digest16
        ]
        return max(counts, default=0)

    def _record(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        at = time.monotonic()
        _, _, device, channel = message.topic.split("/")
        if channel == "down":
            order = parse(bytes(message.payload))
            if isinstance(order, Offer):
                with self._lock:
                    self._sent.append(Sent(at, device, order.envelope))
        elif channel == "up":
            answer = parse_answer(bytes(message.payload))
            if isinstance(answer, Signed):
                received = Received(at, device, parse_body(cbor2.loads(answer.cose).value[2]))
                with self._lock:
                    self._received.append(received)


class RolloutSite:
    """The site, what passed its broker, and what the status ref reports of its one rollout."""

    def __init__(self, site: Site, broker: Broker) -> None:
        self.site = site
        self.world = site.world
        self.traffic = BrokerTraffic(broker)
        self.configuration = site.world.folder / "gateway.toml"
        self.group = frozenset(site.devices[::4])
        self.others = frozenset(site.devices) - self.group

    def notify(self, url: str) -> None:
        """Configure a webhook, before the gateway is started."""
        secret = self.world.folder / "webhook.secret"
        secret.write_bytes(b"0123456789abcdef")
        secret.chmod(0o600)
        with self.configuration.open("a", encoding="utf-8") as file:
            file.write(f'\n[webhook]\nurl = "{url}"\nsecret = "webhook.secret"\n')

    def cli(self, *words: str) -> Any:  # noqa: ANN401 - any JSON value
        """Run a command next to the daemon."""
        result = CliRunner().invoke(cli, [*words, "--output", "json", "--config", str(self.configuration)])
        assert result.stdout, (result.output, result.exception)
        return json.loads(result.stdout)

    def begin(self, *, silent_after: str = "10m") -> None:
        """Start everything, and wait until all devices have run their pre-baked model for a while."""
        self.site.start_devices(*INFER_EVERY)
        files = self.site.first_files()
        labelled = {path: self._labelled(data) for path, data in files.items() if path.startswith("devices/")}
        fleet = document("Fleet", "demo", {"reportEvery": "1s", "silentAfter": silent_after})
        self.world.commit("Begin", {**files, **labelled, "fleet.yaml": fleet})
        self.site.start_gateway()
        self.wait("1.0.0", lambda: self.site.are_ready("1.0.0"))
        self.wait("a baseline", lambda: min(self.inferences()) >= BASELINE)

    def roll_out(self, version: str, data: bytes, **spec: Any) -> str:  # noqa: ANN401 - whatever a Rollout takes
        """Commit a version of the model with its rollout."""
        return self.world.commit(version, {"rollout.yaml": rollout(version, **spec), **model(version, data)})

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        """Wait for a condition; if it does not hold in time, show the rollout's status."""
        try:
            return self.world.wait_for(what, condition, within_s=WITHIN_S)
        except NotObservedError as missed:
            raise NotObservedError(f"{missed}\n{self.world.status_file(ROLLOUT_FILE)}") from missed

    def complete(self, version: str) -> None:
        """Wait until all devices run a version, and its rollout is complete."""
        self.wait(version, lambda: self.site.are_ready(version) and self.has(version, Complete="Complete"))

    def quiet(self, *devices: str) -> None:
        """Wait until each of these devices has reported twice, and check that no order was sent meanwhile."""
        begin = time.monotonic()
        orders = len(self.traffic.sent)

        def reports(device: str) -> int:
            new = (each for each in self.traffic.received if each.device == device and each.at > begin)
            return sum(isinstance(each.body, DeviceReport) for each in new)

        self.wait("reports", lambda: all(reports(device) >= 2 for device in devices))
        assert self.traffic.sent[orders:] == []

    def enforces(self, commit: str) -> None:
        """Wait until the status is about this commit."""
        self.wait(f"the status of {commit[:12]}", lambda: self.world.enforced() == commit)

    def inferences(self) -> list[int]:
        """How many inferences each device has made with the pack that it runs."""
        return [int(count) for count in re.findall(r" inferences=(\d+)", self.site.phases())]

    def status(self) -> RolloutStatus | None:
        """The rollout's status on the status ref."""
        data = self.world.status_files().get(ROLLOUT_FILE)
        return read_rollout_file(data) if data is not None else None

    def has(self, version: str, **conditions: str) -> RolloutStatus | None:
        """The rollout's status, once it is about this version and its conditions have these reasons."""
        status = self.status()
        if status is None or status.facts.model != f"{MODEL}@{version}":
            return None
        reasons = {condition.type: condition.reason for condition in status.conditions}
        return status if conditions.items() <= reasons.items() else None

    def reason(self, device: str) -> str:
        """The reason of a device's Ready."""
        reason: str = self.world.device_status(device)["conditions"][0]["reason"]
        return reason

    def running(self, device: str) -> bytes:
        """What a device itself reports to run: the short digest of the pack."""
        found = re.search(rf"^{device} .* running=(\w*)", self.site.phases(), re.MULTILINE)
        assert found is not None
        return bytes.fromhex(found[1][:32])

    def _labelled(self, data: bytes) -> bytes:
        documents: list[Mapping[str, Any]] = list(yaml.safe_load_all(data))
        return b"---\n".join(
            document("Device", name, each["spec"], {"line": GROUP if name in self.group else "a"})
            for each in documents
            for name in (each["metadata"]["name"],)
        )
