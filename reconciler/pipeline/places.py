# SPDX-License-Identifier: Apache-2.0
"""What cuts and predictions depend on of the devices of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.model import (
    CLOCK_LABEL,
    Device,
    DeviceId,
    DeviceType,
    PipelineStage,
    SerialAddress,
    StagePlace,
    TypeId,
)
from reconciler.pipeline.stage_time import ASSUMED_MHZ, StageSpeed


def place_of(
    stage: PipelineStage, devices: Mapping[DeviceId, Device], types: Mapping[TypeId, DeviceType]
) -> StagePlace:
    """Describe the first device of a stage; its spares have the same type."""
    device = devices[stage.devices[0]]
    kind = types[device.type]
    place = StagePlace(
        kind.name, kind.architecture, kind.slot_bytes, kind.arena_bytes, tuple(sorted(kind.operators)),
        kind.pack_format, kind.labels.get(CLOCK_LABEL),
    )  # fmt: skip
    link = device.link
    return replace(place, line=link.port, baud=link.baud) if isinstance(link, SerialAddress) else place


def speed_of(place: StagePlace) -> StageSpeed:
    """Return how fast the devices of a stage are. Raises `ValueError` for a clock that is not a number."""
    return StageSpeed(float(place.clock) if place.clock is not None else ASSUMED_MHZ, place.baud)
