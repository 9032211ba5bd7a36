# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a real daemon, and every query of the dashboard has data: `make test-monitoring`."""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests import mosquitto
from tests.docs.test_alerts import rules
from tests.docs.test_dashboard import FOLDER, expressions
from tests.system.contest_site import FALSE_POSITIVES, ROUGH, SAMPLE_OPTIONS, SMOOTH, ContestSite
from tests.system.test_contest import DEVICE, made_site

WITHIN_S = 300
VARIABLES = {"$instance": ".+", "$__rate_interval": "1m"}

pytestmark = [
    pytest.mark.build,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(os.environ.get("TINYFLEET_MONITORING") != "1", reason="needs Prometheus: make test-monitoring"),
]


class Prometheus:
    """A Prometheus that scrapes one daemon every second, with the alerts of docs/monitoring."""

    def __init__(self, site: ContestSite, daemon_port: int) -> None:
        self._port = mosquitto.free_port()
        folder = site.world.folder / "prometheus"
        folder.mkdir()
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(FOLDER / "alerts.yml")],
            "scrape_configs": [
                {"job_name": "tinyfleet", "static_configs": [{"targets": [f"127.0.0.1:{daemon_port}"]}]}
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        site.world.start(
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
    with made_site("broker") as site:
        world, port = site.world, mosquitto.free_port()
        toml = Path(world.folder / "gateway.toml")
        toml.write_text(re.sub(r"listen = .*", f'listen = "127.0.0.1:{port}"', toml.read_text()))
        site.site.start_devices(*SAMPLE_OPTIONS)
        world.commit("Begin", site.files())
        site.site.start_gateway()
        prometheus = Prometheus(site, port)
        world.wait_for("the champion", lambda: site.runs("1.0.0"), within_s=WITHIN_S)
        site.feel(DEVICE, 21, 8, SMOOTH)
        site.feel(DEVICE, 22, FALSE_POSITIVES + 2, ROUGH)

        waiting = {expression: title for title, expression, _ in expressions()}
        every = len(waiting)

        def all_have_data() -> bool:
            for expression in [each for each in waiting if prometheus.has_data(each)]:
                del waiting[expression]
            return not waiting

        try:
            world.wait_for("data in every panel", all_have_data, within_s=WITHIN_S)
        finally:
            with capsys.disabled():
                print(f"\nqueries_with_data={every - len(waiting)}/{every} without={sorted(waiting.values())}")  # noqa: T201
        loaded = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        assert {rule["name"] for rule in loaded} == {rule["alert"] for rule in rules()}
        assert {rule["health"] for rule in loaded} == {"ok"}
        # The certificates of this site are valid for a day.
        raised = {alert["labels"].get("certificate") for alert in prometheus.get("alerts")["alerts"]}
        assert {"gateway_certificate", "broker_certificate"} <= raised
