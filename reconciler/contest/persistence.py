# SPDX-License-Identifier: Apache-2.0
"""Anomalies that pass: a fault lasts, and a knock from outside does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.model import DeviceId, Persistence


def passing(anomalies: Sequence[EvaluatedSample], wanted: Persistence) -> frozenset[int]:
    """Return the indices of the anomalies around which too few of the same device arrived. Labelled ones never pass."""
    of_device: dict[DeviceId, list[int]] = defaultdict(list)
    for index in sorted(range(len(anomalies)), key=lambda each: anomalies[each].received_at):
        of_device[anomalies[index].device].append(index)
    within, lasting = timedelta(seconds=wanted.within_s), set[int]()
    for mine in of_device.values():
        for first in range(len(mine) - wanted.windows + 1):
            together = mine[first : first + wanted.windows]
            if anomalies[together[-1]].received_at - anomalies[together[0]].received_at <= within:
                lasting.update(together)
    return frozenset(index for index, sample in enumerate(anomalies) if sample.label is None and index not in lasting)
