# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics, collected at each scrape from the current state. No label names a device: there are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reconciler.daemon.assembly import Assembly
from reconciler.daemon.cohort_metrics import cohort_metrics
from reconciler.daemon.operation_metrics import operation_metrics
from reconciler.daemon.runtime_status import RuntimeStatus, live_of
from reconciler.devices.conversation import Confirmed, Lost, Rejected, TrialFailed
from reconciler.devices.reports import Flag
from reconciler.engine.delivery.deliveries import Delivered
from reconciler.engine.observed.cohort_totals import CohortRate, CohortTotal, cohort_rates, cohort_totals
from reconciler.engine.observed.summaries import Total, totals
from reconciler.report.cohorts import cohorts_of
from reconciler.report.conditions import Status
from reconciler.report.learning import LEARNING

AGGREGATE_EVERY_S = 30.0  # metrics that need a look at every device are cached for this long

LINK_COUNTERS = {  # metric: (attribute of LinkStatistics, help)
    "sent_bytes": ("sent_bytes", "Bytes sent"),
    "received_bytes": ("received_bytes", "Bytes received"),
    "questions": ("questions", "Questions sent to devices"),
    "answers": ("answers", "Answers that matched their question"),
    "timeouts": ("silences", "Questions without an answer"),
    "malformed_messages": ("malformed", "Messages that violate the protocol"),
    "corrected_frames": ("frames_corrected", "Frames with one bit error, which was corrected"),
    "bad_frames": ("frames_bad", "Frames that could not be corrected"),
}
OUTCOMES = {Confirmed: "confirmed", Lost: "lost", Rejected: "rejected", TrialFailed: "trial_failed"}
TOTAL_COUNTERS = {
    "inferences": "Inferences",
    "anomalies": "Anomalies detected",
    "faults": "Faults in inferences",
    "resets": "Device resets while the model ran",
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
        self._cohort_totals: Mapping[tuple[str, str], CohortTotal] = {}
        self._cohort_rates: Mapping[str, CohortRate] = {}
        self._flags: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        assembly.engine.on_delivered.append(self._count)

    def exposition(self) -> bytes:
        """Return the text of a scrape."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Collect all metrics."""
        self._aggregate()
        live = live_of(self._engine, self._assembly.links, self._assembly.rates)
        yield from self._gateway(live)
        yield from self._devices(live)
        yield from _links(live)
        yield from self._models()
        yield from self._cohorts()
        yield from self._contests()
        yield from self._trainings()
        yield from self._pipelines()
        yield from operation_metrics(self._engine.node, list(self._engine.statuses.functions.values()))

    def totals(self) -> Sequence[Total]:
        """Return the totals of each pack, at most `AGGREGATE_EVERY_S` old."""
        self._aggregate()
        return self._totals

    def cohort_rates(self) -> Mapping[str, CohortRate]:
        """Return how often the devices of each cohort find anomalies, at most `AGGREGATE_EVERY_S` old."""
        self._aggregate()
        return self._cohort_rates

    def _count(self, done: Delivered) -> None:
        self._ended[OUTCOMES[type(done.outcome)]] += 1

    def _aggregate(self) -> None:
        if self._steady_s() - self._aggregated_s < AGGREGATE_EVERY_S:
            return
        figures = self._engine.summaries.counted()
        self._totals = totals(figures)
        cohorts = cohorts_of(self._engine.statuses.gateway, self._engine.statuses.devices)
        if cohorts is None:
            self._cohort_totals, self._cohort_rates = {}, {}
        else:
            rates = self._engine.inventory.evidence.rates
            self._cohort_totals = cohort_totals(figures, cohorts.of, self._engine.artifacts.model_names)
            self._cohort_rates = cohort_rates(figures, cohorts.of, rates.seconds_for)
        self._flags = self._engine.inventory.count_flags()
        self._aggregated_s = self._steady_s()

    def _gateway(self, live: RuntimeStatus) -> Iterator[Metric]:
        yield CounterMetricFamily("tinyfleet_passes", "Passes of the engine", value=live.passes)
        source = GaugeMetricFamily(
            "tinyfleet_source_ready",
            "1 if the newest commit was fetched and is allowed",
            labels=["reason"],
        )
        source.add_metric([live.source_reason], float(live.source_good))
        yield source
        gateway = self._engine.statuses.gateway
        ready = GaugeMetricFamily(
            "tinyfleet_gateway_condition", "Conditions of the gateway; 1 if True", labels=["type", "reason"]
        )
        for condition in gateway.conditions if gateway is not None else ():
            ready.add_metric([condition.type, condition.reason], float(condition.status.value == "True"))
        yield ready
        ends = GaugeMetricFamily(
            "tinyfleet_certificate_expiry_timestamp_seconds",
            "When a certificate or a revocation list expires, in seconds since 1970",
            labels=["certificate"],
        )
        for each in self._engine.expiries:
            if each.ends is not None:
                ends.add_metric([each.name.replace(" ", "_")], each.ends.timestamp())
        yield ends
        yield GaugeMetricFamily("tinyfleet_builds_in_progress", "Builds in progress", value=len(live.building))
        yield GaugeMetricFamily("tinyfleet_builds_failed", "Models that can't be built", value=len(live.build_failures))

    def _devices(self, live: RuntimeStatus) -> Iterator[Metric]:
        reasons = Counter(device.ready.reason for device in self._engine.statuses.devices)
        devices = GaugeMetricFamily("tinyfleet_devices", "Devices by the reason of Ready", labels=["reason"])
        for reason, count in sorted(reasons.items()):
            devices.add_metric([reason], count)
        yield devices
        states = Counter(
            each.reason
            for device in self._engine.statuses.devices
            for each in device.conditions
            if each.type == LEARNING
        )
        learning = GaugeMetricFamily(
            "tinyfleet_devices_learning", "Devices that learn, by the reason of Learning", labels=["reason"]
        )
        for reason, count in sorted(states.items()):
            learning.add_metric([reason], count)
        yield learning
        flags = GaugeMetricFamily("tinyfleet_device_flags", "Devices that raise an error flag", labels=["flag"])
        for flag in Flag:
            flags.add_metric([str(flag.name).lower()], self._flags[flag.name or ""])
        yield flags
        yield GaugeMetricFamily("tinyfleet_updates_in_progress", "Updates in progress", value=len(live.in_progress))
        yield GaugeMetricFamily("tinyfleet_updates_waiting", "Updates waiting to be retried", value=len(live.waiting))
        ended = CounterMetricFamily("tinyfleet_updates", "Finished updates", labels=["outcome"])
        for outcome in OUTCOMES.values():
            ended.add_metric([outcome], self._ended[outcome])
        yield ended
        refused = sum(count for count, _ in live.unauthenticated.values())
        yield CounterMetricFamily(
            "tinyfleet_unauthenticated_messages", "Messages that failed verification", value=refused
        )

    def _cohorts(self) -> Iterator[Metric]:
        devices = self._engine.statuses.devices
        cohorts = cohorts_of(self._engine.statuses.gateway, devices)
        yield from cohort_metrics(cohorts, devices, self._cohort_totals, datetime.now(UTC))

    def _contests(self) -> Iterator[Metric]:
        statuses = self._engine.statuses
        condition = GaugeMetricFamily(
            "tinyfleet_contest_condition", "Conditions of contests; 1 if True", labels=["contest", "type", "reason"]
        )
        for name, status in sorted(statuses.contests.items()):
            for each in status.conditions:
                condition.add_metric([name, each.type, each.reason], float(each.status is Status.TRUE))
        windows = GaugeMetricFamily("tinyfleet_contest_windows", "Kept windows", labels=["contest", "decided"])
        errors = GaugeMetricFamily(
            "tinyfleet_contest_errors",
            "Errors of the champion on the device with the most, within the time that counts",
            labels=["contest", "kind"],
        )
        for name, figures in sorted(statuses.contest_figures.items()):
            windows.add_metric([name, "yes"], figures.decided)
            windows.add_metric([name, "no"], figures.undecided)
            errors.add_metric(
                [name, "false_positive"], max((each.false_positives for each in figures.errors), default=0)
            )
            errors.add_metric([name, "missed"], max((each.missed for each in figures.errors), default=0))
        yield from (condition, windows, errors)

    def _trainings(self) -> Iterator[Metric]:
        """Yield how far trainings are: each trial of the last run is done, failed or left."""
        statuses = self._engine.statuses
        condition = GaugeMetricFamily(
            "tinyfleet_training_condition", "Conditions of trainings; 1 if True", labels=["training", "type", "reason"]
        )
        for name, status in sorted(statuses.trainings.items()):
            for each in status.conditions:
                condition.add_metric([name, each.type, each.reason], float(each.status is Status.TRUE))
        trials = GaugeMetricFamily(
            "tinyfleet_training_trials", "Trials of the last run of trainings", labels=["training", "state"]
        )
        for name, figures in sorted(statuses.training_figures.items()):
            trials.add_metric([name, "done"], figures.done - figures.failed)
            trials.add_metric([name, "failed"], figures.failed)
            trials.add_metric([name, "left"], max(0, figures.trials - figures.done))
        yield from (condition, trials)

    def _pipelines(self) -> Iterator[Metric]:
        """Yield what pipelines do. A stage is named by its number: the devices of it change."""
        condition = GaugeMetricFamily(
            "tinyfleet_pipeline_condition", "Conditions of pipelines; 1 if True", labels=["pipeline", "type", "reason"]
        )
        for name, status in sorted(self._engine.statuses.pipelines.items()):
            for each in status.conditions:
                condition.add_metric([name, each.type, each.reason], float(each.status is Status.TRUE))
        inputs = CounterMetricFamily("tinyfleet_pipeline_inputs", "Inputs of pipelines", labels=["pipeline", "outcome"])
        runs = CounterMetricFamily(
            "tinyfleet_pipeline_stage_runs", "Runs of stages, by who ran them", labels=["pipeline", "stage", "by"]
        )
        times = GaugeMetricFamily(
            "tinyfleet_pipeline_stage_seconds", "Time of a stage, predicted and measured on its first device",
            labels=["pipeline", "stage", "kind"],
        )  # fmt: skip
        for report in self._engine.pipelines.reports():
            figures = report.figures
            inputs.add_metric([figures.pipeline, "answered"], figures.answered)
            inputs.add_metric([figures.pipeline, "stopped"], figures.stopped)
            for stage in figures.stages:
                labels = [figures.pipeline, str(stage.number)]
                for by, count in sorted(stage.ran_by_kind().items()):
                    runs.add_metric([*labels, by], count)
                times.add_metric([*labels, "predicted"], stage.predicted_ms / 1000)
                if stage.measured_ms is not None:
                    times.add_metric([*labels, "measured"], stage.measured_ms / 1000)
        yield from (condition, inputs, runs, times)

    def _models(self) -> Iterator[Metric]:
        names = self._engine.artifacts.model_names
        for field, help_text in TOTAL_COUNTERS.items():
            family = CounterMetricFamily(f"tinyfleet_model_{field}", f"{help_text}, by pack", labels=["model", "pack"])
            for total in self._totals:
                family.add_metric([names.get(total.running, ""), total.running[:12]], getattr(total, field))
            yield family
        now = datetime.now(UTC)
        ages = GaugeMetricFamily(
            "tinyfleet_figures_age_seconds", "Age of the oldest figure in these sums, by pack", labels=["model", "pack"]
        )
        for total in self._totals:
            if total.oldest is not None:
                age_s = (now - total.oldest).total_seconds()
                ages.add_metric([names.get(total.running, ""), total.running[:12]], age_s)
        yield ages


def _links(live: RuntimeStatus) -> Iterator[Metric]:
    up = GaugeMetricFamily("tinyfleet_link_up", "1 if the link works", labels=["link"])
    unknown = GaugeMetricFamily("tinyfleet_link_unknown_devices", "Senders that are not in Git", labels=["link"])
    noise = GaugeMetricFamily("tinyfleet_link_bit_error_ratio", "Estimated bit error ratio of a line", labels=["link"])
    for name, link in live.links.items():
        up.add_metric([name], float(link.trouble is None))
        unknown.add_metric([name], len(link.statistics.unknown))
        noise.add_metric([name], link.statistics.bit_error_rate)
    yield from (up, unknown, noise)
    for field, (attribute, help_text) in LINK_COUNTERS.items():
        family = CounterMetricFamily(f"tinyfleet_link_{field}", help_text, labels=["link"])
        for name, link in live.links.items():
            family.add_metric([name], getattr(link.statistics, attribute))
        yield family
