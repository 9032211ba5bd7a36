# SPDX-License-Identifier: Apache-2.0
"""Figures that have a bar: each is printed with its bar, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Compared(Enum):
    """How a figure is compared with its bar."""

    AT_MOST = "≤"
    AT_LEAST = "≥"
    EXACTLY = "="


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure has to reach."""

    name: str
    compared: Compared
    bar: float

    def is_met(self, figure: float) -> bool:
        """Return whether a figure reaches it."""
        match self.compared:
            case Compared.AT_MOST:
                return figure <= self.bar
            case Compared.AT_LEAST:
                return figure >= self.bar
            case Compared.EXACTLY:
                return figure == self.bar

    def line(self, figure: float) -> str:
        """Print a figure."""
        verdict = "met" if self.is_met(figure) else "missed"
        return f"{self.name}={figure:.9g}  # {self.compared.value} {self.bar:.9g}: {verdict}"


def at_most(name: str, bar: float) -> Bar:
    """Return a bar that a figure may not exceed."""
    return Bar(name, Compared.AT_MOST, bar)


def at_least(name: str, bar: float) -> Bar:
    """Return a bar that a figure has to reach."""
    return Bar(name, Compared.AT_LEAST, bar)


def exactly(name: str, bar: float) -> Bar:
    """Return a bar that a figure has to equal."""
    return Bar(name, Compared.EXACTLY, bar)
