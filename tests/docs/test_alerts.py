# SPDX-License-Identifier: Apache-2.0
"""The metrics of docs/operations.md and the alerts of docs/monitoring have the names and labels of what is exported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import yaml

from reconciler.daemon import cohort_metrics, metrics
from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "operations.md"
CONDITIONS = (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8")
SELECTED = re.compile(r"(tinyfleet_\w+)(?:\{([^}]*)\})?")
FIELDS = {
    "tinyfleet_model_": set(metrics.TOTAL_COUNTERS),
    "tinyfleet_link_": set(metrics.LINK_COUNTERS),
    "tinyfleet_cohort_": set(cohort_metrics.COHORT_COUNTERS),
}


def exported() -> dict[str, set[str]]:
    """Return the labels of each metric, from the source of the modules."""
    modules = ("metrics.py", "operation_metrics.py", "cohort_metrics.py")
    trees = [ast.parse((ROOT / "reconciler" / "daemon" / name).read_text(encoding="utf-8")) for name in modules]
    return {name: labels for tree in trees for node in ast.walk(tree) for name, labels in family(node)}


def family(node: ast.AST) -> Iterator[tuple[str, set[str]]]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("MetricFamily")):
        return
    suffix = "_total" if node.func.id.startswith("Counter") else ""
    labels = {label for each in node.keywords if each.arg == "labels" for label in ast.literal_eval(each.value)}
    match node.args[0]:
        case ast.Constant(value=str(name)):
            yield f"{name}{suffix}", labels
        case ast.JoinedStr(values=[ast.Constant(value=str(prefix)), ast.FormattedValue()]):
            yield from ((f"{prefix}{field}{suffix}", labels) for field in FIELDS[prefix])
        case other:
            raise AssertionError(f"a family without a name that can be read: {ast.unparse(other)}")


def rules() -> list[dict[str, Any]]:
    text = (ROOT / "docs" / "monitoring" / "alerts.yml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_exported_metrics_are_found_in_the_source() -> None:
    assert exported()["tinyfleet_devices"] == {"reason"}
    assert "tinyfleet_updates_total" in exported()
    assert "tinyfleet_link_sent_bytes_total" in exported()


def test_every_metric_is_on_the_page() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| metric | labels |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(tinyfleet_\w+)`", table))
    for prefix, fields in FIELDS.items():
        if f"`{prefix}…_total`" in table:
            row = next(line for line in table.splitlines() if f"`{prefix}…_total`" in line)
            named |= {f"{prefix}{field}_total" for field in fields if re.search(rf"\b{field}\b", row)}
    assert exported().keys() == named


def test_alerts_select_exported_metrics() -> None:
    selected = [(rule["alert"], *match) for rule in rules() for match in SELECTED.findall(rule["expr"])]
    assert len(selected) > 8
    for alert, name, selection in selected:
        labels = set(re.findall(r"(\w+)=~?\"", selection))
        assert name in exported(), alert
        assert labels <= exported()[name], alert
    for rule in rules():
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert used <= {label for name, _ in SELECTED.findall(rule["expr"]) for label in exported()[name]}, rule[
            "alert"
        ]


def test_alerts_use_existing_reasons() -> None:
    asked = {
        reason
        for rule in rules()
        for words in re.findall(r'reason=~?"([^"]+)"', rule["expr"])
        for reason in words.split("|")
    }
    assert asked
    assert {reason for reason in asked if f"`{reason}`" not in CONDITIONS} == set()
