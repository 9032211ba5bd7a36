# SPDX-License-Identifier: Apache-2.0
"""The vibration of a bearing that wears out: impacts with slip, in and out of the load zone, that ring the housing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from bench.bearings.geometry import SHAFT_HZ, ZA_2115
from bench.bearings.signal import RATE_HZ, SAMPLES, SECONDS, Floats, tone

FREQUENCIES = ZA_2115.fault_frequencies(SHAFT_HZ)
SLIP = 0.015  # standard deviation of the time between two impacts
UNEVENNESS = 0.4  # of the strength of single impacts
GROWTH = 3.2  # exponent of the growth of wear
WORST_G = 2.4
WHIRL_G = 0.03
WHIRL_RATIO = 0.43  # of the shaft's speed, as of a shaft with too much clearance
RESONANCE_HZ, RESONANCE_DECAY = 3_800, 700
PUSH, PUSH_DECAY = 0.35, 400  # what each impact leaves below the resonance
RING_SAMPLES = 200
ROOM_S = RING_SAMPLES / RATE_HZ


class FaultyPart(Enum):
    """The part that fails, with its rate of impacts and the rate at which it passes the load zone."""

    INNER_RACE = (FREQUENCIES.inner_race_hz, SHAFT_HZ)
    ROLLING_ELEMENT = (2 * FREQUENCIES.element_spin_hz, FREQUENCIES.cage_hz)

    @property
    def impacts_hz(self) -> float:
        """Impacts per second."""
        return self.value[0]

    @property
    def load_zone_hz(self) -> float:
        """Passes through the load zone per second."""
        return self.value[1]


@dataclass(frozen=True)
class Fault:
    """A part that fails, and the part of its life after which that begins."""

    part: FaultyPart
    onset: float

    def wear(self, life: float) -> float:
        """Return 0 before the onset, and 1 at the end of life."""
        return max(0.0, (life - self.onset) / (1 - self.onset))


def fault_vibration(fault: Fault, life: float, random: np.random.Generator) -> Floats:
    """Return the vibration that the fault adds, in g."""
    wear = fault.wear(life)
    if not wear:
        return np.zeros(SAMPLES)
    grown = math.expm1(GROWTH * wear) / math.expm1(GROWTH)
    strength = max(0.0, WORST_G * grown * (1 + 0.3 * random.standard_normal()))
    impacts = strength * _impacts(fault.part, random)
    whirl = WHIRL_G * wear**2 * tone(WHIRL_RATIO * SHAFT_HZ, random.uniform(0, 2 * math.pi))
    return np.asarray(np.convolve(impacts, _RING)[:SAMPLES] + whirl, np.float64)


def _impacts(part: FaultyPart, random: np.random.Generator) -> Floats:
    count = math.ceil(part.impacts_hz * SECONDS)
    at_s = np.cumsum((1 + SLIP * random.standard_normal(count)) / part.impacts_hz)
    at_s = at_s[at_s < SECONDS - ROOM_S]
    angle = 2 * np.pi * part.load_zone_hz * at_s + random.uniform(0, 2 * math.pi)
    load = np.clip(np.cos(angle), 0, None) ** 1.5
    strength = load * (1 + UNEVENNESS * random.standard_normal(len(at_s)))
    impacts = np.zeros(SAMPLES)
    np.add.at(impacts, (at_s * RATE_HZ).astype(np.int64), strength)
    return impacts


def _ring() -> Floats:
    """Return the answer of the housing to one impact."""
    since_s = np.arange(RING_SAMPLES) / RATE_HZ
    resonance = np.exp(-RESONANCE_DECAY * since_s) * np.sin(2 * np.pi * RESONANCE_HZ * since_s)
    return np.asarray(resonance + PUSH * np.exp(-PUSH_DECAY * since_s), np.float64)


_RING = _ring()
