# SPDX-License-Identifier: Apache-2.0
"""Which devices a selector means: one answer for loading, which checks claims, and for planning, which acts on them."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model import Device, Labels, Selector, SelectorExpression, SelectorOperator

Matcher = Callable[[Device], bool]


def matcher(selector: Selector) -> Matcher:
    """Prepare a selector for many devices: one that names devices or types costs a set lookup each."""
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
        return all(holds(expression, labels) for expression in expressions)

    return matches


def holds(expression: SelectorExpression, labels: Labels) -> bool:
    """Compare one label as Kubernetes does: a label that is missing is `NotIn` every list."""
    match expression.operator:
        case SelectorOperator.IN:
            return labels.get(expression.key) in expression.values
        case SelectorOperator.NOT_IN:
            return labels.get(expression.key) not in expression.values
        case SelectorOperator.EXISTS:
            return expression.key in labels
        case SelectorOperator.DOES_NOT_EXIST:
            return expression.key not in labels
