# SPDX-License-Identifier: Apache-2.0
"""The Rexnord ZA-2115 bearing on a shaft at 2,000 revolutions per minute, and the frequencies of its faults."""

from __future__ import annotations

import math
from dataclasses import dataclass

SHAFT_HZ = 2000 / 60


@dataclass(frozen=True)
class FaultFrequencies:
    """How often per second each part of a bearing meets a fault."""

    cage_hz: float  # FTF
    outer_race_hz: float  # BPFO
    inner_race_hz: float  # BPFI
    element_spin_hz: float  # BSF; a fault of a rolling element hits both races, so twice as often


@dataclass(frozen=True)
class BearingGeometry:
    """The sizes that decide the frequencies; the two diameters share a unit."""

    elements: int
    element_diameter: float
    pitch_diameter: float
    contact_angle_deg: float

    def fault_frequencies(self, shaft_hz: float) -> FaultFrequencies:
        """Return the frequencies for rolling without slip."""
        ratio = self.element_diameter / self.pitch_diameter * math.cos(math.radians(self.contact_angle_deg))
        cage_hz = shaft_hz / 2 * (1 - ratio)
        return FaultFrequencies(
            cage_hz=cage_hz,
            outer_race_hz=self.elements * cage_hz,
            inner_race_hz=self.elements * (shaft_hz - cage_hz),
            element_spin_hz=shaft_hz * self.pitch_diameter / (2 * self.element_diameter) * (1 - ratio**2),
        )


ZA_2115 = BearingGeometry(elements=16, element_diameter=8.4, pitch_diameter=71.5, contact_angle_deg=15.17)
