# SPDX-License-Identifier: Apache-2.0
"""Metrics of the operations that this gateway offers; none if it is not a node."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from reconciler.engine.node.station import NodeStation
from reconciler.report.conditions import Status
from reconciler.report.function_status import FunctionStatus

OUTCOMES = ("requests", "repeated", "refused", "dispatched", "forwarded", "moved", "failed", "malformed")


def operation_metrics(node: NodeStation, statuses: list[FunctionStatus]) -> Iterator[Metric]:
    """Yield the metrics of requests, functions and buckets."""
    if node.state is None:
        return
    requests = CounterMetricFamily(
        "tinyfleet_operation_requests", "Requests of clients and devices", labels=["outcome"]
    )
    for outcome in OUTCOMES:
        requests.add_metric([outcome], getattr(node.server.statistics, outcome))
    yield requests
    calls = CounterMetricFamily("tinyfleet_function_calls", "Calls of functions", labels=["function", "outcome"])
    for name, tally in sorted(node.offer.tallies.items()):
        calls.add_metric([name, "done"], tally.calls - tally.failed)
        calls.add_metric([name, "failed"], tally.failed)
    yield calls
    of_devices = CounterMetricFamily(
        "tinyfleet_device_operations",
        "Calls of built-ins of devices, and requests of devices",
        labels=["kind", "outcome"],
    )
    for kind, ended in (("call", node.devices.calls), ("request", node.devices.requests.tally)):
        of_devices.add_metric([kind, "done"], ended.done)
        of_devices.add_metric([kind, "failed"], ended.failed)
    yield of_devices
    conditions = GaugeMetricFamily(
        "tinyfleet_function_condition", "Conditions of functions; 1 if True", labels=["function", "type", "reason"]
    )
    for status in statuses:
        for each in status.conditions:
            conditions.add_metric([status.name, each.type, each.reason], float(each.status is Status.TRUE))
    yield conditions
    stored = GaugeMetricFamily("tinyfleet_bucket_bytes", "Bytes of the items in a bucket", labels=["bucket"])
    items = GaugeMetricFamily("tinyfleet_bucket_items", "Items in a bucket", labels=["bucket"])
    for bucket, figures in sorted(node.offer.buckets.items()):
        stored.add_metric([bucket], figures.bytes)
        items.add_metric([bucket], figures.items)
    yield from (stored, items)
