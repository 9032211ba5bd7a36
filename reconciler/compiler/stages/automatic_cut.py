# SPDX-License-Identifier: Apache-2.0
"""Cuts a network where it is best for the devices of a pipeline's stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.compiler.errors import BuildFailed, NoPlacement
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.stages.split_layers import PARTS_MAX
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.model import PipelineObjective, StagePlace
from reconciler.pipeline.anatomy import Anatomy
from reconciler.pipeline.ordered_cuts import cuts_in_order, furthest
from reconciler.pipeline.partition import DeviceClass, Partition, PartitionGoal, partition
from reconciler.pipeline.places import speed_of
from reconciler.pipeline.stage_time import stage_time

_NAMES = {PipelineObjective.LATENCY: "latency", PipelineObjective.THROUGHPUT: "period"}


class PlacedNetwork:
    """A network, and what each part of it would need at each place of a pipeline."""

    def __init__(self, network: CutNetwork, places: Sequence[StagePlace]) -> None:
        self._network = network
        self._places = places
        anatomies: dict[StagePlace, Anatomy] = {}
        for place in map(_capacity, places):
            if place not in anatomies:
                limits = DeviceLimits(place.pack_format, place.arena_bytes)
                anatomies[place] = network.anatomy(place.architecture, limits, place.slot_bytes)
        self._classes = [_class(place, anatomies[_capacity(place)]) for place in places]

    def cuts(self, objective: PipelineObjective) -> Partition:
        """Return the best cuts for the places in their order. Raises `NoPlacement`."""
        found = cuts_in_order(self._network.operators, self._classes, PartitionGoal(objective.value))
        if found is None:
            raise NoPlacement(self._why_not())
        return found

    def in_any_order(self, objective: PipelineObjective) -> Partition | None:
        """Return the best partition that the same devices allow if each may come first, and some may be left out."""
        alike: dict[StagePlace, DeviceClass] = {}
        for place, each in zip(self._places, self._classes, strict=True):
            known = alike.get(place)
            alike[place] = each if known is None else replace(known, count=known.count + 1)
        return partition(self._network.operators, list(alike.values()), PartitionGoal(objective.value))

    def _why_not(self) -> str:
        operators, reached = self._network.operators, furthest(self._network.operators, self._classes)
        if len(reached) < len(self._places):
            number, before = len(reached) + 1, reached[-1] if reached else 0
            place = self._places[number - 1]
            return (
                f"no cut fits: stage {number} has no part that begins at operator {before} or before and fits device "
                f"type {place.type}, with a slot of {place.slot_bytes} bytes and an arena of {place.arena_bytes}"
            )
        return (
            f"no cut fits: with {len(reached)} stages, at most {reached[-1]} of the {operators} operators fit their "
            "devices; add a stage, or devices with larger slots or arenas"
        )


def split_where_needed(network: CutNetwork, places: Sequence[StagePlace]) -> CutNetwork:
    """Compute each layer that fits none of the places in as few parts as fit one of them, by its output channels."""
    kinds = list(dict.fromkeys(map(_capacity, places)))
    position = 0
    while position < network.operators:
        parts = 1
        if not _fits_any(network, position, kinds):
            divided = _fewest_parts(network, position, kinds)
            if divided is not None:
                network, parts = divided
        position += parts
    return network


def _fewest_parts(network: CutNetwork, position: int, kinds: Sequence[StagePlace]) -> tuple[CutNetwork, int] | None:
    for parts in range(2, PARTS_MAX + 1):
        divided = network.split(position, parts)
        if divided is not None and all(_fits_any(divided, position + part, kinds) for part in range(parts)):
            return divided, parts
    return None


def _fits_any(network: CutNetwork, position: int, kinds: Sequence[StagePlace]) -> bool:
    """Return whether an operator fits a device on its own. One that computes nothing goes with another."""
    for kind in kinds:
        limits = DeviceLimits(kind.pack_format, kind.arena_bytes)
        segment = network.segment(position, position + 1, kind.architecture, limits)
        if segment is None:
            return True
        if segment.fits(kind.slot_bytes, kind.arena_bytes) and segment.operators <= frozenset(kind.operators):
            return True
    return False


def _capacity(place: StagePlace) -> StagePlace:
    """Return a place without what does not matter for which parts fit, so that a network is measured once for each."""
    return replace(place, clock=None, line=None, baud=None)


def _class(place: StagePlace, anatomy: Anatomy) -> DeviceClass:
    operators = frozenset(place.operators)
    try:
        speed = speed_of(place)
    except ValueError as error:
        raise BuildFailed(f"device type {place.type}: the clock {place.clock!r} is not a number of MHz") from error
    times = {
        cut: stage_time(segment, speed, CYCLES_PER_INSTRUCTION)
        for cut, segment in anatomy.segments.items()
        if segment.operators <= operators
    }
    return DeviceClass(place.type, 1, times, place.line)


def order_notes(found: Partition, freely: Partition | None, objective: PipelineObjective) -> tuple[str, ...]:
    """Describe what another order of the devices would gain, if it gains anything."""
    if freely is None or _aim(freely, objective) >= _aim(found, objective):
        return ()
    types = ", ".join(f"{stage.device_class} to operator {stage.end}" for stage in freely.stages)
    gained = f"{_aim(freely, objective) / 1000:.1f} ms instead of {_aim(found, objective) / 1000:.1f} ms"
    return (f"a {_NAMES[objective]} of {gained} is possible with the same devices as {types}",)


def _aim(found: Partition, objective: PipelineObjective) -> int:
    return found.latency_us if objective is PipelineObjective.LATENCY else found.period_us
