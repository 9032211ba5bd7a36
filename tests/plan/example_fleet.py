# SPDX-License-Identifier: Apache-2.0
"""A small handwritten fleet: its documents, the reports of its devices, and its artifacts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.model import (
    Artifact,
    Capabilities,
    Commit,
    Desired,
    Device,
    DeviceId,
    DeviceType,
    Digest,
    Fleet,
    Gateway,
    GatewayId,
    Model,
    ModelRef,
    ModelSource,
    MqttAddress,
    Needs,
    Observed,
    ObservedDevice,
    Phase,
    Rollout,
    RolloutId,
    Selector,
    TypeId,
    Updates,
    Version,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday
V1, V2, OTHER = (ModelRef(name, Version(version)) for name, version in (("m", "1"), ("m", "2"), ("other", "1")))
ESP32 = DeviceType(TypeId("esp32"), "xtensa-lx6", 4096, 2048, frozenset({"CONV_2D", "SOFTMAX"}), prebaked=(V1,))
SEALED = replace(ESP32, name=TypeId("sealed"), updates=Updates.NONE)
TINY = replace(ESP32, name=TypeId("tiny"), slot_bytes=500, prebaked=())
NEEDS = Needs(frozenset({"CONV_2D"}), slot_bytes=1000, arena_bytes=1000)
HALL = Gateway(GatewayId("hall"), Selector())
SILENT_AFTER_A_YEAR = Fleet("plant", silent_after_s=365 * 86400)  # no device counts as silent for a year
EVERYWHERE = Rollout(RolloutId("everywhere"), V2, Selector())


def digest_of(model: ModelRef, kind: TypeId) -> Digest:
    return Digest(hashlib.sha256(f"{model}/{kind}".encode()).hexdigest())


def model(ref: ModelRef, needs: Needs = NEEDS) -> Model:
    return Model(ref, ModelSource(Digest("0" * 64), path=f"models/{ref}"), needs=needs, parameters={"threshold": 0.5})


def artifact(ref: ModelRef, kind: TypeId, pack_bytes: int = 1000) -> Artifact:
    return Artifact(ref, kind, digest_of(ref, kind), pack_bytes, 1000, frozenset({"CONV_2D"}))


def device(number: int, kind: TypeId = ESP32.name, **labels: str) -> Device:
    return Device(DeviceId(f"d{number:03}"), kind, MqttAddress(), labels)


def fleet(
    devices: Iterable[Device],
    rollouts: Iterable[Rollout] = (EVERYWHERE,),
    *,
    types: Iterable[DeviceType] = (ESP32, SEALED, TINY),
    gateways: Iterable[Gateway] = (HALL,),
    defaults: Fleet | None = None,
) -> Desired:
    return Desired(
        commit=Commit("c" * 40),
        fleet=defaults or Fleet("plant"),
        gateways={gateway.name: gateway for gateway in gateways},
        types={kind.name: kind for kind in types},
        devices={each.name: each for each in devices},
        models={ref: model(ref) for ref in (V1, V2, OTHER)},
        rollouts={rollout.name: rollout for rollout in rollouts},
    )


def capabilities_of(kind: DeviceType) -> Capabilities:
    prebaked = tuple(digest_of(ref, kind.name) for ref in kind.prebaked)
    updates = kind.updates is Updates.OVER_THE_AIR
    return Capabilities(
        kind.name, kind.pack_format, kind.operators, kind.slot_bytes, kind.arena_bytes, prebaked, updates
    )


def seen(running: Digest | None = None, **more: object) -> ObservedDevice:
    """Describe a device that reported a minute ago."""
    base = ObservedDevice(last_seen=NOW - timedelta(minutes=1), phase=Phase.CONFIRMED, running=running)
    return replace(base, **more)  # type: ignore[arg-type]  # the tests that pass fields check their types


def observe(devices: Mapping[str, ObservedDevice], *artifacts: Artifact) -> Observed:
    return Observed(
        devices={DeviceId(name): each for name, each in devices.items()},
        artifacts={(each.model, each.type): each for each in artifacts},
    )


BUILT = tuple(artifact(ref, kind.name) for ref in (V1, V2) for kind in (ESP32, SEALED, TINY))
