# SPDX-License-Identifier: Apache-2.0
"""One device behind a scripted session, with a dispatcher that updates it, for the tests of deliveries."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.conversation import Answered, Lost, Outcome
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import Body, CapabilitiesBody, DeviceReport, Summary
from reconciler.devices.transfer import TransferCost, TransferJob
from reconciler.engine.artifacts.catalog import ArtifactCatalog
from reconciler.engine.delivery.deliveries import Delivered, Deliveries
from reconciler.engine.delivery.device_update import DeviceUpdater, UpdatePorts
from reconciler.engine.delivery.dispatcher import Dispatcher
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import Unusable
from reconciler.model import (
    Action,
    Artifact,
    ArtifactKey,
    Desired,
    DeviceId,
    Digest,
    Install,
    ModelSource,
    Origin,
    Rollout,
)
from reconciler.provenance.statement import BuildRecord
from signing.delegation import read_delegation
from signing.gateway_keystore import GatewayKey
from tests.engine.reports import NOON, FixedClock, report
from tests.firmware.bench import Bench
from tests.plan.example_fleet import ESP32, EVERYWHERE, V1, V2, device, fleet

DEVICE = device(1).name
PACKS = {ref: build_threshold_pack([1, 2, number], threshold=7) for number, ref in enumerate((V1, V2))}
DIGESTS = {ref: Digest(hashlib.sha256(pack).hexdigest()) for ref, pack in PACKS.items()}
RUNS_V1 = replace(report(1, sequence=3), running=bytes.fromhex(DIGESTS[V1])[:16])
RUNS_V2 = replace(report(100, sequence=4), running=bytes.fromhex(DIGESTS[V2])[:16])
SILENCE = "no answer to 6 questions"
CAPABILITIES = CapabilitiesBody(
    "esp32", bytes(16), 1, b"\x01", 65536, 0, 1024, 0, updates=True, prebaked=(), firmware="f"
)
SUMMARY = Summary(RUNS_V1.running, 100, 3, 0, 0, None)
INSTALL = Install(DEVICE, EVERYWHERE.name, V2, Origin.ARTIFACT, {}, "m@2 is to be transferred")


class FullStore:
    """A builder with everything built already, unless its store is lost."""

    lost = False

    def source(self, _desired: Desired, key: ArtifactKey) -> str:
        return str(key)

    async def build(self, _desired: Desired, key: ArtifactKey) -> Artifact:
        raise AssertionError(key)

    async def find(self, _desired: Desired, _key: ArtifactKey) -> Artifact | None:
        return None

    def pack(self, _desired: Desired, artifact: Artifact) -> bytes:
        if self.lost:
            raise Unusable("the store is empty")
        return PACKS[artifact.model]

    async def record(self, _desired: Desired, _artifact: Artifact) -> BuildRecord | None:
        return None

    def gates(self, _desired: Desired, _artifact: Artifact) -> tuple[str, ...]:
        return ()

    def figures(self, _desired: Desired, _artifact: Artifact) -> dict[str, float]:
        return {}

    async def source_file(self, _desired: Desired, source: ModelSource) -> bytes:
        raise AssertionError(source)


class AnyLink:
    """The part of a link that these tests use."""

    def block_bytes(self, most: int) -> int:
        return most


class ScriptedSession(LinkSession):
    """A session whose device answers as scripted, and that keeps the jobs that it is to carry out."""

    def __init__(self, bodies: Mapping[ReportKind, Body | None], outcomes: list[Outcome]) -> None:
        super().__init__(AnyLink(), lambda _device, cose, _nonce: cose)  # type: ignore[arg-type]  # no more of it is used
        self.bodies, self.outcomes = dict(bodies), outcomes
        self.jobs: list[TransferJob] = []

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        assert device == DEVICE
        body = self.bodies.get(what)
        if isinstance(body, DeviceReport):  # its counter grows with each report
            self.bodies[what] = body = replace(body, counter=body.counter + 1)
        return Lost(SILENCE) if body is None else Answered(body)

    async def carry_out(self, job: TransferJob) -> tuple[Outcome, TransferCost]:
        self.jobs.append(job)
        if not self.outcomes:  # it continues until it is cancelled
            await asyncio.Event().wait()
        return self.outcomes.pop(0), TransferCost()


@dataclass
class OneDevice:
    """One device that runs V1, and the parts of an engine that update it."""

    state: StateWriter
    rollout: Rollout = EVERYWHERE
    bodies: dict[ReportKind, Body | None] = field(
        default_factory=lambda: {ReportKind.REPORT: RUNS_V1, ReportKind.SUMMARY: SUMMARY}
    )
    outcomes: list[Outcome] = field(default_factory=list)
    done: list[Delivered] = field(default_factory=list)

    def __post_init__(self) -> None:
        bench = Bench("plant")
        delegation = read_delegation(bench.delegation, bench.root.public_key)
        for ref, pack in PACKS.items():
            artifact = Artifact(ref, ESP32.name, DIGESTS[ref], len(pack), 0, frozenset({"THRESHOLD"}))
            self.state.save_artifact(artifact, str((ref, ESP32.name)))
        self.store = FullStore()
        self.desired = fleet([device(1)], rollouts=(self.rollout,))
        self.inventory = Inventory(self.state)
        self.inventory.record_report(DEVICE, RUNS_V1, NOON, asked=True)
        self.inventory.record_capabilities(DEVICE, CAPABILITIES)
        self.session = ScriptedSession(self.bodies, self.outcomes)
        self.deliveries = Deliveries(self.done.append, lambda: None, random.Random(1))
        self.artifacts = ArtifactCatalog(self.store, self.state, lambda: None, random.Random(1))
        gateway = GatewayKey(bench.gateway, bench.delegation, delegation)
        ports = UpdatePorts(self.artifacts, self.inventory, self.state, gateway, FixedClock())
        self.dispatcher = Dispatcher(DeviceUpdater(ports), self.deliveries, lambda _device: self.session)

    def run(self, *actions: Action) -> list[str]:
        """Carry out actions one after the other; return the messages with which they ended."""

        async def deliver() -> None:
            for action in actions:
                self.dispatcher.start(self.desired, (action,), now_s=float("inf"))
                while self.deliveries.running:  # noqa: ASYNC110 - as a pass does, which the end of a delivery wakes
                    await asyncio.sleep(0)

        asyncio.run(deliver())
        return [done.message for done in self.done]

    @property
    def why_quarantined(self) -> str | None:
        return self.inventory.why_quarantined(DEVICE, DIGESTS[V2])
