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

from reconciler.model import CLASSIFIERS, Decide, FeatureOf, ForestScheme, SearchSpace, Training, TrainingMethod

Choice = TypeVar("Choice")
_SEED_LIMIT = 2**32


@dataclass(frozen=True, slots=True)
class ForestSettings:
    """The settings of a forest."""

    trees: int
    samples: int
    max_depth: int
    scheme: ForestScheme
    features: tuple[FeatureOf, ...]  # empty: the values of a sample


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The settings of a network."""

    name: str  # of the file, whose suffix says what it is
    sha256: str  # of the file: the architecture and the first weights
    decide: Decide
    epochs: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One model that is trained: its method with one value of each setting."""

    number: int  # from 1
    method: TrainingMethod
    made_of: ForestSettings | NetworkSettings
    seed: int

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that have an effect on the model, for people and programs."""
        made_of = self.made_of
        if isinstance(made_of, NetworkSettings):
            return {
                "method": self.method.value,
                "source": made_of.name,
                "sha256": made_of.sha256,
                "decide": made_of.decide.value,
                "epochs": made_of.epochs,
                "batchSize": made_of.batch_size,
                "learningRate": made_of.learning_rate,
                "seed": self.seed,
            }
        own = {"maxDepth": made_of.max_depth} if self.method in CLASSIFIERS else {"samples": made_of.samples}
        features = [f"{each.statistic}:{each.channel}" if each.channel else each.statistic for each in made_of.features]
        return {
            "method": self.method.value,
            "trees": made_of.trees,
            **own,
            "scheme": made_of.scheme.value,
            "seed": self.seed,
            "features": features,
        }


def draw_trials(training: Training) -> tuple[Trial, ...]:
    """Return all trials of a training."""
    return tuple(_draw(training, number) for number in range(1, training.trials + 1))


def _draw(training: Training, number: int) -> Trial:
    draws = _Draws(training.seed, number)
    space = draws.one_of(training.try_)
    made_of = _network(draws, space) if space.method is TrainingMethod.KERAS else _forest(draws, space)
    return Trial(number, space.method, made_of, draws.below(_SEED_LIMIT))


def _forest(draws: _Draws, space: SearchSpace) -> ForestSettings:
    return ForestSettings(
        draws.one_of(space.trees),
        draws.one_of(space.samples),
        draws.one_of(space.max_depth),
        draws.one_of(space.scheme),
        _features(draws, space),
    )


def _network(draws: _Draws, space: SearchSpace) -> NetworkSettings:
    if space.source is None or space.decide is None:
        raise ValueError("a network without a source or a decision is refused when the fleet is loaded")
    name = (space.source.path or space.source.url or "").rpartition("/")[2]
    return NetworkSettings(
        name,
        space.source.sha256,
        space.decide,
        draws.one_of(space.epochs),
        draws.one_of(space.batch_size),
        draws.one_of(space.learning_rate),
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
