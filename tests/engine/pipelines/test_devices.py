# SPDX-License-Identifier: Apache-2.0
"""A pipeline over real agents behind a real broker: exact answers when any device dies, and no mixed revisions."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.zoo import Chain
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.devices.conversation import RetryPolicy
from reconciler.devices.link import LinkState
from reconciler.devices.link_session import LinkSession
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.devices.reports import DeviceReport
from reconciler.engine.pipelines.figures import figures_of
from reconciler.engine.pipelines.holder import HolderState, Run, RunLimit
from reconciler.engine.pipelines.router import PipelineBusy, PipelineRouter, PipelineStopped, RoutedFallback
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import DeviceId, Recovery
from reconciler.pipeline.forecast import GATEWAY, not_built
from reconciler.pipeline.patience import FIRST_S, LEAST_S
from tests.engine.pipelines.site import Site, build_stages
from tests.firmware.bench import Bench
from tests.firmware.broker import Broker
from tests.firmware.conftest import build, preset
from tests.pipeline.networks import branched

MODEL = branched()
NETWORK = CutNetwork(MODEL)
CUT = 3
INPUTS = 12
UNHURRIED = RetryPolicy(silences=300)  # a device on a busy machine is slow, not dead
SPARE = (Recovery.SPARE,)
STAND_IN = (Recovery.STAND_IN,)


BUILT = build_stages(NETWORK, (CUT,))
PACKS, ROUTE = BUILT.packs, BUILT.route
SMALL_MODEL = branched(21, channels=2)


SMALL_BUILT = build_stages(CutNetwork(SMALL_MODEL), ())
SMALL, SMALL_STAGE = SMALL_BUILT.packs[0], SMALL_BUILT.route.stages[0]


def inputs() -> list[bytes]:
    chance = np.random.default_rng(3)
    return [chance.bytes(ROUTE.input_bytes[0]) for _ in range(INPUTS)]


def of_the_oracle(given: Sequence[bytes], model: bytes = MODEL) -> list[bytes]:
    """Return the answers of TensorFlow Lite to a model in one piece."""
    oracle = Oracle(model)
    return [oracle.run([np.frombuffer(data, np.int8)])[0].astype(np.int8).tobytes() for data in given]


class PatientSite(Site):
    """Devices with which the gateway is patient exactly as long as they are alive."""

    def __init__(self, broker: Broker, bench: Bench, program: Path, link: LinkSession) -> None:
        super().__init__(bench, program, link, ("--broker", f"127.0.0.1:{broker.port}", "--arena-bytes", "16384"))
        self.patience: dict[str, list[float]] = {}  # that holders had with each device
        self._silent: dict[str, asyncio.Event] = {}

    def send(self, name: str, how: signal.Signals) -> None:
        """Send a signal to a device. Patience with it ends as it falls silent, however fast the machine is."""
        super().send(name, how)
        silent = self._silent.setdefault(name, asyncio.Event())
        if how is signal.SIGCONT:
            silent.clear()
        else:
            silent.set()

    def limit_of(self, name: str) -> RunLimit:
        return lambda work, patience_s: self._limited(name, work, patience_s)

    async def _limited(self, name: str, work: Run, patience_s: float) -> bytes | None:
        """Wait for a device as long as it is alive."""
        self.patience.setdefault(name, []).append(patience_s)
        running = asyncio.create_task(work)
        silent = asyncio.create_task(self._silent.setdefault(name, asyncio.Event()).wait())
        try:
            await asyncio.wait({running, silent}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            raise TimeoutError
        finally:
            await cancel_and_wait([running, silent])

    def router(
        self,
        *holders: Sequence[str],
        recovery: tuple[Recovery, ...] = (),
        fallback: Sequence[str] = (),
        **more: int,
    ) -> PipelineRouter:
        smaller = RoutedFallback(SMALL_STAGE, [self.holder(name, SMALL_STAGE) for name in fallback])
        return self.router_of(BUILT, *holders, recovery=recovery, fallback=smaller if fallback else None, **more)


@pytest.fixture(scope="module")
def program() -> Path:
    return build(preset()) / "tinyfleet-vdev"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.stop()


def with_site(broker: Broker, program: Path, work: Callable[[PatientSite], Awaitable[None]]) -> None:
    """Run a test with a connected gateway."""

    async def run() -> None:
        bench = Bench("plant")
        names = [DeviceId(name) for name in ("first", "second", "spare")]
        link = MqttLink(MqttSettings("127.0.0.1", "plant", "hall", port=broker.port), names)
        session = LinkSession(
            link, lambda device, cose, nonce: bench.device(device).open_signed(cose, nonce), retry=UNHURRIED
        )
        tasks = [asyncio.create_task(session.run())]
        site = PatientSite(broker, bench, program, session)
        try:
            async for event in session.unsolicited():
                if event == LinkState(up=True):
                    break
            await work(site)
        finally:
            site.close()
            await cancel_and_wait(tasks)

    asyncio.run(run())


def test_two_devices_answer_like_the_oracle(broker: Broker, program: Path) -> None:
    """With no recovery allowed, only the devices can have answered; they counted it themselves."""

    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", PACKS[1])
        router = site.router(["first"], ["second"])
        given = inputs()
        results = await asyncio.gather(*(router.run(data) for data in given))
        assert [result.outputs for result in results] == of_the_oracle(given)
        assert {result.ran for result in results} == {("first", "second")}
        for name in ("first", "second"):
            report = await site.link.report(DeviceId(name))
            assert isinstance(report, DeviceReport)
            assert report.inferences == INPUTS

    with_site(broker, program, work)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_the_gateway_stands_in_for_a_device_that_dies(broker: Broker, program: Path, how: signal.Signals) -> None:
    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", PACKS[1])
        router = site.router(["first"], ["second"], recovery=STAND_IN)
        given = inputs()
        before = await router.run(given[0])
        running = [asyncio.create_task(router.run(data)) for data in given[1:]]
        site.send("second", how)
        results = [before, *await asyncio.gather(*running)]
        assert [result.outputs for result in results] == of_the_oracle(given)
        assert before.ran == ("first", "second")
        assert results[-1].ran == ("first", GATEWAY)
        first, *later = site.patience["second"]
        assert first == FIRST_S
        assert all(each >= LEAST_S for each in later)
        answered = router.tallies[1].by["second"]
        assert len(site.patience["second"]) == answered + 1  # of all inputs that waited for it, one was patient

    with_site(broker, program, work)


def test_a_spare_takes_the_stage_of_a_device_that_dies(broker: Broker, program: Path) -> None:
    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", PACKS[1])
        await site.add("spare", PACKS[1])
        router = site.router(["first"], ["second", "spare"], recovery=SPARE)
        given = inputs()
        assert (await router.run(given[0])).ran == ("first", "second")
        site.send("second", signal.SIGKILL)
        results = [await router.run(data) for data in given[1:]]
        assert [result.outputs for result in results] == of_the_oracle(given[1:])
        assert {result.ran for result in results} == {("first", "spare")}

    with_site(broker, program, work)


def test_a_smaller_model_answers_when_nothing_else_may(broker: Broker, program: Path) -> None:
    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", PACKS[1])
        await site.add("spare", SMALL)
        router = site.router(["first"], ["second"], recovery=(Recovery.SPARE, Recovery.FALLBACK), fallback=["spare"])
        given = inputs()
        exact = await router.run(given[0])
        assert (exact.exact, exact.ran) == (True, ("first", "second"))
        site.send("second", signal.SIGKILL)
        result = await router.run(given[1])
        assert (result.exact, result.ran) == (False, ("first", "spare"))
        assert result.outputs == of_the_oracle(given[1:2], SMALL_MODEL)[0] != of_the_oracle(given[1:2])[0]
        site.send("spare", signal.SIGKILL)
        with pytest.raises(PipelineStopped, match="stage 2"):
            await router.run(given[2])
        assert (router.answered, router.stopped) == (2, 1)

    with_site(broker, program, work)


def test_figures_say_who_would_run_each_stage(broker: Broker, program: Path) -> None:
    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", PACKS[1])
        router = site.router(["first"], ["second"], recovery=STAND_IN)

        def runs_on() -> list[str | None]:
            found = figures_of(router, not_built(router.pipeline)).stages
            return [stage.runs_on for stage in found]

        assert router.holders[0][0].state is HolderState.PREPARING
        assert runs_on() == [GATEWAY, GATEWAY]  # no device has reported
        for name in ("first", "second"):
            report = await site.link.report(DeviceId(name))
            assert isinstance(report, DeviceReport)
            site.reports[DeviceId(name)] = report
        assert runs_on() == ["first", "second"]
        given = inputs()
        await router.run(given[0])
        assert site.changes == []
        site.send("second", signal.SIGKILL)
        await router.run(given[1])
        assert site.changes == ["second"]
        assert runs_on() == ["first", GATEWAY]
        stage = figures_of(router, not_built(router.pipeline)).stages[1]
        assert (stage.failed, stage.ran_by) == (("second",), {"second": 1, GATEWAY: 1})
        assert stage.ran_by_kind() == {"first": 1, GATEWAY: 1}
        assert stage.measured_ms is not None
        figures = figures_of(router, not_built(router.pipeline))
        assert figures.measured_latency_ms is not None
        assert figures.measured_latency_ms >= stage.measured_ms
        assert figures.measured_period_ms >= stage.measured_ms

    with_site(broker, program, work)


def test_a_device_gets_its_stage_back_when_it_returns(broker: Broker, program: Path) -> None:
    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", PACKS[1])
        router = site.router(["first"], ["second"], recovery=STAND_IN, heal_after_s=0)
        given = inputs()
        await router.run(given[0])
        site.send("second", signal.SIGSTOP)
        assert (await router.run(given[1])).ran == ("first", GATEWAY)
        site.send("second", signal.SIGCONT)
        assert isinstance(await site.link.report(DeviceId("second")), DeviceReport)
        healed = await router.run(given[2])
        assert healed.ran == ("first", "second")
        assert healed.outputs == of_the_oracle(given[2:3])[0]

    with_site(broker, program, work)


def test_a_device_that_restarts_gets_another_session(broker: Broker, program: Path) -> None:
    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", PACKS[1])
        router = site.router(["first"], ["second"])
        given = inputs()
        await router.run(given[0])
        site.vdevs["second"].command("restart second")
        again = await router.run(given[1])
        assert (again.ran, again.outputs) == (("first", "second"), of_the_oracle(given[1:2])[0])

    with_site(broker, program, work)


def test_stages_of_two_revisions_never_mix(broker: Broker, program: Path) -> None:
    """The second device still holds a stage behind another cut: it is not asked, whatever that costs."""
    other = build_stages(NETWORK, (CUT + 1,)).packs

    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        await site.add("second", other[1])
        given = inputs()
        with pytest.raises(PipelineStopped, match="stage 2"):
            await site.router(["first"], ["second"]).run(given[0])
        result = await site.router(["first"], ["second"], recovery=STAND_IN).run(given[0])
        assert (result.ran, result.outputs) == (("first", GATEWAY), of_the_oracle(given[:1])[0])

    with_site(broker, program, work)


def test_a_layer_that_fits_no_device_runs_on_two(broker: Broker, program: Path) -> None:
    """Each has a slot of 8 KiB, and refuses the pack of the whole layer."""
    net = Chain(12)
    first = net.tensor([1, 96], 0.04, 5)
    model = net.model.finish([first], [net.dense(net.dense(first, 96), 8, relu=0)])
    network = CutNetwork(model).split(0, 2)
    assert network is not None
    built = build_stages(network, (1,))

    async def work(site: PatientSite) -> None:
        for name, pack in zip(("first", "second"), built.packs, strict=True):
            await site.add(name, pack, "--slot-bytes", "8192")
        with pytest.raises(AssertionError, match="Rejected"):
            await site.give("first", build_stages(CutNetwork(model), ()).packs[0])
        router = site.router_of(built, ["first"], ["second"])
        chance = np.random.default_rng(5)
        for given in (chance.bytes(96) for _ in range(3)):
            result = await router.run(given)
            oracle = Oracle(model).run([np.frombuffer(given, np.int8).reshape(1, 96)])
            assert (result.ran, result.outputs) == (("first", "second"), oracle[0].astype(np.int8).tobytes())

    with_site(broker, program, work)


def test_what_waits_is_bounded(broker: Broker, program: Path) -> None:
    async def work(site: PatientSite) -> None:
        await site.add("first", PACKS[0])
        router = site.router(["first"], ["first"], recovery=STAND_IN, in_flight=1, queue=2)
        given = inputs()
        results = await asyncio.gather(*(router.run(data) for data in given), return_exceptions=True)
        assert sum(isinstance(result, PipelineBusy) for result in results) == INPUTS - 3
        assert router.waiting == 0

    with_site(broker, program, work)
