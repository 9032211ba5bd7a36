# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes real daemons, and every query of the dashboard has data: `make test-monitoring`."""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from demo.world import World
from tests import mosquitto
from tests.docs.test_alerts import rules
from tests.docs.test_dashboard import FOLDER, expressions
from tests.system.monitored_gateways import KINDS

WITHIN_S = 300
VARIABLES = {"$instance": ".+", "$__rate_interval": "1m"}

pytestmark = [
    pytest.mark.build,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.environ.get("TINYFLEET_MONITORING") != "1", reason="needs Prometheus: make test-monitoring"),
]


class Prometheus:
    """A Prometheus that scrapes daemons every second, with the alerts of docs/monitoring."""

    def __init__(self, world: World, daemons: Sequence[int]) -> None:
        self._port = mosquitto.free_port()
        folder = world.folder / "prometheus"
        folder.mkdir()
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(FOLDER / "alerts.yml")],
            "scrape_configs": [
                {"job_name": "tinyfleet", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in daemons]}]}
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        world.start(
            "prometheus",
            shutil.which("prometheus") or "/usr/bin/prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        )

    def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the data of an answer; None while Prometheus does not listen yet."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def has_data(self, expression: str) -> bool:
        """Return whether a query of the dashboard has a result."""
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        found = self.get("query", query=expression)
        return found is not None and len(found["result"]) > 0


@pytest.mark.usefixtures("firmware")
def test_every_panel_has_data_and_every_rule_is_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as stack:
        gateways = [stack.enter_context(kind()) for kind in KINDS]
        world = gateways[0].world
        prometheus = Prometheus(world, [gateway.port for gateway in gateways])
        waiting = {expression: title for title, expression, _ in expressions()}
        titles = {title for title, _, _ in expressions()}

        def all_have_data() -> bool:
            for gateway in gateways:
                gateway.act()
            for expression in [each for each in waiting if prometheus.has_data(each)]:
                del waiting[expression]
            return not waiting

        try:
            world.wait_for("data in every panel", all_have_data, within_s=WITHIN_S)
        finally:
            without = set(waiting.values())
            with capsys.disabled():
                print(f"\npanels_with_data={len(titles - without)}/{len(titles)} without={sorted(without)}")  # noqa: T201
        loaded = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        healthy = {rule["name"] for rule in loaded if rule["health"] == "ok"}
        with capsys.disabled():
            print(f"rules_evaluated={len(healthy)}/{len(rules())}")  # noqa: T201
        assert healthy == {rule["alert"] for rule in rules()}
        # The certificates of these sites are valid for a day.
        raised = {alert["labels"].get("certificate") for alert in prometheus.get("alerts")["alerts"]}
        assert {"gateway_certificate", "broker_certificate"} <= raised
