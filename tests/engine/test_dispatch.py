# SPDX-License-Identifier: Apache-2.0
"""From actions to deliveries: what is asked of a device first, and what becomes of each way in which one can end."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.compiler.pack.threshold import build_threshold_pack
from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.devices.error_codes import DeviceErrorCode, refused
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import Body, CapabilitiesBody, DeviceReport, Summary
from reconciler.devices.session import LinkSession
from reconciler.devices.transfer import Effort, TransferJob
from reconciler.engine.artifacts.provider import Artifacts, Pair
from reconciler.engine.delivery.deliveries import Delivered, Deliveries
from reconciler.engine.delivery.dispatch import Dispatch, DispatchPorts
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.database import StateDatabase
from reconciler.errors import Unusable
from reconciler.model import Action, ActivatePrebaked, Artifact, Blocked, BlockedReason, Configure, Desired, DeviceId, Digest, HealthGate, HealthMetric, Install, NoChange, Origin, Rollout, RolloutId
from signing.delegation import read_delegation
from signing.gateway_keystore import GatewayKey
from tests.engine.test_drift import report
from tests.firmware.bench import Bench
from tests.plan.fleets import ESP32, EVERYWHERE, V1, V2, device, fleet

PUMP = device(1).name
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PACKS = {ref: build_threshold_pack([1, 2, number], threshold=7) for number, ref in enumerate((V1, V2))}
DIGESTS = {ref: Digest(hashlib.sha256(pack).hexdigest()) for ref, pack in PACKS.items()}
RUNS_V1 = replace(report(1, sequence=3), running=bytes.fromhex(DIGESTS[V1])[:16])
RUNS_V2 = replace(report(100, sequence=4), running=bytes.fromhex(DIGESTS[V2])[:16])
TOLD = CapabilitiesBody("esp32", bytes(16), 1, b"\x01", 65536, 0, 1024, 0, updates=True, prebaked=(), firmware="f")
COUNTED = Summary(RUNS_V1.running, 100, 3, 0, 0, None)
INSTALL = Install(PUMP, EVERYWHERE.name, V2, Origin.ARTIFACT, {}, "m@2 is to be transferred")
CONFIGURE = Configure(PUMP, EVERYWHERE.name, {"threshold": 9}, "threshold 7 → 9")
GATED = replace(EVERYWHERE, gates=(HealthGate(HealthMetric.FAULTS, at_most=0),))


class Built:
    """Everything is built already; a store may have lost it."""

    lost = False

    def source(self, _desired: Desired, pair: Pair) -> str:
        return str(pair)

    async def build(self, _desired: Desired, pair: Pair) -> Artifact:
        raise AssertionError(pair)

    def pack(self, _desired: Desired, artifact: Artifact) -> bytes:
        if self.lost:
            raise Unusable("the store is empty")
        return PACKS[artifact.model]


class OfALink:
    """What is asked of a link here."""

    def block_bytes(self, most: int) -> int:
        return most


class Answers(LinkSession):
    """A fleet whose devices answer as they were told to, and that notes what it was to carry out."""

    def __init__(self, bodies: Mapping[ReportKind, Body | None], ends: list[Outcome]) -> None:
        super().__init__(OfALink(), lambda _device, cose, _nonce: cose)  # type: ignore[arg-type]  # no more of it is used
        self.bodies, self.ends = dict(bodies), ends
        self.jobs: list[TransferJob] = []

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        assert device == PUMP
        body = self.bodies.get(what)
        if isinstance(body, DeviceReport):  # its counter grows with each
            self.bodies[what] = body = replace(body, counter=body.counter + 1)
        return Rejected(-13, "asking") if body is None else Answered(body)

    async def carry_out(self, job: TransferJob) -> tuple[Outcome, Effort]:
        self.jobs.append(job)
        if not self.ends:  # it goes on until it is called off
            await asyncio.Event().wait()
        return self.ends.pop(0), Effort()


class Clock:
    def now(self) -> datetime:
        return NOW

    def steady_s(self) -> float:
        return 0.0


@dataclass
class Scene:
    """One device, and a dispatch that serves it."""

    state: StateDatabase
    rollout: Rollout = EVERYWHERE
    bodies: dict[ReportKind, Body | None] = field(
        default_factory=lambda: {ReportKind.REPORT: RUNS_V1, ReportKind.SUMMARY: COUNTED}
    )
    ends: list[Outcome] = field(default_factory=list)
    done: list[Delivered] = field(default_factory=list)

    def __post_init__(self) -> None:
        bench = Bench("plant")
        delegation = read_delegation(bench.delegation, bench.root.public_key)
        for ref, pack in PACKS.items():
            made = Artifact(ref, ESP32.name, DIGESTS[ref], len(pack), 0, frozenset({"THRESHOLD"}))
            self.state.built(made, str((ref, ESP32.name)))
        self.builder = Built()
        self.desired = fleet([device(1)], rollouts=(self.rollout,))
        self.view = Inventory(self.state)
        self.view.take_report(PUMP, RUNS_V1, NOW, asked=True)
        self.view.take_capabilities(PUMP, TOLD)
        self.fleet = Answers(self.bodies, self.ends)
        self.deliveries = Deliveries(self.done.append, lambda: None, random.Random(1))
        artifacts = Artifacts(self.builder, self.state, lambda: None)
        gateway = GatewayKey(bench.gateway, bench.delegation, delegation)
        tools = DispatchPorts(artifacts, self.view, self.state, gateway, Clock(), lambda _device: self.fleet)
        self.dispatch = Dispatch(tools, self.deliveries)

    def run(self, *actions: Action) -> list[str]:
        """Carry out actions one after the other; return in words how they ended."""

        async def scene() -> None:
            for action in actions:
                self.dispatch.begin(self.desired, (action,), now_s=float("inf"))
                while self.deliveries.running:  # noqa: ASYNC110 - as a pass does, which is woken by `done`
                    await asyncio.sleep(0)

        asyncio.run(scene())
        return [done.words for done in self.done]

    @property
    def quarantined(self) -> str | None:
        return self.view.why_quarantined(PUMP, DIGESTS[V2])


Made = Callable[..., Scene]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    opened: list[StateDatabase] = []

    def make(**fields: object) -> Scene:
        opened.append(StateDatabase(tmp_path / f"{len(opened)}.db"))
        return Scene(opened[-1], **fields)  # type: ignore[arg-type]  # a test's shorthand

    yield make
    for state in opened:
        state.close()


def test_what_is_confirmed_is_observed_at_once(made: Made) -> None:
    scene = made(ends=[Confirmed(RUNS_V2)])
    assert scene.run(INSTALL) == ["confirmed, sequence 4"]
    (job,) = scene.fleet.jobs
    assert (job.sequence, job.payload != b"", job.digest16) == (4, True, bytes.fromhex(DIGESTS[V2])[:16])
    assert scene.view.report_of(PUMP) == RUNS_V2
    assert scene.state.delivery(PUMP) is not None
    assert scene.view.evidence.before(PUMP) is not None  # what it was before is noted


def test_what_the_device_holds_travels_as_an_envelope_alone(made: Made) -> None:
    scene = made(ends=[Confirmed(RUNS_V2), Confirmed(RUNS_V2)])
    activate = ActivatePrebaked(PUMP, EVERYWHERE.name, V2, {}, "was made with m@2")
    scene.run(replace(INSTALL, origin=Origin.OTHER_SLOT), activate)
    assert [job.payload for job in scene.fleet.jobs] == [b"", b""]


def test_actions_that_send_nothing_begin_nothing(made: Made) -> None:
    scene = made()
    build = replace(INSTALL, origin=Origin.BUILD)
    assert scene.run(build, NoChange(PUMP, "runs it"), Blocked(PUMP, None, BlockedReason.SILENT, "silent")) == []
    assert scene.fleet.jobs == []


@pytest.mark.parametrize(
    ("end", "words", "why"),
    [
        (TrialFailed(replace(RUNS_V1, counter=2, error=-31)), "the trial failed", "the trial failed"),
        (
            Rejected(DeviceErrorCode.SIGNATURE, "offering"),
            "refused while offering with -16: the signature is wrong",
            "refused while offering with -16: the signature is wrong",
        ),
        (Rejected(DeviceErrorCode.SEQUENCE, "offering"), refused(DeviceErrorCode.SEQUENCE, "offering"), None),  # our view was old
        (Lost("no answer to 6 questions"), "lost: no answer to 6 questions", None),
    ],
)
def test_what_failed_for_good_is_not_tried_again(made: Made, end: Outcome, words: str, why: str | None) -> None:
    scene = made(ends=[end])
    assert scene.run(INSTALL)[0].startswith(words)
    if why is None:
        assert scene.quarantined is None
    else:
        assert (scene.quarantined or "").startswith(why)


def test_a_pack_that_does_not_fit_beside_its_payload_travels_raw_next(made: Made) -> None:
    scene = made(ends=[Rejected(DeviceErrorCode.TOO_LARGE, "offering"), Rejected(DeviceErrorCode.TOO_LARGE, "offering")])
    first, second = scene.run(INSTALL, INSTALL)
    assert first.endswith("it travels raw next")
    assert second == refused(DeviceErrorCode.TOO_LARGE, "offering")  # raw it can't be smaller
    assert scene.fleet.jobs[1].payload == PACKS[V2]
    assert scene.quarantined is not None


def test_parameters_that_are_refused_quarantine_no_pack(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    scene = made(ends=[Rejected(-24, "offering")])
    scene.run(CONFIGURE)
    assert "parameters were not taken: refused while offering with -24: " in caplog.text
    assert scene.state.quarantined() == []


def test_parameters_for_a_pack_that_nobody_knows_are_not_sent(made: Made) -> None:
    scene = made(bodies={ReportKind.REPORT: replace(RUNS_V1, running=b"\x77" * 16)})
    assert scene.run(CONFIGURE) == ["lost: the pack that it runs is not known"]
    assert scene.fleet.jobs == []


@pytest.mark.parametrize(
    ("bodies", "words"),
    [
        ({}, "lost: it gave no report"),
        ({ReportKind.REPORT: TOLD}, "lost: it gave no report"),
        ({ReportKind.REPORT: RUNS_V1}, "lost: it did not tell what it counted so far, which gates compare with"),
    ],
)
def test_nothing_is_sent_to_a_device_that_does_not_say_how_it_is(
    made: Made, bodies: dict[ReportKind, Body | None], words: str
) -> None:
    scene = made(bodies=bodies, rollout=GATED)
    assert scene.run(INSTALL) == [words]
    assert scene.fleet.jobs == []


def test_a_gate_on_the_rate_waits_until_the_rate_is_known(made: Made) -> None:
    rate = HealthGate(HealthMetric.INFERENCE_RATE_RATIO, at_least=0.9)
    scene = made(rollout=replace(EVERYWHERE, gates=(rate,)))
    assert scene.run(INSTALL) == ["lost: how fast it infers is not known yet, and a gate compares with it"]


def test_a_device_in_whose_name_two_answer_gets_nothing(made: Made) -> None:
    scene = made()
    for counter in (50, 2, 51, 3, 52):
        scene.view.take_report(PUMP, replace(RUNS_V1, counter=counter), NOW, asked=True)
    scene.fleet.bodies[ReportKind.REPORT] = replace(RUNS_V1, counter=4)
    assert scene.run(INSTALL) == ["lost: two devices answer in its name"]


def test_a_device_that_never_told_what_it_can_do_gets_nothing(made: Made) -> None:
    scene = made()
    scene.view.forget(PUMP)
    assert scene.run(INSTALL) == ["lost: it did not tell its capabilities"]
    assert scene.fleet.jobs == []


def test_a_device_is_asked_what_it_can_do_when_its_update_comes_before_its_turn_to_be_asked(made: Made) -> None:
    scene = made(ends=[Confirmed(RUNS_V2)])
    scene.view.forget(PUMP)
    scene.fleet.bodies[ReportKind.CAPABILITIES] = TOLD
    assert scene.run(INSTALL) == ["confirmed, sequence 4"]
    assert len(scene.fleet.jobs) == 1
    assert scene.view.capabilities_of(PUMP) == TOLD


def test_a_store_that_lost_a_pack_is_told_and_the_pack_built_again(made: Made) -> None:
    scene = made()
    scene.builder.lost = True
    assert scene.run(INSTALL) == ["lost: the store is empty"]
    assert scene.run(INSTALL) == ["lost: the store is empty"]  # nothing begins: it is being built
    assert scene.fleet.jobs == []


@pytest.mark.parametrize(
    ("actions", "owner", "goes_on"),
    [
        ((INSTALL,), EVERYWHERE.name, True),
        ((INSTALL,), RolloutId("another"), False),
        ((replace(INSTALL, model=V1),), EVERYWHERE.name, False),
        ((), EVERYWHERE.name, False),  # its gateway no longer serves it
    ],
)
def test_what_is_no_longer_wanted_is_called_off(
    made: Made, actions: tuple[Action, ...], owner: RolloutId, *, goes_on: bool
) -> None:
    scene = made()

    async def begun() -> bool:
        scene.dispatch.cancel(scene.desired, actions, {PUMP: owner})  # nothing is under way yet
        scene.dispatch.begin(scene.desired, (INSTALL,), now_s=0.0)
        while not scene.fleet.jobs:  # noqa: ASYNC110 - it is under way once it carries out
            await asyncio.sleep(0)
        scene.dispatch.cancel(scene.desired, actions, {PUMP: owner})
        if not goes_on:
            while scene.deliveries.running:  # noqa: ASYNC110 - as a pass does
                await asyncio.sleep(0)
        in_progress = PUMP in scene.deliveries.running
        await scene.deliveries.stop()
        return in_progress

    assert asyncio.run(begun()) == goes_on
    assert scene.done == []  # called off is not failed
