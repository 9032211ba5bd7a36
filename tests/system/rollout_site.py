# SPDX-License-Identifier: Apache-2.0
"""A site for careful rollouts: twenty devices that infer, labelled, and a witness of what truly passed the broker."""

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
from tests.firmware.broker import Broker

WITHIN_S = 120
ROLLOUT_FILE = f"rollouts/{MODEL}.yaml"
INFER_EVERY = ("--infer-every", "10")
PAST = 200  # inferences with what it was made with, before anything is rolled out
WEIGHTS = [3, -5, 2] * 20  # those of the model that the devices were made with
GROUP = "b"  # the value of the label `line` that every fourth device has; the others have "a"


def like_the_first(threshold: int) -> bytes:
    """A model that scores just as the pre-baked one does."""
    return threshold_model(WEIGHTS, threshold)


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that was sent to a device."""

    at: float
    device: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What a device said of itself."""

    at: float
    device: str
    body: Body


class Witness:
    """Hears all that passes the broker, and believes nobody's word on the order in which it did."""

    def __init__(self, broker: Broker) -> None:
        self._lock = threading.Lock()
        self._sent: list[Sent] = []
        self._told: list[Told] = []
        self._client = broker.client("witness")
        self._client.on_message = self._hear
        self._client.subscribe("tinyfleet/demo/+/+", 1)

    def close(self) -> None:
        """Hear no more."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def sent(self) -> list[Sent]:
        """All orders so far."""
        with self._lock:
            return list(self._sent)

    @property
    def told(self) -> list[Told]:
        """All that devices said so far."""
        with self._lock:
            return list(self._told)

    def ordered_since(self, begin: float) -> list[Sent]:
        """The first order to each device since a moment, in the order in which they went out."""
        first: dict[str, Sent] = {}
        for sent in self.sent:
            if sent.at >= begin:
                first.setdefault(sent.device, sent)
        return list(first.values())

    def confirmed(self, device: str, digest16: bytes, before: float) -> float | None:
        """Tell when a device first said, before a moment, that it had confirmed a pack."""
        for told in self.told:
            body = told.body
            mine = told.device == device and told.at < before
            if mine and isinstance(body, DeviceReport) and (body.phase, body.running) == (Phase.CONFIRMED, digest16):
                return told.at
        return None

    def inferred(self, device: str, digest16: bytes, before: float) -> int:
        """Tell how many inferences with a pack a device's summaries had told of before a moment."""
        counts = [
            told.body.inferences
            for told in self.told
            if told.device == device
            and told.at < before
            and isinstance(told.body, Summary)
            and told.body.running == digest16
        ]
        return max(counts, default=0)

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
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
                told = Told(at, device, parse_body(cbor2.loads(answer.cose).value[2]))
                with self._lock:
                    self._told.append(told)


class Field:
    """The site, its witness, and what the status ref says of its one rollout."""

    def __init__(self, site: Site, broker: Broker) -> None:
        self.site = site
        self.world = site.world
        self.witness = Witness(broker)
        self.configuration = site.world.folder / "gateway.toml"
        self.group = frozenset(site.devices[::4])
        self.others = frozenset(site.devices) - self.group

    def notify(self, url: str) -> None:
        """Have the gateway tell a webhook; before it is started."""
        secret = self.world.folder / "notify.secret"
        secret.write_bytes(b"0123456789abcdef")
        secret.chmod(0o600)
        with self.configuration.open("a", encoding="utf-8") as file:
            file.write(f'\n[notify]\nurl = "{url}"\nsecret = "notify.secret"\n')

    def cli(self, *words: str) -> Any:  # noqa: ANN401 - any JSON value
        """Call the command beside the daemon."""
        result = CliRunner().invoke(cli, [*words, "--output", "json", "--config", str(self.configuration)])
        assert result.stdout, (result.output, result.exception)
        return json.loads(result.stdout)

    def begin(self, *, silent_after: str = "10m") -> None:
        """Bring all devices to where they run what they were made with, and have done so for a while."""
        self.site.start_devices(*INFER_EVERY)
        files = self.site.first_files()
        labelled = {path: self._labelled(data) for path, data in files.items() if path.startswith("devices/")}
        fleet = document("Fleet", "demo", {"reportEvery": "1s", "silentAfter": silent_after})
        self.world.commit("Begin", {**files, **labelled, "fleet.yaml": fleet})
        self.site.start_gateway()
        self.wait("1.0.0", lambda: self.site.are_ready("1.0.0"))
        self.wait("a past to compare with", lambda: min(self.inferences()) >= PAST)

    def roll_out(self, version: str, data: bytes, **spec: Any) -> str:  # noqa: ANN401 - whatever a Rollout takes
        """Commit a version of the model with its rollout."""
        return self.world.commit(version, {"rollout.yaml": rollout(version, **spec), **model(version, data)})

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        """Wait for a fact; where it does not come, tell how the rollout stands."""
        try:
            return self.world.wait_for(what, condition, within_s=WITHIN_S)
        except NotObservedError as missed:
            raise NotObservedError(f"{missed}\n{self.world.status_file(ROLLOUT_FILE)}") from missed

    def complete(self, version: str) -> None:
        """Wait until all devices run a version, and its rollout is complete."""
        self.wait(version, lambda: self.site.are_ready(version) and self.says(version, Complete="Complete"))

    def quiet(self, *devices: str) -> None:
        """Wait until each of these devices has told twice how it is, and see that no order went out meanwhile."""
        begin = time.monotonic()
        orders = len(self.witness.sent)

        def told(device: str) -> int:
            news = (told for told in self.witness.told if told.device == device and told.at > begin)
            return sum(isinstance(each.body, DeviceReport) for each in news)

        self.wait("reports", lambda: all(told(device) >= 2 for device in devices))
        assert self.witness.sent[orders:] == []

    def enforces(self, commit: str) -> None:
        """Wait until the status is about this commit."""
        self.wait(f"the status of {commit[:12]}", lambda: self.world.enforced() == commit)

    def inferences(self) -> list[int]:
        """How many inferences each device has made with what it runs."""
        return [int(count) for count in re.findall(r" inferences=(\d+)", self.site.phases())]

    def status(self) -> RolloutStatus | None:
        """What the status ref says of the rollout."""
        data = self.world.status_files().get(ROLLOUT_FILE)
        return read_rollout_file(data) if data is not None else None

    def says(self, version: str, **conditions: str) -> RolloutStatus | None:
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
        """What a device says itself that it runs: the first 16 bytes of the pack's digest."""
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
