# SPDX-License-Identifier: Apache-2.0
"""Fleets for tests: two thousand devices in all states, and any number of similar devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.model import (
    Action,
    Blocked,
    BlockedReason,
    ContestId,
    DeviceId,
    Digest,
    FunctionId,
    GatewayId,
    Hold,
    HoldReason,
    Install,
    KnowledgeBounds,
    ModelRef,
    NoChange,
    ObservedDevice,
    Origin,
    Phase,
    PipelineId,
    ProposalMode,
    RolloutId,
    RolloutReport,
    TrainingId,
    TrainingProposal,
    TypeId,
    Version,
)
from reconciler.page.page_model import BucketFacts, DeviceDetail, LinkFacts, LiveState, PageModel, ScoreFacts
from reconciler.report.contest_figures import CandidateFigures, ContestFigures, ContestLimits, DeviceErrors
from reconciler.report.contest_status import (
    CollectionFacts,
    ContestReport,
    ContestStatus,
    KnowledgeFacts,
    ProposalFacts,
    VotingFacts,
    contest_status,
)
from reconciler.report.device_status import DeviceFacts, DeviceStatus, PassStamp, device_status
from reconciler.report.function_status import FunctionFigures, FunctionReport, FunctionStatus, function_status
from reconciler.report.gateway_status import GatewayFacts, GatewayStatus, SourceState, gateway_status
from reconciler.report.model_status import BuiltPack, ModelFacts, ModelStatus, model_status
from reconciler.report.pipeline_figures import PipelineFigures, PipelineStageFigures
from reconciler.report.pipeline_status import PipelineReport, PipelineStatus, pipeline_status
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, WaveFacts, rollout_status
from reconciler.report.training_figures import TrainedFigures, TrainingFigures
from reconciler.report.training_status import TrainingReport, TrainingStatus, training_status
from reconciler.training.selection import RowCounts

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
COMMIT = "7d1f0c29a4be5b3e8d6c01f7a92e4c58b3d6f011"
PUMPS, DOORS, METERS = RolloutId("pump-vibration"), RolloutId("door-sound"), RolloutId("meter-anomaly")
REST = (0, 0, 0, 0)
HOSTILE = "</table><script src=//evil>alert('x')</script>\" onload=\"x\N{RIGHT-TO-LEFT OVERRIDE}\x00&amp;"
HOSTILE += "m" * 120
NEW, OLD = ModelRef("vibration", Version("1.3.0")), ModelRef("vibration", Version("1.2.0"))


def ago(**how_long: float) -> datetime:
    return NOW - timedelta(**how_long)


def status_of(action: Action, since: datetime, model: str | None, *, seen: bool = True) -> DeviceStatus:
    """Create a status like that of the engine."""
    observed = ObservedDevice(last_seen=NOW, phase=Phase.CONFIRMED, running=Digest("8b1a99" * 10), sequence=7)
    return device_status(DeviceFacts(action, observed if seen else None, model), PassStamp(since, COMMIT), None)


def similar(number: int) -> list[DeviceStatus]:
    """Make devices of which every tenth is not reporting."""
    return [
        status_of(
            NoChange(DeviceId(f"pump-{index:05}"), "runs vibration@1.3.0")
            if index % 10
            else Blocked(DeviceId(f"pump-{index:05}"), PUMPS, BlockedReason.SILENT, "last report at 07:12"),
            ago(minutes=index),
            str(NEW),
        )
        for index in range(number)
    ]


def pumps() -> Iterator[DeviceStatus]:
    for index in range(1200):
        name = DeviceId(f"pump-{index:04}")
        if index < 412:
            yield status_of(NoChange(name, "runs vibration@1.3.0"), ago(hours=30 - index / 40), str(NEW))
        elif index < 430:
            action: Action = Install(name, PUMPS, NEW, Origin.ARTIFACT, {}, "vibration@1.3.0 is desired")
            yield status_of(action, ago(minutes=index - 410), str(OLD))
        else:
            why = "wave 2 (third): 412 of 432 done, 18 in progress, 2 missing"
            yield status_of(Hold(name, PUMPS, HoldReason.WAVE, why), ago(hours=31), str(OLD))


def troubled() -> Iterator[DeviceStatus]:
    failed = "vibration@1.3.0 failed here: 2 of 16 golden vectors differ"
    yield status_of(Blocked(DeviceId("pump-2003"), PUMPS, BlockedReason.QUARANTINED, failed), ago(hours=5), str(OLD))
    for index in range(9):
        silent = f"silent since 2026-05-0{1 + index % 3} 22:{10 + index}, longer than 15m"
        name = DeviceId(f"pump-{3000 + 7 * index}")
        yield status_of(Blocked(name, PUMPS, BlockedReason.SILENT, silent), ago(hours=11 + 9 * index), str(OLD))
    arena = "meter-anomaly@4.0.0 needs 9216 bytes of arena, 1024 more than the device has"
    for index in range(3):
        action = Blocked(DeviceId(f"meter-{40 + index}"), METERS, BlockedReason.ARENA, arena, 1024)
        yield status_of(action, ago(days=2, hours=index), "meter-anomaly@3.1.0")
    action = Blocked(DeviceId("door-17"), DOORS, BlockedReason.CLONED, "two devices answer in its name")
    yield status_of(action, ago(minutes=52), "door-sound@2.0.1")
    yield status_of(
        Hold(DeviceId("door-18"), DOORS, HoldReason.WINDOW, "the window opens at 22:00 UTC"),
        ago(hours=3),
        None,
        seen=False,
    )


def settled() -> Iterator[DeviceStatus]:
    for index in range(640):
        yield status_of(
            NoChange(DeviceId(f"meter-{index:04}"), "runs meter-anomaly@4.0.0"), ago(days=9), "meter-anomaly@4.0.0"
        )
    for index in range(148):
        yield status_of(
            NoChange(DeviceId(f"door-{100 + index}"), "runs door-sound@2.1.0"), ago(days=1), "door-sound@2.1.0"
        )


def gateway(*, good: bool = True) -> GatewayStatus:
    source = SourceState(good, "Fetched" if good else "UnsignedCommit", "commit c0ffee is not signed")
    links = {"mqtt": None, "line-north": None, "line-south": "no such port"}
    return gateway_status(GatewayFacts("hall-north", source, links=links), PassStamp(ago(hours=2), COMMIT), None)


def rollouts(devices: list[DeviceStatus]) -> tuple[RolloutStatus, ...]:
    by_reason: dict[tuple[str, str], set[DeviceId]] = {}
    for each in devices:
        by_reason.setdefault((each.device.partition("-")[0], each.ready.reason), set()).add(each.device)

    def names(kind: str, reason: str) -> frozenset[DeviceId]:
        return frozenset(by_reason.get((kind, reason), ()))

    pump_word = RolloutReport(
        "w1",
        done=names("pump", "Ready"),
        begun=names("pump", "Updating"),
        due=names("pump", "HeldWave"),
        failed=names("pump", "Quarantined"),
        missing=names("pump", "NotReporting"),
    )
    pump_waves = (
        WaveFacts("canary", 12, done=12, at_risk=0, due=0, failed=0, missing=0, open=True),
        WaveFacts("third", 432, done=400, at_risk=18, due=4, failed=1, missing=9, open=True),
        WaveFacts("rest", 766, done=0, at_risk=0, due=766, failed=0, missing=0, open=False),
    )
    waiting = "wave 2 (third): 18 in progress, 9 missing, 4 to go"
    door_word = RolloutReport("w2", done=names("door", "Ready"), stopped="stopped: 3 failed, 2 allowed")
    door_waves = (
        WaveFacts("canary", 5, done=5, at_risk=0, due=0, failed=0, missing=0, open=True),
        WaveFacts("rest", 145, done=143, at_risk=0, due=0, failed=2, missing=0, open=False),
    )
    meter_word = RolloutReport("w3", done=names("meter", "Ready"), out=names("meter", "ArenaTooSmall"))
    meter_waves = (WaveFacts("all", 640, done=640, at_risk=0, due=0, failed=0, missing=0, open=True),)
    found = (
        (RolloutFacts(PUMPS, "vibration@1.3.0", pump_word, pump_waves, complete=False, waiting=waiting), ago(hours=31)),
        (
            RolloutFacts(DOORS, "door-sound@2.2.0", door_word, door_waves, complete=False, rolled_back=True),
            ago(hours=26),
        ),
        (RolloutFacts(METERS, "meter-anomaly@4.0.0", meter_word, meter_waves, complete=True), ago(days=9)),
    )
    return tuple(rollout_status(facts, PassStamp(since, COMMIT), None) for facts, since in found)


def contests() -> tuple[ContestStatus, ...]:
    """Make a contest with an open proposal, and one whose champion is sound."""
    new, old = "vibration@1.3.0 at 0.65", "vibration@1.2.0 at 0.65"
    figures = ContestFigures(
        contest=ContestId("pump-vibration"),
        rollout=PUMPS,
        champion=new,
        state="Open",
        cause="TooManyFalsePositives",
        successor=old,
        since=ago(days=3),
        until=None,
        decided=1412,
        undecided=31,
        normals=207,
        replaced=1,
        limits=ContestLimits(5, 5, 1, 50, 20, 3),
        errors=(DeviceErrors(DeviceId("pump-0007"), 7, 0), DeviceErrors(DeviceId("pump-0123"), 2, 1)),
        devices_with_errors=9,
        candidates=(
            CandidateFigures(new, -118, 1412, 0.031, 0.0),
            CandidateFigures(old, 640, 1412, 0.004, 0.0),
            CandidateFigures("vibration@1.1.0 at 0.65", 612, 1412, 0.029, 0.001, "too many false alarms"),
        ),
    )
    calm = replace(
        figures, contest=ContestId("meter-anomaly"), rollout=METERS, champion="meter-anomaly@4.0.0", state="Watching",
        cause="", successor="", errors=(), devices_with_errors=0,
        candidates=(CandidateFigures("meter-anomaly@4.0.0", 0, 60, 0.0, 0.0),),
    )  # fmt: skip
    good = ContestReport(
        figures,
        CollectionFacts(432),
        VotingFacts(5, 3),
        KnowledgeFacts(1443, 3_200_000, KnowledgeBounds()),
        ProposalFacts(ProposalMode.BRANCH, "propose/hall-north/pump-vibration"),
    )
    reports = (good, ago(hours=7)), (replace(good, figures=calm), ago(days=2))
    return tuple(contest_status(report, PassStamp(since, COMMIT), None) for report, since in reports)


def trainings() -> tuple[TrainingStatus, ...]:
    """Make a training whose models a branch proposes, and one that runs."""
    best = TrainedFigures("vibration@20261129-5f0c3b9e", 17, 1.4, 1.2, 97.5, 0.61, 2216, {"method": "isolation-forest"})
    figures = TrainingFigures(
        TrainingId("pump-forests"), ContestId("pump-vibration"), "vibration", "false-alarms-per-day", "Open", "Kept",
        ago(hours=9), None, 40, 40, 0, 812, 5000, RowCounts(9120, 0, 3908, 61), (best,),
    )  # fmt: skip
    runs = replace(
        figures, training=TrainingId("meter-forests"), contest=ContestId("meter-anomaly"), model="meter-anomaly",
        state="Training", result="Running", done=13, best=(),
    )  # fmt: skip
    reports = (
        (TrainingReport(figures, TrainingProposal.BRANCH, "propose/hall-north/training_pump-forests"), ago(hours=8)),
        (TrainingReport(runs, TrainingProposal.BRANCH, "propose/hall-north/training_meter-forests"), ago(minutes=20)),
    )
    return tuple(training_status(report, PassStamp(since, COMMIT), None) for report, since in reports)


def functions() -> tuple[FunctionStatus, ...]:
    """Make a function that answers, and one whose calls fail."""
    figures = FunctionFigures(FunctionId("rms"), "features.rms", Version("1.2.0"), 48_211, 3)
    loops = FunctionFigures(FunctionId("peaks"), "features.peaks", Version("0.9.0"), 12, 12)
    reports = (
        (FunctionReport(figures, (GatewayId("hall-north"),)), ago(days=3)),
        (
            FunctionReport(
                loops, (GatewayId("hall-north"),), failure=("OutOfFuel", "the last call failed: it used up its fuel")
            ),
            ago(hours=1),
        ),
    )
    return tuple(function_status(report, PassStamp(since, COMMIT), None) for report, since in reports)


def models() -> tuple[ModelStatus, ...]:
    """Make a model that runs on some of its devices, and one that runs on all."""
    pack = BuiltPack(TypeId("esp32"), 23_412, 8_192, "int8", ("auc 0.981 (at least 0.95)",))
    facts = ModelFacts(
        "vibration@1.3.0", (PUMPS,), (pack,), devices=1210, running=412, configured=412, parameters={"threshold": 0.65},
        reporting=412, alarms=910, device_seconds=412 * 86_400.0,
    )  # fmt: skip
    done = replace(facts, model="meter-anomaly@4.0.0", devices=412)
    return tuple(model_status(each, PassStamp(ago(hours=30), COMMIT), None) for each in (facts, done))


def live_state() -> LiveState:
    return LiveState(
        at=NOW,
        running=True,
        in_progress_count=18,
        in_progress={DeviceId("pump-0412"): "vibration@1.3.0, 31 of 54 blocks"},
        building=("door-sound@2.2.0 for esp32-door",),
        refused={"door-17": (14, "the signature is not the device's")},
        links=(
            LinkFacts("mqtt", None, None, 41_300.0, 12_080.0, 948_000_000, 310_400_000, 91_204, 122, 0, 0, 0.0),
            LinkFacts("line-north", None, 2400, 181.0, 22.4, 4_310_000, 702_000, 5_120, 61, 212, 9, 4.7e-5),
            LinkFacts("line-south", "no such port", 9600, None, None, 0, 0, 0, 0, 0, 0, 0.0, ("0x17",)),
        ),
        scores=(
            ScoreFacts("vibration@1.3.0", 412, 4_812_003, 9_120, 0, 3, -820, 9_877, 214.6, (88, 940, 5210, 311, *REST)),
            ScoreFacts("door-sound@2.1.0", 148, 61_222, 1_240, 2, 0, -402, 2_212, 37.0, (4100, 2650, 912, 3, *REST)),
            ScoreFacts("meter-anomaly@4.0.0", 640, 920_455, 0, 0, 12, 0, 0, 0.0, ()),
        ),
        buckets=(BucketFacts("vibration", 98_412, 61_204_331),),
    )  # fmt: skip


def rich(*, live: bool = True) -> PageModel:
    devices = [*pumps(), *troubled(), *settled()]
    return PageModel(
        gateway(),
        devices,
        rollouts(devices),
        live_state() if live else None,
        contests=contests(),
        models=models(),
        trainings=trainings(),
        functions=functions(),
        pipelines=pipelines(),
    )


def pipelines() -> tuple[PipelineStatus, ...]:
    """Make a pipeline whose gateway stands in for one device."""
    first = PipelineStageFigures(
        1, 3, (DeviceId("cam-1"),), "cam-1", moved_bytes=2048, predicted_ms=80.0, measured_ms=84.2
    )
    second = PipelineStageFigures(2, 9, (DeviceId("cam-2"),), "gateway", failed=(DeviceId("cam-2"),), predicted_ms=61.0)
    figures = PipelineFigures(PipelineId("line-vision"), "resnet@1.0.0", (first, second), 141.0, 80.0, 91, 2, 3)
    return (pipeline_status(PipelineReport(figures), PassStamp(ago(minutes=4), COMMIT), None),)


def hostile_pipeline() -> PipelineStatus:
    status = pipelines()[0]
    stage = replace(status.figures.stages[1], devices=(DeviceId(HOSTILE),), runs_on=HOSTILE)
    figures = replace(status.figures, pipeline=PipelineId(HOSTILE), model=HOSTILE, stages=(stage,))
    return replace(
        status, figures=figures, conditions=tuple(replace(each, message=HOSTILE) for each in status.conditions)
    )


def detail(fleet: PageModel, name: DeviceId) -> DeviceDetail | None:
    status = next((each for each in fleet.devices if each.device == name), None)
    if status is None:
        return None
    facts = [
        ("boots", "3"),
        ("inferences", "91204"),
        ("flags", "SELF_TEST"),
        ("firmware", "1.4.0"),
        ("slot", "65536 bytes"),
    ]
    return DeviceDetail(status, ago(minutes=2), facts, {"c4e1" * 16: "2 of 16 golden vectors differ"})


def hostile() -> PageModel:
    """Make a fleet in which every text is an attack, and longer than a line."""
    name = DeviceId(f"pump-{HOSTILE}")
    status = status_of(NoChange(name, HOSTILE), NOW, HOSTILE)
    stuck = replace(status, device=DeviceId(HOSTILE), conditions=rich().devices[-160].conditions)
    bad = rich()
    link = replace(live_state().links[2], name=HOSTILE, trouble=HOSTILE, unknown_devices=(HOSTILE,))
    live = replace(
        live_state(),
        building=(HOSTILE,),
        build_failures={HOSTILE: ("BuildToolsMissing", HOSTILE)},
        refused={HOSTILE: (1, HOSTILE)},
        links=(link,),
        scores=tuple(replace(each, model=HOSTILE) for each in live_state().scores),
    )
    facts = replace(bad.rollouts[0].facts, rollout=RolloutId(HOSTILE), model=HOSTILE)
    rollout = replace(bad.rollouts[0], facts=facts)
    return PageModel(
        replace(gateway(), name=HOSTILE), [status, stuck], (rollout,), live, (hostile_contest(),), (hostile_model(),),
        (hostile_training(),), (hostile_pipeline(),), (hostile_function(),),
    )  # fmt: skip


def hostile_training() -> TrainingStatus:
    status = trainings()[0]
    best = replace(status.figures.best[0], model=HOSTILE, settings={"method": HOSTILE, "features": [HOSTILE]})
    figures = replace(
        status.figures, training=TrainingId(HOSTILE), contest=ContestId(HOSTILE), model=HOSTILE, metric=HOSTILE,
        best=(best,),
    )  # fmt: skip
    return replace(
        status, figures=figures, conditions=tuple(replace(each, message=HOSTILE) for each in status.conditions)
    )


def hostile_function() -> FunctionStatus:
    status = functions()[1]
    figures = replace(status.figures, function=FunctionId(HOSTILE), operation=HOSTILE, version=Version(HOSTILE))
    return replace(
        status, figures=figures, conditions=tuple(replace(each, message=HOSTILE) for each in status.conditions)
    )


def hostile_contest() -> ContestStatus:
    status = contests()[0]
    errors = (DeviceErrors(DeviceId(HOSTILE), 1, 1),)
    candidates = (CandidateFigures(HOSTILE, 1, 1, 0.0, 0.0, HOSTILE),)
    figures = replace(
        status.figures, contest=ContestId(HOSTILE), rollout=RolloutId(HOSTILE), champion=HOSTILE, successor=HOSTILE,
        errors=errors, candidates=candidates,
    )  # fmt: skip
    return replace(
        status, figures=figures, conditions=tuple(replace(each, message=HOSTILE) for each in status.conditions)
    )


def hostile_model() -> ModelStatus:
    status = models()[0]
    return replace(
        status, model=HOSTILE, conditions=tuple(replace(each, message=HOSTILE) for each in status.conditions)
    )
