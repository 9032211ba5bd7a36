# SPDX-License-Identifier: Apache-2.0
"""Whose a device is: exactly one gateway's, and of several rollouts at one priority at most one's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeVar

from reconciler.load.problems import JsonPath, Rule, did_you_mean, listed
from reconciler.load.document_index import DocumentSet, Mistake, Where, at_most
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

Owner = TypeVar("Owner")

NAME: JsonPath = ("metadata", "name")
SERIAL: JsonPath = ("spec", "link", "serial")


class Selection:
    """Answers selectors for a whole fleet at once.

    What a selector says of labels and types is asked once for all devices that share both, which is
    what makes a hundred thousand devices and some dozens of selectors cheap.
    """

    def __init__(self, devices: Mapping[DeviceId, Device]) -> None:
        self._by_name = devices
        groups: dict[tuple[int, str], list[DeviceId]] = defaultdict(list)
        for name, device in devices.items():
            groups[id(device.labels), device.type].append(name)  # loading gives equal labels one mapping
        self._groups = list(groups.values())

    def select(self, selector: Selector) -> list[DeviceId]:
        """Return the devices that a selector means."""
        matches = matcher(selector)
        if selector.devices:
            named = [self._by_name[name] for name in selector.devices if name in self._by_name]
            return [device.name for device in named if matches(device)]
        return [name for group in self._groups if matches(self._by_name[group[0]]) for name in group]


def owners(repository: DocumentSet) -> Iterator[Mistake]:
    """Complain about devices that nobody or more than one claims, and selectors that mean nothing."""
    selection = Selection(repository.devices)
    served: dict[DeviceId, GatewayId] = {}
    yield from _gateways(repository, selection, served)
    if not repository.has_broken("Gateway"):
        yield from at_most(_unserved(repository, served))
    yield from at_most(_links(repository, served))
    yield from at_most(_keys(repository))
    yield from at_most(_rollouts(repository, selection))


def _gateways(repository: DocumentSet, selection: Selection, served: dict[DeviceId, GatewayId]) -> Iterator[Mistake]:
    twice: list[Mistake] = []
    for name, gateway in repository.gateways.items():
        found = selection.select(gateway.selector)
        if not found:
            yield from _nothing(repository, repository.where("Gateway", name), ("spec", "selector"))
        for device in _shared(served, found, name):
            said = f"two gateways serve the device: `{served[device]}` and `{name}`"
            where = repository.where("Device", device)
            twice.append(Mistake(where, NAME, Rule.SERVED_TWICE, said, "narrow one of the selectors"))
    yield from at_most(twice)


def _shared(owners: dict[DeviceId, Owner], found: list[DeviceId], name: Owner) -> list[DeviceId]:
    """Make `name` the owner of what was found, and return the devices that had one and keep it."""
    fresh = dict.fromkeys(found, name)
    shared = [] if owners.keys().isdisjoint(fresh) else [device for device in found if device in owners]
    for device in shared:
        del fresh[device]
    owners.update(fresh)
    return shared


def _unserved(repository: DocumentSet, served: Mapping[DeviceId, GatewayId]) -> Iterator[Mistake]:
    if len(served) < len(repository.devices):
        for name in repository.devices:
            if name not in served:
                hint = "widen a gateway's selector, or label the device for one"
                yield Mistake(
                    repository.where("Device", name), NAME, Rule.UNSERVED, "no gateway serves the device", hint
                )


def _links(repository: DocumentSet, served: Mapping[DeviceId, GatewayId]) -> Iterator[Mistake]:
    """Compare devices with their gateway's links, and with each other on one line."""
    addresses: dict[tuple[GatewayId, str, int], DeviceId] = {}
    lines: dict[tuple[GatewayId, str], tuple[DeviceId, int]] = {}
    for name, device in repository.devices.items():
        gateway = served.get(name)
        if gateway is None:
            continue
        link = device.link
        if isinstance(link, MqttAddress) and repository.gateways[gateway].links is None:
            continue
        yield from _has_link(repository, name, link, repository.gateways[gateway])
        if isinstance(link, SerialAddress):
            where, at = repository.where("Device", name), ("spec", "link", "serial")
            first = addresses.setdefault((gateway, link.port, link.address), name)
            if first != name:
                said = f"the address {link.address} on `{link.port}` is that of the device `{first}`"
                yield Mistake(where, (*at, "address"), Rule.LINK, said, "each device on a line has its own")
            other, baud = lines.setdefault((gateway, link.port), (name, link.baud))
            if baud != link.baud:
                said = f"{link.baud} baud, but the device `{other}` is on the same line at {baud}"
                yield Mistake(where, (*at, "baud"), Rule.LINK, said, "a line has one speed")


