# SPDX-License-Identifier: Apache-2.0
"""Which pipelines this gateway runs: it routes their inputs, and offers them as operations."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import Desired, Pipeline, PipelineId


def served_pipelines(desired: Desired) -> Mapping[PipelineId, Pipeline]:
    """Return the pipelines all of whose devices are among those that are wanted here."""
    devices = desired.devices
    return {
        name: each
        for name, each in desired.pipelines.items()
        if all(device in devices for stage in each.stages for device in stage.devices)
        and (each.fallback is None or all(device in devices for device in each.fallback.devices))
    }
