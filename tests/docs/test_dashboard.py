# SPDX-License-Identifier: Apache-2.0
"""docs/monitoring: the dashboard shows what the daemon exports, and every alert has a unit test."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.docs.markdown import ROOT
from tests.docs.test_alerts import exported, rules

FOLDER = ROOT / "docs" / "monitoring"
WIDTH = 24
SELECTED = re.compile(r"(tinyfleet_\w+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:sum|max) by \(([^)]*)\) \(.*?(tinyfleet_\w+)")
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="the package prometheus is not installed")


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard, without the headings of its rows."""
    document = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str, str]]:
    """Yield the title of a panel, one of its queries, and the legend of that query."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def test_every_query_selects_exported_metrics_and_labels_of_the_chosen_gateways() -> None:
    for title, expression, legend in expressions():
        selected = SELECTED.findall(expression)
        assert selected, title
        for name, selection in selected:
            labels = set(re.findall(r"(\w+)=~?\"", selection))
            assert name in exported(), title
            assert labels - {"instance"} <= exported()[name], title
            assert 'instance=~"$instance"' in selection, title
        grouped = GROUPED.search(expression)
        known = set(grouped[1].split(", ")) if grouped is not None else {"instance"} | exported()[selected[0][0]]
        if grouped is not None:
            assert known <= exported()[grouped[2]], title
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= known, title


def test_every_exported_metric_is_on_the_dashboard() -> None:
    shown = {name for _, expression, _ in expressions() for name, _ in SELECTED.findall(expression)}
    assert exported().keys() - shown == set()


def test_panels_are_told_apart_described_and_do_not_overlap() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    assert len({panel["title"] for panel in found}) == len(found)
    assert all(panel["description"].endswith(".") for panel in found)
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in found)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(cells.values()) == 1
    assert all(0 <= x < WIDTH for x, _ in cells)


def test_every_alert_has_a_unit_test_that_it_fires_and_one_that_it_waits() -> None:
    document = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))
    checks = [check for test in document["tests"] for check in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert all(name.startswith("Tinyfleet") for name in names)
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == names
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == names


@needs_promtool
@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_promtool_accepts_the_alerts(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=FOLDER, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
