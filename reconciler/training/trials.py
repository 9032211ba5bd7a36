# SPDX-License-Identifier: Apache-2.0
"""The trials of a training, all drawn from its seed before any of them runs.

So the order in which they run, and how many at once and where, changes nothing. The draws are taken from SHA-256 and
not from a library's generator, so that no release of one changes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from reconciler.model import CLASSIFIERS, FeatureOf, ForestScheme, SearchSpace, Training, TrainingMethod

Choice = TypeVar("Choice")
_SEED_LIMIT = 2**32


@dataclass(frozen=True, slots=True)
class Trial:
    """One model that is trained: its method with one value of each setting."""

    number: int  # from 1
    method: TrainingMethod
    trees: int
    samples: int
    max_depth: int
    scheme: ForestScheme
    features: tuple[FeatureOf, ...]  # empty: the values of a sample
    seed: int

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that have an effect on the model, for people and programs."""
        own = {"maxDepth": self.max_depth} if self.method in CLASSIFIERS else {"samples": self.samples}
        features = [f"{each.statistic}:{each.channel}" if each.channel else each.statistic for each in self.features]
        return {
            "method": self.method.value,
            "trees": self.trees,
            **own,
            "scheme": self.scheme.value,
            "seed": self.seed,
            "features": features,
        }


def draw_trials(training: Training) -> tuple[Trial, ...]:
    """Return all trials of a training."""
    return tuple(_draw(training, number) for number in range(1, training.trials + 1))


def _draw(training: Training, number: int) -> Trial:
    draws = _Draws(training.seed, number)
    space = draws.one_of(training.try_)
    return Trial(
        number,
        space.method,
        draws.one_of(space.trees),
        draws.one_of(space.samples),
        draws.one_of(space.max_depth),
        draws.one_of(space.scheme),
        _features(draws, space),
        draws.below(_SEED_LIMIT),
    )


def _features(draws: _Draws, space: SearchSpace) -> tuple[FeatureOf, ...]:
    choice = space.features
    if choice is None:
        return ()
    count = draws.one_of(choice.choose) if choice.choose else len(choice.of)
    left = list(range(len(choice.of)))
    chosen = sorted(left.pop(draws.below(len(left))) for _ in range(count))
    return tuple(choice.of[index] for index in chosen)


class _Draws:
    """Numbers that depend on a seed, the number of the trial and how many were drawn before."""

    def __init__(self, seed: int, trial: int) -> None:
        self._prefix = f"tinyfleet training {seed} {trial} "
        self._drawn = 0

    def below(self, limit: int) -> int:
        """Return a number from 0 to below a limit, which is at most 2**32: of 256 bits, the bias is nothing."""
        self._drawn += 1
        digest = hashlib.sha256(f"{self._prefix}{self._drawn}".encode()).digest()
        return int.from_bytes(digest) % limit

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """Return one of these."""
        return choices[self.below(len(choices))]