def _keys(repository: DocumentSet) -> Iterator[Mistake]:
    """Find devices that could sign each other's reports."""
    known = [device.public_key for device in repository.devices.values() if device.public_key is not None]
    if len(set(known)) == len(known):
        return
    owner: dict[str, DeviceId] = {}
    for name, device in repository.devices.items():
        if device.public_key is not None:
            first = owner.setdefault(device.public_key, name)
            if first != name:
                said = f"the device `{first}` has the same key: one could report for the other"
                where, at = repository.where("Device", name), ("spec", "publicKey")
                yield Mistake(where, at, Rule.SHARED_KEY, said, "each device makes a key of its own when provisioned")


def _has_link(repository: DocumentSet, name: DeviceId, link: DeviceLink, gateway: Gateway) -> Iterator[Mistake]:
    if gateway.links is None:
        return
    if isinstance(link, SerialAddress):
        speeds = {line.port: line.baud for line in gateway.links.serial}
        if link.port not in speeds:
            known = f"it has {listed(speeds)}" if speeds else "it has none"
            said = f"the gateway `{gateway.name}` has no line `{link.port}`; {known}"
            where, hint = repository.where("Device", name), did_you_mean(link.port, speeds)
            yield Mistake(where, (*SERIAL, "port"), Rule.LINK, said, hint)
        elif speeds[link.port] != link.baud:
            said = f"{link.baud} baud, but the gateway `{gateway.name}` runs `{link.port}` at {speeds[link.port]}"
            yield Mistake(repository.where("Device", name), (*SERIAL, "baud"), Rule.LINK, said)
    elif gateway.links.mqtt is None:
        said = f"the gateway `{gateway.name}` has no `mqtt` link"
        yield Mistake(repository.where("Device", name), ("spec", "link", "mqtt"), Rule.LINK, said)


def _rollouts(repository: DocumentSet, selection: Selection) -> Iterator[Mistake]:
    claims: dict[int, dict[DeviceId, RolloutId]] = defaultdict(dict)
    for name in sorted(repository.rollouts):
        rollout = repository.rollouts[name]
        where = repository.where("Rollout", name)
        found = selection.select(rollout.selector)
        if not found:
            yield from _nothing(repository, where, ("spec", "selector"))
            continue
        yield from _overlaps(where, rollout, claims[rollout.priority], found)
        if any(wave.selector is not None for wave in rollout.waves):
            among = Selection({device: repository.devices[device] for device in found})
            yield from _waves(repository, where, rollout, among)


def _overlaps(
    where: Where, rollout: Rollout, claims: dict[DeviceId, RolloutId], found: list[DeviceId]
) -> Iterator[Mistake]:
    shared: dict[RolloutId, list[DeviceId]] = defaultdict(list)
    for device in _shared(claims, found, rollout.name):
        shared[claims[device]].append(device)
    for other, devices in shared.items():
        which = f"`{min(devices)}`" + (f" and {len(devices) - 1} more" if len(devices) > 1 else "")
        said = f"the rollout `{other}` claims {which} too, at the same priority {rollout.priority}"
        yield Mistake(
            where, ("spec", "selector"), Rule.CLAIMED_TWICE, said, "give one a higher `priority`, or narrow a selector"
        )


def _waves(repository: DocumentSet, where: Where, rollout: Rollout, selection: Selection) -> Iterator[Mistake]:
    for index, wave in enumerate(rollout.waves):
        if wave.selector is not None and not selection.select(wave.selector):
            yield from _nothing(repository, where, ("spec", "waves", index, "selector"), " of the rollout's devices")


def _nothing(repository: DocumentSet, where: Where, at: JsonPath, of: str = "") -> Iterator[Mistake]:
    if not repository.has_broken("Device"):
        hint = "harmless if the devices are still to come"
        said = f"the selector matches none{of or ' of the devices'}"
        yield Mistake(where, at, Rule.EMPTY_SELECTOR, said, hint)
