# SPDX-License-Identifier: Apache-2.0
"""Resolves references between documents, and checks values that must agree across documents."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

from reconciler.load.document_index import MAX_ALIKE, DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.model import MaintenanceWindow, ModelRef, Selector, Wave
from reconciler.validation.problems import JsonPath, Rule, did_you_mean, quoted_list


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """The place in a document from which another document is named."""

    documents: DocumentIndex
    origin: Origin
    at: JsonPath

    def below(self, *parts: str | int) -> DocumentReference:
        """Return a place inside this one."""
        return DocumentReference(self.documents, self.origin, (*self.at, *parts))

    def unresolved(self, kind: str, name: str, known: Mapping[Any, object]) -> Iterator[RepositoryProblem]:
        """Report that there is no document of this kind and name, unless one with errors may be it."""
        if not self.documents.may_exist(kind, name):
            hint = self.documents.suggest(name, known)
            message = f"there is no {kind} named `{name}`"
            yield RepositoryProblem(self.origin, self.at, Rule.UNRESOLVED_REFERENCE, message, hint)


def check_references(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report each name that does not exist, and each value that contradicts another."""
    yield from cap_alike(documents.duplicates)
    for check in (_fleet, _devices, _types, _gateways, _models, _rollouts, _cycles):
        yield from cap_alike(check(documents))


