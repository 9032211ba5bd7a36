# SPDX-License-Identifier: Apache-2.0
"""Evaluates selectors. Loading uses it to check claims, and planning to act on them, so both agree."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model import Device, Labels, Selector, SelectorExpression, SelectorOperator

Matcher = Callable[[Device], bool]


def matcher(selector: Selector | None) -> Matcher:
    """Compile a selector for many devices; None matches none. Names of devices and types cost one set lookup each."""
    if selector is None:
        return lambda _device: False
    devices = frozenset(selector.devices)
    types = frozenset(selector.types)
    pairs = tuple(selector.match_labels.items())
    expressions = selector.match_expressions

    def matches(device: Device) -> bool:
        if devices and device.name not in devices:
            return False
        if types and device.type not in types:
            return False
        labels = device.labels
        for key, value in pairs:
            if labels.get(key) != value:
                return False
        return all(_expression_matches(expression, labels) for expression in expressions)

    return matches


def _expression_matches(expression: SelectorExpression, labels: Labels) -> bool:
    """Evaluate one expression as Kubernetes does: a missing label is `NotIn` every list."""
    match expression.operator:
        case SelectorOperator.IN:
            return labels.get(expression.key) in expression.values
        case SelectorOperator.NOT_IN:
            return labels.get(expression.key) not in expression.values
        case SelectorOperator.EXISTS:
            return expression.key in labels
        case SelectorOperator.DOES_NOT_EXIST:
            return expression.key not in labels
