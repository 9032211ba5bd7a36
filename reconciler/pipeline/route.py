# SPDX-License-Identifier: Apache-2.0
"""The way of tensors through the stages of a pipeline, all of which the gateway keeps until the result is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Tensors = Mapping[int, bytes]  # by their numbers in the network


@dataclass(frozen=True, slots=True)
class RoutedStage:
    """A stage: its pack, and which tensors of the network go in and come out, with their sizes."""

    number: int  # from 1
    digest16: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_bytes: tuple[int, ...]

    def given(self, tensors: Tensors) -> list[bytes]:
        """Return the stage's inputs."""
        return [tensors[index] for index in self.inputs]

    def with_outputs(self, tensors: Tensors, outputs: bytes) -> Tensors:
        """Return the tensors with the outputs of the stage, which are given one after the other."""
        found = dict(tensors)
        at = 0
        for index, size in zip(self.outputs, self.output_bytes, strict=True):
            found[index] = outputs[at : at + size]
            at += size
        return found


@dataclass(frozen=True, slots=True)
class Route:
    """All stages of one revision of a pipeline, and the tensors that the network takes and gives."""

    stages: tuple[RoutedStage, ...]
    inputs: tuple[int, ...]
    input_bytes: tuple[int, ...]
    outputs: tuple[int, ...]

    def begin(self, data: bytes) -> Tensors:
        """Split an input of the network into its tensors."""
        tensors = {}
        at = 0
        for index, size in zip(self.inputs, self.input_bytes, strict=True):
            tensors[index] = data[at : at + size]
            at += size
        return tensors

    def result(self, tensors: Tensors) -> bytes:
        """Return the outputs of the network, one after the other."""
        return b"".join(tensors[index] for index in self.outputs)


def route_of(stages: Sequence[RoutedStage], figures: Mapping[str, float], input_sizes: Mapping[int, int]) -> Route:
    """Return the route through stages, whose build figures name the tensors of the whole network."""
    inputs = tensors_named(figures, "network_input")
    sizes = tuple(input_sizes[index] for index in inputs)
    return Route(tuple(stages), inputs, sizes, tensors_named(figures, "network_output"))


def tensors_named(figures: Mapping[str, float], side: str) -> tuple[int, ...]:
    """Return the tensors of one side of a stage, as the figures of its build list them."""
    count = sum(name.startswith(f"{side}_tensor_") for name in figures)
    return tuple(int(figures[f"{side}_tensor_{place}"]) for place in range(count))