def _fleet(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    if not documents.fleets and not documents.has_broken("Fleet"):
        hint = "add a document of kind Fleet; `tinyfleet schema Fleet` shows its fields"
        yield RepositoryProblem(None, (), Rule.FLEET_COUNT, "the repository has no Fleet document", hint)
    for name in list(documents.fleets)[1:]:
        first, _ = documents.origin("Fleet", next(iter(documents.fleets)))
        message = f"a repository has exactly one Fleet; the first one is in {first.path}"
        yield RepositoryProblem(documents.origin("Fleet", name), ("kind",), Rule.FLEET_COUNT, message, "remove one")
    for name, fleet in documents.fleets.items():
        origin = documents.origin("Fleet", name)
        yield from _windows(origin, ("spec", "windows"), fleet.windows)
        if fleet.silent_after_s <= fleet.report_every_s:
            message = "`silentAfter` must be longer than `reportEvery`, or every device counts as silent"
            hint = "twice `reportEvery` is a good start"
            yield RepositoryProblem(origin, ("spec", "silentAfter"), Rule.CONFLICTING_VALUES, message, hint)


def _devices(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    types = documents.types
    if {device.type for device in documents.devices.values()} <= types.keys():
        return
    for name, device in documents.devices.items():
        if device.type not in types:
            where = DocumentReference(documents, documents.origin("Device", name), ("spec", "type"))
            yield from where.unresolved("DeviceType", device.type, types)


def _types(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for name, kind in documents.types.items():
        origin = documents.origin("DeviceType", name)
        for index, ref in enumerate(kind.prebaked):
            where = DocumentReference(documents, origin, ("spec", "prebaked", index))
            yield from _deployable_model(where, ref)


def _gateways(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for name, gateway in documents.gateways.items():
        origin = documents.origin("Gateway", name)
        if gateway.selector is not None:
            yield from _selector(DocumentReference(documents, origin, ("spec", "selector")), gateway.selector)
        yield from _windows(origin, ("spec", "windows"), gateway.windows)
        lines = gateway.links.serial if gateway.links else ()
        ports = [line.port for line in lines]
        for index, port in enumerate(ports):
            if port in ports[:index]:
                at = ("spec", "links", "serial", index, "port")
                message = f"duplicate serial line `{port}`"
                yield RepositoryProblem(origin, at, Rule.DUPLICATE_NAME, message, "remove one of the two")


def _models(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for ref, wanted in documents.models.items():
        if wanted.follow is not None and wanted.follow.gateway not in documents.gateways:
            where = DocumentReference(documents, documents.origin("Model", ref), ("spec", "follow", "gateway"))
            yield from where.unresolved("Gateway", wanted.follow.gateway, documents.gateways)
        for index, gate in enumerate(wanted.gates):
            if gate.at_least is not None and gate.at_most is not None and gate.at_least > gate.at_most:
                message = f"`atLeast` {gate.at_least} is greater than `atMost` {gate.at_most}, so no build can pass"
                at = ("spec", "gates", index, "atLeast")
                yield RepositoryProblem(documents.origin("Model", ref), at, Rule.CONFLICTING_VALUES, message)


def _rollouts(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    for name, rollout in documents.rollouts.items():
        origin = documents.origin("Rollout", name)
        yield from _deployable_model(DocumentReference(documents, origin, ("spec", "model")), rollout.model)
        yield from _parameters(documents, origin, rollout.model, rollout.parameters)
        yield from _selector(DocumentReference(documents, origin, ("spec", "selector")), rollout.selector)
        yield from _windows(origin, ("spec", "windows"), rollout.windows)
        yield from _waves(documents, origin, rollout.waves)
        for index, other in enumerate(rollout.depends_on):
            if other not in documents.rollouts:
                where = DocumentReference(documents, origin, ("spec", "dependsOn", index))
                yield from where.unresolved("Rollout", other, documents.rollouts)


def _waves(documents: DocumentIndex, origin: Origin, waves: tuple[Wave, ...]) -> Iterator[RepositoryProblem]:
    seen: set[str] = set()
    for index, wave in enumerate(waves):
        if wave.name in seen:
            at = ("spec", "waves", index, "name")
            yield RepositoryProblem(
                origin, at, Rule.DUPLICATE_NAME, f"duplicate wave `{wave.name}`", "rename one of them"
            )
        seen.add(wave.name)
        if wave.selector is not None:
            yield from _selector(
                DocumentReference(documents, origin, ("spec", "waves", index, "selector")), wave.selector
            )


def _parameters(
    documents: DocumentIndex, origin: Origin, ref: ModelRef, parameters: Mapping[str, float]
) -> Iterator[RepositoryProblem]:
    wanted = documents.models.get(ref)
    if wanted is None:
        return
    for name in parameters:
        if name not in wanted.parameters:
            known = f"expected one of {quoted_list(wanted.parameters)}" if wanted.parameters else "it has none"
            message = f"model {ref} has no parameter `{name}`; {known}"
            hint = did_you_mean(name, wanted.parameters)
            yield RepositoryProblem(origin, ("spec", "parameters", name), Rule.UNKNOWN_PARAMETER, message, hint)


def _cycles(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    edges = {name: set(rollout.depends_on) for name, rollout in documents.rollouts.items()}
    for _ in range(MAX_ALIKE):
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            ring = error.args[1][:-1]
            start = ring.index(min(ring))
            ring = [*ring[start:], *ring[:start]]
            message = f"rollouts depend on each other in a cycle: {' -> '.join((*ring, ring[0]))}"
            origin = documents.origin("Rollout", ring[0])
            yield RepositoryProblem(
                origin, ("spec", "dependsOn"), Rule.DEPENDENCY_CYCLE, message, "remove one `dependsOn`"
            )
            edges[ring[0]].clear()
        else:
            return


def _selector(where: DocumentReference, selector: Selector) -> Iterator[RepositoryProblem]:
    types, devices = where.documents.types, where.documents.devices
    for index, kind in enumerate(selector.types):
        if kind not in types:
            yield from where.below("types", index).unresolved("DeviceType", kind, types)
    for index, device in enumerate(selector.devices):
        if device not in devices:
            yield from where.below("devices", index).unresolved("Device", device, devices)


def _windows(origin: Origin, at: JsonPath, windows: tuple[MaintenanceWindow, ...]) -> Iterator[RepositoryProblem]:
    for index, window in enumerate(windows):
        if not _zone_exists(window.time_zone):
            message = f"unknown time zone `{window.time_zone}`"
            hint = _similar_zone(window.time_zone)
            yield RepositoryProblem(origin, (*at, index, "timeZone"), Rule.UNKNOWN_TIME_ZONE, message, hint)


@cache
def _zone_exists(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder such as `America`
        return False
    return True


@cache
def _similar_zone(name: str) -> str:
    known = zoneinfo.available_timezones()
    return did_you_mean(name, sorted(known)) if known else "this machine has no time zone data: install `tzdata`"


def unresolved_model(where: DocumentReference, ref: ModelRef) -> Iterator[RepositoryProblem]:
    """Report that a version of a model does not exist."""
    documents = where.documents
    if ref in documents.models or documents.may_exist("Model", ref.name):
        return
    versions = [str(known.version) for known in documents.models if known.name == ref.name]
    if versions:
        message = (
            f"Model `{ref.name}` has no version `{ref.version}`; existing versions: {quoted_list(sorted(versions))}"
        )
        hint = did_you_mean(ref.version, versions)
        yield RepositoryProblem(where.origin, (*where.at, "version"), Rule.UNRESOLVED_REFERENCE, message, hint)
    else:
        known = {model.name: model for model in documents.models}
        yield from where.below("name").unresolved("Model", ref.name, known)


def _deployable_model(where: DocumentReference, ref: ModelRef) -> Iterator[RepositoryProblem]:
    """Report a model that does not exist, or that is never built for a device."""
    yield from unresolved_model(where, ref)
    model = where.documents.models.get(ref)
    if model is not None and model.pool_only:
        message = f"the model {ref} has `poolOnly`, so it is never built for a device"
        hint = "choose another model, or remove `poolOnly` from this one"
        yield RepositoryProblem(where.origin, where.at, Rule.POOL_ONLY, message, hint)
