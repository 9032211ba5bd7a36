# SPDX-License-Identifier: Apache-2.0
"""Checks who owns each device: exactly one gateway, and at most one rollout at each priority."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeVar

from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem, cap_alike
from reconciler.model import (
    Device,
    DeviceId,
    DeviceLink,
    Gateway,
    GatewayId,
    MqttAddress,
    Rollout,
    RolloutId,
    Selector,
    SerialAddress,
)
from reconciler.selection import matcher
from reconciler.validation.problems import JsonPath, Rule, did_you_mean, quoted_list

Owner = TypeVar("Owner")

NAME: JsonPath = ("metadata", "name")
SERIAL: JsonPath = ("spec", "link", "serial")


class SelectorIndex:
    """Evaluates selectors for a whole fleet at once.

    Devices with the same labels and type are evaluated as one, so that dozens of selectors over a
    hundred thousand devices stay cheap.
    """

    def __init__(self, devices: Mapping[DeviceId, Device]) -> None:
        self._by_name = devices
        groups: dict[tuple[int, str], list[DeviceId]] = defaultdict(list)
        for name, device in devices.items():
            # `model_conversion` gives devices with equal labels the same mapping object, so its id is the key.
            groups[id(device.labels), device.type].append(name)
        self._groups = list(groups.values())

    def select(self, selector: Selector | None) -> list[DeviceId]:
        """Return the devices that a selector matches; without one, none."""
        if selector is None:
            return []
        matches = matcher(selector)
        if selector.devices:
            named = [self._by_name[name] for name in selector.devices if name in self._by_name]
            return [device.name for device in named if matches(device)]
        return [name for group in self._groups if matches(self._by_name[group[0]]) for name in group]


def check_ownership(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report devices with no owner or several, and selectors that match nothing."""
    index = SelectorIndex(documents.devices)
    served: dict[DeviceId, GatewayId] = {}  # filled by `_gateways`, read by the checks after it
    yield from _gateways(documents, index, served)
    if not documents.has_broken("Gateway"):
        yield from cap_alike(_unserved(documents, served))
    yield from cap_alike(_links(documents, served))
    yield from cap_alike(_keys(documents))
    yield from cap_alike(_rollouts(documents, index))


def _gateways(
    documents: DocumentIndex, index: SelectorIndex, served: dict[DeviceId, GatewayId]
) -> Iterator[RepositoryProblem]:
    contested: list[RepositoryProblem] = []
    for name, gateway in documents.gateways.items():
        found = index.select(gateway.selector)
        if gateway.selector is None:
            yield from _without_selector(documents.origin("Gateway", name), gateway)
        elif not found:
            yield from _empty_selector(documents, documents.origin("Gateway", name), ("spec", "selector"))
        for device in _claim(served, found, name):
            message = f"the device is served by two gateways: `{served[device]}` and `{name}`"
            origin = documents.origin("Device", device)
            contested.append(
                RepositoryProblem(origin, NAME, Rule.SEVERAL_GATEWAYS, message, "narrow one of the selectors")
            )
    yield from cap_alike(contested)


def _without_selector(origin: Origin, gateway: Gateway) -> Iterator[RepositoryProblem]:
    if gateway.node is None:
        message = "a gateway without `selector` serves no devices, and without `node` it does nothing"
        yield RepositoryProblem(origin, ("spec",), Rule.CONFLICTING_VALUES, message, "add `selector` or `node`")


def _claim(owners: dict[DeviceId, Owner], found: list[DeviceId], name: Owner) -> list[DeviceId]:
    """Make `name` the owner of the devices found, and return those that keep an earlier owner."""
    fresh = dict.fromkeys(found, name)
    shared = [] if owners.keys().isdisjoint(fresh) else [device for device in found if device in owners]
    for device in shared:
        del fresh[device]
    owners.update(fresh)
    return shared


def _unserved(documents: DocumentIndex, served: Mapping[DeviceId, GatewayId]) -> Iterator[RepositoryProblem]:
    if len(served) < len(documents.devices):
        for name in documents.devices:
            if name not in served:
                origin = documents.origin("Device", name)
                hint = "widen the selector of a gateway, or label the device to match one"
                yield RepositoryProblem(origin, NAME, Rule.NO_GATEWAY, "no gateway serves the device", hint)


def _links(documents: DocumentIndex, served: Mapping[DeviceId, GatewayId]) -> Iterator[RepositoryProblem]:
    """Compare devices with the links of their gateway, and with each other on the same line."""
    addresses: dict[tuple[GatewayId, str, int], DeviceId] = {}
    lines: dict[tuple[GatewayId, str], tuple[DeviceId, int]] = {}
    for name, device in documents.devices.items():
        gateway = served.get(name)
        if gateway is None:
            continue
        link = device.link
        if isinstance(link, MqttAddress) and documents.gateways[gateway].links is None:
            continue
        yield from _has_link(documents, name, link, documents.gateways[gateway])
        if isinstance(link, SerialAddress):
            origin = documents.origin("Device", name)
            first = addresses.setdefault((gateway, link.port, link.address), name)
            if first != name:
                message = f"address {link.address} on `{link.port}` is already used by the device `{first}`"
                hint = "give each device on a line its own address"
                yield RepositoryProblem(origin, (*SERIAL, "address"), Rule.LINK_MISMATCH, message, hint)
            other, baud = lines.setdefault((gateway, link.port), (name, link.baud))
            if baud != link.baud:
                message = f"{link.baud} baud, but the device `{other}` uses the same line at {baud} baud"
                hint = "all devices on a line use one speed"
                yield RepositoryProblem(origin, (*SERIAL, "baud"), Rule.LINK_MISMATCH, message, hint)


