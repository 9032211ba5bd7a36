# SPDX-License-Identifier: Apache-2.0
"""From a pass to the facts that the status reports of each model: its packs, where it runs, how often it alarms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.model import (
    Action,
    Artifact,
    ArtifactKey,
    Configure,
    Desired,
    DeviceId,
    Digest,
    Model,
    ModelRef,
    Observed,
    Phase,
    RolloutId,
    TypeId,
    short_digest,
)
from reconciler.model.snapshot_cache import SnapshotCache
from reconciler.report.model_status import BuiltPack, ModelFacts

Gates = Callable[[Desired, Artifact], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ModelSources:
    """The results of a pass from which the facts are made."""

    desired: Desired  # with this gateway's devices alone
    owners: Mapping[DeviceId, RolloutId]
    actions: tuple[Action, ...]
    observed: Observed
    artifacts: Mapping[ArtifactKey, Artifact]
    failures: Mapping[ArtifactKey, str]


@dataclass(slots=True)
class _Use:
    """How one model is used at this gateway."""

    rollouts: set[RolloutId] = field(default_factory=set)
    types: set[TypeId] = field(default_factory=set)
    devices: int = 0
    running: int = 0
    configured: int = 0
    reporting: int = 0
    alarms: int = 0
    seconds: float = 0.0


class ModelFactsBuilder:
    """Keeps the facts while their sources are the same snapshots (reconciler.model.snapshot_cache)."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates
        self._known: SnapshotCache[tuple[ModelFacts, ...]] = SnapshotCache()
        self._failures: dict[ArtifactKey, str] = {}
        self._gate_figures: dict[Digest, tuple[str, ...]] = {}

    def facts(self, sources: ModelSources) -> tuple[ModelFacts, ...]:
        """Return the facts of every model that rollouts of this gateway name, and of the candidates of its contests."""
        snapshots = (sources.desired, sources.actions, sources.observed.devices, sources.artifacts)
        known = self._known.get(*snapshots)
        if known is not None and self._failures == sources.failures:
            return known
        self._failures = dict(sources.failures)
        uses = sorted(_uses(sources).items(), key=_by_name)
        return self._known.put(tuple(self._facts(ref, use, sources) for ref, use in uses), *snapshots)

    def _facts(self, ref: ModelRef, use: _Use, sources: ModelSources) -> ModelFacts:
        model = sources.desired.models[ref]
        packs = [artifact for kind in sorted(use.types) if (artifact := sources.artifacts.get((ref, kind)))]
        missing = tuple(kind for kind in sorted(use.types) if (ref, kind) not in sources.artifacts)
        rollouts = sorted(use.rollouts)
        own = sources.desired.rollouts[rollouts[0]].parameters if rollouts else {}
        return ModelFacts(
            str(ref),
            tuple(rollouts),
            tuple(self._pack(model, pack, sources.desired) for pack in packs),
            missing,
            {kind: why for (name, kind), why in sources.failures.items() if name == ref and kind in use.types},
            use.devices,
            use.running,
            use.configured,
            {**model.parameters, **own},
            use.reporting,
            use.alarms,
            use.seconds,
        )

    def _pack(self, model: Model, artifact: Artifact, desired: Desired) -> BuiltPack:
        digest = artifact.digest
        if digest not in self._gate_figures:
            self._gate_figures[digest] = self._gates(desired, artifact)
        scheme = model.quantize.scheme if model.quantize is not None else ""
        return BuiltPack(artifact.type, artifact.pack_bytes, artifact.arena_bytes, scheme, self._gate_figures[digest])


def _uses(sources: ModelSources) -> Mapping[ModelRef, _Use]:
    """Walk over the devices once."""
    desired, uses = sources.desired, defaultdict[ModelRef, _Use](_Use)
    to_configure = {action.device for action in sources.actions if isinstance(action, Configure)}
    types: dict[RolloutId, set[TypeId]] = defaultdict(set)
    for device, name in sources.owners.items():
        rollout, kind = desired.rollouts[name], desired.devices[device].type
        use = uses[rollout.model]
        use.rollouts.add(name)
        use.types.add(kind)
        use.devices += 1
        types[name].add(kind)
        _add_device(use, device, (rollout.model, kind), sources, is_configured=device not in to_configure)
    for contest in desired.contests.values():
        if contest.rollout in types:
            for ref in _candidates(contest.candidates.models, desired.models):
                uses[ref].types |= types[contest.rollout]
    return uses


def _add_device(use: _Use, device: DeviceId, key: ArtifactKey, sources: ModelSources, *, is_configured: bool) -> None:
    seen, artifact = sources.observed.devices.get(device), sources.artifacts.get(key)
    if seen is None or seen.running is None or artifact is None or seen.phase is Phase.TRIAL:
        return
    if short_digest(seen.running) != short_digest(artifact.digest):
        return
    use.running += 1
    use.configured += is_configured
    if seen.health is not None and seen.health.now.seconds:
        use.reporting += 1
        use.alarms += seen.health.now.anomalies
        use.seconds += seen.health.now.seconds


def _candidates(names: Iterable[str], models: Mapping[ModelRef, Model]) -> Iterable[ModelRef]:
    return (ref for ref, model in models.items() if ref.name in names and not model.pool_only)


def _by_name(item: tuple[ModelRef, _Use]) -> str:
    return str(item[0])
