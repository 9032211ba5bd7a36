# SPDX-License-Identifier: Apache-2.0
"""A network on equal boards behind a broker, none of which can hold all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.zoo import keyword_spotting, residual
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.pipeline.anatomy import Anatomy
from reconciler.pipeline.partition import DeviceClass, Partition, PartitionGoal, partition
from reconciler.pipeline.stage_time import StageSpeed, computing_us, stage_time

KIB = 1024
ARENA_BYTES = 32 * KIB  # of every board
DEVICES = 8
ANY_SIZE = 1 << 20


class Case:
    """One network, and the boards."""

    def __init__(self, name: str, model: bytes, slot_bytes: int, clock_mhz: float) -> None:
        self.name, self.model, self.slot_bytes = name, model, slot_bytes
        self.network = CutNetwork(model)
        self.speed = StageSpeed(clock_mhz)
        self.limits = DeviceLimits(arena_bytes=ARENA_BYTES)
        self.anatomy = self.network.anatomy("cortex-m4", self.limits, slot_bytes)
        self.devices = self._class(self.anatomy)
        self.oracle = Oracle(model)
        self.input_shape = tuple(self.oracle.inputs[0]["shape"])

    def _class(self, anatomy: Anatomy) -> DeviceClass:
        times = {cut: stage_time(part, self.speed, CYCLES_PER_INSTRUCTION) for cut, part in anatomy.segments.items()}
        return DeviceClass("board", DEVICES, times)

    def cut(self, goal: PartitionGoal, devices: int = DEVICES) -> Partition:
        """Cut the model for some of the boards."""
        found = partition(self.network.operators, [replace(self.devices, count=devices)], goal)
        if found is None or not found.proven:
            raise SystemExit(f"{self.name}: no partition is proven")
        return found

    @property
    def fits_alone(self) -> bool:
        """Whether one board can hold all of it."""
        return (0, self.network.operators) in self.anatomy.segments

    def alone(self) -> Anatomy:
        """Return what the model in one piece needs, on a board with enough memory."""
        return self.network.anatomy("cortex-m4", DeviceLimits(arena_bytes=ANY_SIZE), ANY_SIZE)

    def alone_us(self) -> int:
        """Return the predicted time of the model in one piece."""
        return self._class(self.alone()).times[0, self.network.operators].busy_us

    def alone_computing_us(self) -> float:
        """Return how long a board computes the model in one piece."""
        whole = self.alone().segments[0, self.network.operators]
        return computing_us(whole, self.speed.clock_mhz, CYCLES_PER_INSTRUCTION)

    def expected(self, given: bytes) -> bytes:
        """Return what TensorFlow Lite computes of the model in one piece."""
        values = np.frombuffer(given, np.int8).reshape(self.input_shape)
        return self.oracle.run([values])[0].astype(np.int8).tobytes()

    def inputs(self, count: int, seed: int = 1) -> list[bytes]:
        """Draw inputs."""
        chance = np.random.default_rng(seed)
        return [chance.integers(-128, 128, self.input_shape).astype(np.int8).tobytes() for _ in range(count)]


def keywords() -> Case:
    """Keyword spotting, 25 MHz, slots of 12 KiB."""
    return Case("kws", keyword_spotting(), 12 * KIB, 25)


def images() -> Case:
    """Return a ResNet, 120 MHz, slots of 64 KiB."""
    return Case("resnet", residual(), 64 * KIB, 120)