def _keys(documents: DocumentIndex) -> Iterator[RepositoryProblem]:
    """Report devices that could sign each other's reports."""
    known = [device.public_key for device in documents.devices.values() if device.public_key is not None]
    if len(set(known)) == len(known):
        return
    owner: dict[str, DeviceId] = {}
    for name, device in documents.devices.items():
        if device.public_key is not None:
            first = owner.setdefault(device.public_key, name)
            if first != name:
                message = f"the device `{first}` has the same public key, so either could sign the other's reports"
                origin, at = documents.origin("Device", name), ("spec", "publicKey")
                hint = "provision one of them again: each device generates its own key"
                yield RepositoryProblem(origin, at, Rule.DUPLICATE_PUBLIC_KEY, message, hint)


def _has_link(
    documents: DocumentIndex, name: DeviceId, link: DeviceLink, gateway: Gateway
) -> Iterator[RepositoryProblem]:
    if gateway.links is None:
        return
    if isinstance(link, SerialAddress):
        speeds = {line.port: line.baud for line in gateway.links.serial}
        if link.port not in speeds:
            known = f"expected one of {quoted_list(speeds)}" if speeds else "it has none"
            message = f"the gateway `{gateway.name}` has no serial line `{link.port}`; {known}"
            origin, hint = documents.origin("Device", name), did_you_mean(link.port, speeds)
            yield RepositoryProblem(origin, (*SERIAL, "port"), Rule.LINK_MISMATCH, message, hint)
        elif speeds[link.port] != link.baud:
            speed = speeds[link.port]
            message = f"{link.baud} baud, but the gateway `{gateway.name}` runs `{link.port}` at {speed} baud"
            yield RepositoryProblem(documents.origin("Device", name), (*SERIAL, "baud"), Rule.LINK_MISMATCH, message)
    elif gateway.links.mqtt is None:
        message = f"the gateway `{gateway.name}` has no `mqtt` link"
        yield RepositoryProblem(documents.origin("Device", name), ("spec", "link", "mqtt"), Rule.LINK_MISMATCH, message)


def _rollouts(documents: DocumentIndex, index: SelectorIndex) -> Iterator[RepositoryProblem]:
    claims: dict[int, dict[DeviceId, RolloutId]] = defaultdict(dict)
    for name in sorted(documents.rollouts):
        rollout = documents.rollouts[name]
        origin = documents.origin("Rollout", name)
        found = index.select(rollout.selector)
        if not found:
            yield from _empty_selector(documents, origin, ("spec", "selector"))
            continue
        yield from _overlaps(origin, rollout, claims[rollout.priority], found)
        if any(wave.selector is not None for wave in rollout.waves):
            among = SelectorIndex({device: documents.devices[device] for device in found})
            yield from _waves(documents, origin, rollout, among)


def _overlaps(
    origin: Origin, rollout: Rollout, claims: dict[DeviceId, RolloutId], found: list[DeviceId]
) -> Iterator[RepositoryProblem]:
    shared: dict[RolloutId, list[DeviceId]] = defaultdict(list)
    for device in _claim(claims, found, rollout.name):
        shared[claims[device]].append(device)
    for other, devices in shared.items():
        which = f"`{min(devices)}`" + (f" and {len(devices) - 1} more" if len(devices) > 1 else "")
        message = f"the rollout `{other}` also selects {which} at the same priority {rollout.priority}"
        hint = "give one rollout a higher `priority`, or narrow a selector"
        yield RepositoryProblem(origin, ("spec", "selector"), Rule.OVERLAPPING_ROLLOUTS, message, hint)


def _waves(
    documents: DocumentIndex, origin: Origin, rollout: Rollout, index: SelectorIndex
) -> Iterator[RepositoryProblem]:
    for number, wave in enumerate(rollout.waves):
        if wave.selector is not None and not index.select(wave.selector):
            at = ("spec", "waves", number, "selector")
            yield from _empty_selector(documents, origin, at, "device of the rollout")


def _empty_selector(
    documents: DocumentIndex, origin: Origin, at: JsonPath, what: str = "device"
) -> Iterator[RepositoryProblem]:
    if not documents.has_broken("Device"):
        hint = "ignore this if the devices are added later"
        yield RepositoryProblem(origin, at, Rule.EMPTY_SELECTOR, f"the selector matches no {what}", hint)
