# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics, made at the scrape from what is. No label names a device: a fleet has too many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reconciler.daemon.assembly import Assembly
from reconciler.daemon.runtime_status import RuntimeStatus, live_of
from reconciler.devices.reports import Flag
from reconciler.engine.delivery.deliveries import Delivered
from reconciler.engine.observed.summaries import Total

AGGREGATE_EVERY_S = 30.0  # what has to look at every device is not done at every scrape

LINK_COUNTERS = {
    "sent_bytes": "Bytes sent",
    "heard_bytes": "Bytes heard",
    "questions": "Questions put to devices",
    "answers": "Answers that fitted their question",
    "silences": "Questions without an answer",
    "malformed": "Messages that the protocol does not allow",
    "frames_corrected": "Frames in which one flipped bit was mended",
    "frames_bad": "Frames that could not be mended",
}
TOTAL_COUNTERS = {
    "inferences": "Inferences",
    "anomalies": "Anomalies found",
    "faults": "Faults in inferences",
    "resets": "Resets while it ran",
}


class Metrics(Collector):
    """All metrics of one daemon, in a registry of its own."""

    def __init__(self, assembly: Assembly, steady_s: Callable[[], float]) -> None:
        self._assembly = assembly
        self._engine = assembly.engine
        self._steady_s = steady_s
        self._ended: Counter[str] = Counter()
        self._aggregated_s = float("-inf")
        self._totals: list[Total] = []
        self._flags: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        assembly.engine.on_delivered.append(self._count)

    def exposition(self) -> bytes:
        """Return the text that a scrape gets."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Look at everything."""
        self._aggregate()
        live = live_of(self._engine, self._assembly.links, self._assembly.rates)
        yield from self._gateway(live)
        yield from self._devices(live)
        yield from _links(live)
        yield from self._models()

    def totals(self) -> Sequence[Total]:
        """Return what each pack did, at most `AGGREGATE_EVERY_S` ago."""
        self._aggregate()
        return self._totals

    def _count(self, done: Delivered) -> None:
        self._ended[type(done.outcome).__name__.lower()] += 1

    def _aggregate(self) -> None:
        if self._steady_s() - self._aggregated_s < AGGREGATE_EVERY_S:
            return
        self._totals = self._engine.summaries.totals()
        self._flags = self._engine.inventory.count_flags()
        self._aggregated_s = self._steady_s()

    def _gateway(self, live: RuntimeStatus) -> Iterator[Metric]:
        yield CounterMetricFamily("tinyfleet_passes", "Passes of the engine", value=live.passes)
        source = GaugeMetricFamily(
            "tinyfleet_source_ready", "1: the newest commit was fetched and is allowed", labels=["reason"]
        )
        source.add_metric([live.source_reason], float(live.source_good))
        yield source
        gateway = self._engine.statuses.gateway
        ready = GaugeMetricFamily(
            "tinyfleet_gateway_condition", "Conditions of the gateway; 1 is True", labels=["type", "reason"]
        )
        for condition in gateway.conditions if gateway is not None else ():
            ready.add_metric([condition.type, condition.reason], float(condition.status.value == "True"))
        yield ready
        yield GaugeMetricFamily("tinyfleet_builds_under_way", "Builds under way", value=len(live.building))
        yield GaugeMetricFamily("tinyfleet_builds_failed", "What can't be built", value=len(live.build_failures))

    def _devices(self, live: RuntimeStatus) -> Iterator[Metric]:
        reasons = Counter(device.ready.reason for device in self._engine.statuses.devices)
        devices = GaugeMetricFamily("tinyfleet_devices", "Devices by the reason of their Ready", labels=["reason"])
        for reason, count in sorted(reasons.items()):
            devices.add_metric([reason], count)
        yield devices
        flags = GaugeMetricFamily("tinyfleet_device_flags", "Devices that raise an error flag", labels=["flag"])
        for flag in Flag:
            flags.add_metric([str(flag.name).lower()], self._flags[flag.name or ""])
        yield flags
        yield GaugeMetricFamily("tinyfleet_updates_under_way", "Updates under way", value=len(live.in_progress))
        yield GaugeMetricFamily("tinyfleet_updates_waiting", "Devices to be tried again", value=len(live.waiting))
        ended = CounterMetricFamily("tinyfleet_updates", "Updates that ended", labels=["outcome"])
        for outcome in ("confirmed", "lost", "rejected", "trialfailed"):
            ended.add_metric([outcome], self._ended[outcome])
        yield ended
        refused = sum(count for count, _ in live.unauthenticated.values())
        yield CounterMetricFamily("tinyfleet_unauthenticated_messages", "Messages that did not verify", value=refused)

    def _models(self) -> Iterator[Metric]:
        names = self._engine.artifacts.model_names
        for field, help_text in TOTAL_COUNTERS.items():
            family = CounterMetricFamily(f"tinyfleet_model_{field}", f"{help_text}, by pack", labels=["model", "pack"])
            for total in self._totals:
                family.add_metric([names.get(total.running, ""), total.running[:12]], getattr(total, field))
            yield family


def _links(live: RuntimeStatus) -> Iterator[Metric]:
    up = GaugeMetricFamily("tinyfleet_link_up", "1: the link works", labels=["link"])
    unknown = GaugeMetricFamily("tinyfleet_link_unknown_devices", "Who speaks and is not in Git", labels=["link"])
    noise = GaugeMetricFamily("tinyfleet_link_bit_error_rate", "Estimated bit error rate of a line", labels=["link"])
    for name, link in live.links.items():
        up.add_metric([name], float(link.trouble is None))
        unknown.add_metric([name], len(link.statistics.unknown))
        noise.add_metric([name], link.statistics.bit_error_rate)
    yield from (up, unknown, noise)
    for field, help_text in LINK_COUNTERS.items():
        family = CounterMetricFamily(f"tinyfleet_link_{field}", help_text, labels=["link"])
        for name, link in live.links.items():
            family.add_metric([name], getattr(link.statistics, field))
        yield family
