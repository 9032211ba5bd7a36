# SPDX-License-Identifier: Apache-2.0
"""Names that one document uses of another, and what only adds up across documents."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from reconciler.load.problems import JsonPath, Rule, did_you_mean, listed
from reconciler.load.document_index import MAX_ALIKE, DocumentSet, Mistake, Where, at_most
from reconciler.model import MaintenanceWindow, ModelRef, Selector, Wave


def names(repository: DocumentSet) -> Iterator[Mistake]:
    """Complain about every name that leads nowhere, and every value that contradicts another."""
    yield from at_most(repository.repeated)
    for check in (_fleet, _devices, _types, _gateways, _models, _rollouts, _cycles):
        yield from at_most(check(repository))


def _fleet(repository: DocumentSet) -> Iterator[Mistake]:
    if not repository.fleets and not repository.has_broken("Fleet"):
        hint = "add a document of kind Fleet; `tinyfleet schema Fleet` shows its fields"
        yield Mistake(None, (), Rule.FLEET_COUNT, "the repository has no Fleet", hint)
    for name in list(repository.fleets)[1:]:
        first, _ = repository.where("Fleet", next(iter(repository.fleets)))
        said = f"a second Fleet; the first is in {first.path}"
        yield Mistake(
            repository.where("Fleet", name), ("kind",), Rule.FLEET_COUNT, said, "a repository has exactly one"
        )
    for name, fleet in repository.fleets.items():
        where = repository.where("Fleet", name)
        yield from _windows(where, ("spec", "windows"), fleet.windows)
        if fleet.silent_after_s <= fleet.report_every_s:
            said = "`silentAfter` is no longer than `reportEvery`: every device would count as silent"
            yield Mistake(
                where, ("spec", "silentAfter"), Rule.CONTRADICTION, said, "twice `reportEvery` is a good start"
            )


def _devices(repository: DocumentSet) -> Iterator[Mistake]:
    types = repository.types
    if {device.type for device in repository.devices.values()} <= types.keys():
        return
    for name, device in repository.devices.items():
        if device.type not in types:
            where = repository.where("Device", name)
            yield from _dangling(repository, where, ("spec", "type"), "DeviceType", device.type, types)


def _types(repository: DocumentSet) -> Iterator[Mistake]:
    for name, kind in repository.types.items():
        where = repository.where("DeviceType", name)
        for index, ref in enumerate(kind.prebaked):
            yield from _model(repository, where, ("spec", "prebaked", index), ref)


def _gateways(repository: DocumentSet) -> Iterator[Mistake]:
    for name, gateway in repository.gateways.items():
        where = repository.where("Gateway", name)
        yield from _selector(repository, where, ("spec", "selector"), gateway.selector)
        yield from _windows(where, ("spec", "windows"), gateway.windows)
        lines = gateway.links.serial if gateway.links else ()
        ports = [line.port for line in lines]
        for index, port in enumerate(ports):
            if port in ports[:index]:
                at = ("spec", "links", "serial", index, "port")
                yield Mistake(
                    where, at, Rule.DUPLICATE_NAME, f"the line `{port}` is named twice", "keep one of the two"
                )


def _models(repository: DocumentSet) -> Iterator[Mistake]:
    for ref, wanted in repository.models.items():
        for index, gate in enumerate(wanted.gates):
            if gate.at_least is not None and gate.at_most is not None and gate.at_least > gate.at_most:
                said = f"`atLeast` {gate.at_least} is above `atMost` {gate.at_most}: no build can pass"
                at = ("spec", "gates", index, "atLeast")
                yield Mistake(repository.where("Model", ref), at, Rule.CONTRADICTION, said)


def _rollouts(repository: DocumentSet) -> Iterator[Mistake]:
    for name, rollout in repository.rollouts.items():
        where = repository.where("Rollout", name)
        yield from _model(repository, where, ("spec", "model"), rollout.model)
        yield from _parameters(repository, where, rollout.model, rollout.parameters)
        yield from _selector(repository, where, ("spec", "selector"), rollout.selector)
        yield from _windows(where, ("spec", "windows"), rollout.windows)
        yield from _waves(repository, where, rollout.waves)
        for index, other in enumerate(rollout.depends_on):
            if other not in repository.rollouts:
                at = ("spec", "dependsOn", index)
                yield from _dangling(repository, where, at, "Rollout", other, repository.rollouts)


def _waves(repository: DocumentSet, where: Where, waves: tuple[Wave, ...]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for index, wave in enumerate(waves):
        if wave.name in seen:
            said = f"a second wave named `{wave.name}`"
            yield Mistake(where, ("spec", "waves", index, "name"), Rule.DUPLICATE_NAME, said, "give it another name")
        seen.add(wave.name)
        if wave.selector is not None:
            yield from _selector(repository, where, ("spec", "waves", index, "selector"), wave.selector)


def _parameters(
    repository: DocumentSet, where: Where, ref: ModelRef, parameters: Mapping[str, float]
) -> Iterator[Mistake]:
    wanted = repository.models.get(ref)
    if wanted is None:
        return
    for name in parameters:
        if name not in wanted.parameters:
            known = f"it takes {listed(wanted.parameters)}" if wanted.parameters else "it takes none"
            said = f"{ref} has no parameter `{name}`; {known}"
            hint = did_you_mean(name, wanted.parameters)
            yield Mistake(where, ("spec", "parameters", name), Rule.UNKNOWN_PARAMETER, said, hint)


def _cycles(repository: DocumentSet) -> Iterator[Mistake]:
    edges = {name: set(rollout.depends_on) for name, rollout in repository.rollouts.items()}
    for _ in range(MAX_ALIKE):
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            ring = error.args[1][:-1]
            start = ring.index(min(ring))
            ring = [*ring[start:], *ring[:start]]
            said = f"rollouts wait for each other in a ring: {' - '.join((*ring, ring[0]))}"
            where = repository.where("Rollout", ring[0])
            yield Mistake(where, ("spec", "dependsOn"), Rule.CYCLE, said, "remove one `dependsOn`")
            edges[ring[0]].clear()
        else:
            return


def _selector(repository: DocumentSet, where: Where, at: JsonPath, selector: Selector) -> Iterator[Mistake]:
    for index, kind in enumerate(selector.types):
        if kind not in repository.types:
            yield from _dangling(repository, where, (*at, "types", index), "DeviceType", kind, repository.types)
    for index, device in enumerate(selector.devices):
        if device not in repository.devices:
            yield from _dangling(repository, where, (*at, "devices", index), "Device", device, repository.devices)


def _windows(where: Where, at: JsonPath, windows: tuple[MaintenanceWindow, ...]) -> Iterator[Mistake]:
    for index, window in enumerate(windows):
        if not _zone_exists(window.time_zone):
            said = f"the time zone `{window.time_zone}` is unknown"
            hint = _zone_like(window.time_zone)
            yield Mistake(where, (*at, index, "timeZone"), Rule.TIME_ZONE, said, hint)


@cache
def _zone_exists(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder such as `America`
        return False
    return True


@cache
def _zone_like(name: str) -> str:
    known = zoneinfo.available_timezones()
    return did_you_mean(name, sorted(known)) if known else "this machine knows no time zones: install its `tzdata`"


def _model(repository: DocumentSet, where: Where, at: JsonPath, ref: ModelRef) -> Iterator[Mistake]:
    if ref in repository.models or repository.may_exist("Model", ref.name):
        return
    versions = [str(known.version) for known in repository.models if known.name == ref.name]
    if versions:
        said = f"the Model `{ref.name}` has no version `{ref.version}`; there is {listed(sorted(versions))}"
        yield Mistake(where, (*at, "version"), Rule.DANGLING, said, did_you_mean(ref.version, versions))
    else:
        known = {model.name: model for model in repository.models}
        yield from _dangling(repository, where, (*at, "name"), "Model", ref.name, known)


def _dangling(  # noqa: PLR0913, PLR0917 (a complaint in one breath: who says it, where, of what)
    repository: DocumentSet, where: Where, at: JsonPath, kind: str, name: str, known: Mapping[Any, object]
) -> Iterator[Mistake]:
    if repository.may_exist(kind, name):
        return
    yield Mistake(where, at, Rule.DANGLING, f"there is no {kind} named `{name}`", repository.suggest(name, known))
