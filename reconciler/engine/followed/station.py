# SPDX-License-Identifier: Apache-2.0
"""Looks at the references that models follow, and wants a new version proposed when one points to another file.

Nothing is kept on disk: the repository says which files are known, and the registry which one is referred to. A check
is made every `CHECK_EVERY_S`, in a thread. It fetches a file only if its address is not known yet.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from reconciler.compiler.source_fetcher import from_url
from reconciler.engine.clock import Clock
from reconciler.engine.proposals.version_change import WantedVersion
from reconciler.errors import FleetError
from reconciler.model import Desired, Digest, GatewayId, Model, ModelRef, ModelSource, RolloutId, Version
from reconciler.registries import client
from reconciler.registries.addresses import parse
from reconciler.report.followed_files import MovedRollout, followed_message
from reconciler.selection import matcher

log = logging.getLogger(__name__)

CHECK_EVERY_S = 30.0
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a reference pointed to when it was last looked at."""

    reference: str
    version: str
    source: ModelSource


class FollowedModels:
    """The models that this gateway follows. For the event loop's thread."""

    def __init__(self, name: GatewayId, clock: Clock, wake: Callable[[], None]) -> None:
        self._name = name
        self._clock = clock
        self._wake = wake
        self._models: tuple[Model, ...] = ()
        self._seen: dict[str, _Seen] = {}  # by the name of the model
        self._troubles: dict[str, str] = {}
        self._due_s = 0.0  # of the steady clock
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Return whether a check runs."""
        return self._task is not None

    @property
    def troubles(self) -> Mapping[str, str]:
        """Return why the reference of a model could not be read, by name."""
        return self._troubles

    @property
    def active(self) -> bool:
        """Return whether this gateway follows anything."""
        return bool(self._models)

    def watch(self, desired: Desired) -> None:
        """Take in what Git says, and begin a check if one is due."""
        self._models = tuple(following(desired, self._name))
        names = {each.ref.name for each in self._models}
        for known in (self._seen, self._troubles):
            for name in known.keys() - names:
                del known[name]
        if self._models and self._task is None and self._clock.steady_s() >= self._due_s:
            self._due_s = self._clock.steady_s() + CHECK_EVERY_S
            self._task = asyncio.create_task(self._check(self._models), name="followed models")

    def wanted(self, desired: Desired) -> tuple[WantedVersion, ...]:
        """Return the versions that should be proposed: of files that no version of the model has."""
        found = []
        for model in self._models:
            seen = self._seen.get(model.ref.name)
            if seen is not None and model.follow is not None and seen.reference == model.follow.url:
                versions = [each for ref, each in desired.models.items() if ref.name == model.ref.name]
                if not any(_is_same(each.source, seen.source) for each in versions):
                    found.append(_wanted(desired, model, seen, self._name))
        return tuple(found)

    def next_check_in_s(self) -> float | None:
        """Return after how long a check is due; None: nothing is followed, or a check runs."""
        if not self._models or self._task is not None:
            return None
        return max(0.0, self._due_s - self._clock.steady_s())

    async def stop(self) -> None:
        """Wait for a check that runs."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _check(self, models: tuple[Model, ...]) -> None:
        try:
            for model in models:
                await self._look(model)
        finally:
            self._task = None
            self._wake()

    async def _look(self, model: Model) -> None:
        name = model.ref.name
        try:
            seen = await asyncio.to_thread(look, model, self._seen.get(name))
        except FleetError as failure:
            if self._troubles.get(name) != str(failure):
                log.warning("model %s: %s", name, failure, extra={"reason": failure.reason})
            self._troubles[name] = str(failure)
        except Exception:  # the task has no other reader: a bug must not end the checks silently
            log.exception("model %s: a bug; it is tried again", name)
        else:
            self._troubles.pop(name, None)
            self._seen[name] = seen


def following(desired: Desired, gateway: GatewayId) -> list[Model]:
    """Return the newest version of each model that follows a reference, as far as this gateway looks at it."""
    newest: dict[str, Model] = {}
    for ref in sorted(desired.models, key=lambda each: (each.name, _natural(each.version))):
        if desired.models[ref].follow is not None:
            newest[ref.name] = desired.models[ref]
    return [model for model in newest.values() if model.follow is not None and model.follow.gateway == gateway]


def look(model: Model, before: _Seen | None) -> _Seen:
    """Return what the reference of a model points to now. Blocks."""
    assert model.follow is not None  # noqa: S101 - only such models are looked at
    pinned = client.pin(parse(model.follow.url))
    url = str(pinned)
    if before is not None and before.source.url == url:
        return replace(before, reference=model.follow.url)
    digest = model.source.sha256 if model.source.url == url else Digest(hashlib.sha256(from_url(url)).hexdigest())
    return _Seen(model.follow.url, pinned.label, ModelSource(digest, url=url))


def _wanted(desired: Desired, model: Model, seen: _Seen, gateway: GatewayId) -> WantedVersion:
    ref = ModelRef(model.ref.name, Version(seen.version))
    moved = [
        MovedRollout(name, sum(map(matcher(rollout.selector), desired.devices.values())))
        for name, rollout in sorted(desired.rollouts.items())
        if rollout.model == model.ref
    ]
    message = followed_message(model, ref, seen.source, moved, gateway)
    rollouts: tuple[RolloutId, ...] = tuple(each.name for each in moved)
    return WantedVersion(model, ref, seen.source, rollouts, message)


def _is_same(one: ModelSource, other: ModelSource) -> bool:
    return one.url == other.url or one.sha256 == other.sha256


def _natural(version: str) -> list[tuple[int, str]]:
    """Order 1.9 before 1.10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in _DIGITS.split(version) if part]
