# SPDX-License-Identifier: Apache-2.0
"""Collecting from real agents on a simulated line of 2400 baud: all of it, once, and within its share of the line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from reconciler.engine.samples.collector import SampleCollector
from reconciler.knowledge.reader import read_knowledge
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import DeviceId
from reconciler.model.samples import SampleLog
from tests.engine.samples.sample_line import BAUD, CONTEST, EVERY, SampleLine, for_seconds, window
from tests.firmware.conftest import build


@pytest.fixture(scope="module")
def library() -> Path:
    return build("host") / "libtinyfleet-host.so"


def test_what_the_sensors_gave_is_in_the_database(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db", count=3)
    expected = {}
    for number, (name, agent) in enumerate(line.agents.items()):
        expected[name] = [window(10 * number + each) for each in range(6)]
        for data in expected[name]:
            agent.infer(data)
        for each in range(4):
            agent.infer(window(each, anomalous=False))
    line.run(for_seconds(900), every_s=10)
    assert line.stored() == expected
    normals = line.stored(SampleLog.NORMALS)
    assert normals == {name: [window(1, anomalous=False), window(3, anomalous=False)] for name in line.names}
    with read_knowledge(line.path, daemon_runs=False) as knowledge:
        samples = [each.sample for each in knowledge.samples_after(CONTEST, 0, 100)]
    assert {sample.weight for sample in samples if sample.log is SampleLog.NORMALS} == {EVERY}
    assert {sample.weight for sample in samples if sample.log is SampleLog.ANOMALIES} == {1}


def test_it_takes_its_share_of_the_line_and_no_more(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db", count=2)
    for agent in line.agents.values():
        for number in range(90):
            agent.infer(window(number))
    seconds = 1800
    line.run(for_seconds(seconds), every_s=10, line_share=15.0)
    share = line.bytes_on_the_wire * 10 / BAUD / seconds
    assert 0.12 < share <= 0.16 + 120 * 0.15 / seconds  # with what may be saved up at the start
    assert {len(windows) for windows in line.stored().values()} != {90}  # there was more than the share allowed


def test_anomalies_go_before_normals(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db", count=2)
    for agent in line.agents.values():
        for number in range(20):
            agent.infer(window(number, anomalous=False))
    for number in range(20):
        line.agents[DeviceId("pump-2")].infer(window(number))

    async def until_anomalies_are_there(_collector: SampleCollector, knowledge: KnowledgeWriter) -> tuple[int, int]:
        while True:
            line.new.clear()
            await line.new.wait()
            counts = knowledge.counts(CONTEST)
            if counts.anomalies == 20:
                return counts.anomalies, counts.samples

    anomalies, samples = line.run(until_anomalies_are_there, every_s=30)
    assert samples - anomalies <= 2  # nothing was known to be due when these were fetched


def test_a_delivery_goes_first(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db")
    line.agents[DeviceId("pump-1")].infer(window(1))
    line.busy = True

    async def deliver(_collector: SampleCollector, knowledge: KnowledgeWriter) -> None:
        await asyncio.sleep(600)
        assert line.bytes_on_the_wire == 0
        line.busy = False
        await asyncio.sleep(60)
        assert knowledge.counts(CONTEST).samples == 1

    line.run(deliver)


def test_noise_and_restarts_lose_nothing_and_double_nothing(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db", count=2, bit_error_rate=5e-5)
    expected: dict[DeviceId, list[bytes]] = {name: [] for name in line.names}
    for run in range(8):
        for name, agent in line.agents.items():
            agent.infer(window(run))
            expected[name].append(window(run))
            if run % 3 == 0:
                agent.boot()
        line.run(for_seconds(7.0 + 3 * run), every_s=1, line_share=100.0)  # ends in the middle of something
    line.run(for_seconds(600), every_s=1, line_share=100.0)
    assert line.stored() == expected


def test_features_alone(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db")
    line.agents[DeviceId("pump-1")].infer(window(1))
    line.run(for_seconds(60), windows=False)
    assert line.stored() == {DeviceId("pump-1"): [None]}


def test_a_log_that_overran_is_counted(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db")
    agent = line.agents[DeviceId("pump-1")]
    agent.infer(window(0))
    line.run(for_seconds(60), every_s=10)
    for number in range(300):
        agent.infer(window(number))

    async def lost(collector: SampleCollector, knowledge: KnowledgeWriter) -> tuple[int, int]:
        await line.new.wait()
        tallied = collector.tallies[CONTEST].lost_bytes[DeviceId("pump-1")]
        return tallied, knowledge.position(DeviceId("pump-1"), SampleLog.ANOMALIES).lost_bytes

    tallied, kept = line.run(lost, every_s=10)
    assert tallied == kept > 100 * 544
    assert window(0) in (line.stored()[DeviceId("pump-1")])


def test_a_device_without_a_log_says_so(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db", count=1)
    line.names.append(DeviceId("pump-9"))  # nobody answers at its address

    async def tally(collector: SampleCollector, _knowledge: KnowledgeWriter) -> set[DeviceId]:
        await asyncio.sleep(120)
        return collector.tallies[CONTEST].silent

    line._made[DeviceId("pump-9")] = line._made[DeviceId("pump-1")]
    assert line.run(tally, every_s=10) == {DeviceId("pump-9")}


def test_a_bit_that_flips_in_flash_loses_its_sample_alone(library: Path, tmp_path: Path) -> None:
    line = SampleLine(library, tmp_path / "knowledge.db")
    agent = line.agents[DeviceId("pump-1")]
    for number in range(6):
        agent.infer(window(number))
    record = 32 + 512  # a window of 500 bytes, padded
    at = agent.geometry.regions()["anomalies"].offset + 32 + 2 * record + 300
    agent.write_flash(at, bytes([agent.read_flash(at, 1)[0] ^ 0x10]))
    line.run(for_seconds(600), every_s=10)
    assert line.stored() == {DeviceId("pump-1"): [window(number) for number in range(6) if number != 2]}
    with read_knowledge(line.path, daemon_runs=False) as knowledge:
        assert knowledge.position(DeviceId("pump-1"), SampleLog.ANOMALIES).unreadable_bytes >= record
