# SPDX-License-Identifier: Apache-2.0
"""Real agents on a simulated line have grown forests, and a gateway fetches them."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.devices.learned_fetch import LearnedFetch, LearnedParts
from reconciler.devices.learned_regions import row_check
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import SampleSpace
from reconciler.devices.reports import HeldSamples
from reconciler.devices.sample_range import AttestedRange, NothingNew, RangeFetch
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.engine.samples.learned_visit import LearnedPorts, LearnedVisit
from reconciler.engine.samples.sample_contexts import SampleContexts
from reconciler.engine.samples.starter_packs import Starter
from reconciler.engine.samples.visit import DeviceCollection, VisitPorts, VisitResult
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import ContestId, DeviceId, Digest, ModelRef, SampleCollection, Version
from tests.devices.agent_station import AgentStation
from tests.engine.samples.sample_line import SimulatedClock, at_once
from tests.firmware.bench import Bench
from tests.firmware.conftest import build
from tests.firmware.host import Geometry, HostAgent, HostLibrary
from tests.firmware.learning import FORM, RECIPE, expected_forest, infer_windows, learning_pack, windows

PUMP, CONTEST, BAUD = DeviceId("pump-1"), ContestId("pumps"), 2400
PACK = learning_pack()
STARTER = Starter(ModelRef("forest", Version("1")), Digest(hashlib.sha256(PACK).hexdigest()), PACK)
WANTED = DeviceCollection(CONTEST, SampleCollection(), forests=True)
Result = TypeVar("Result")


class LearningLine:
    """One agent that has learned, or not, on a line of 2400 baud."""

    def __init__(self, library: Path, folder: Path, *, write: int = 8) -> None:
        self._library = library
        self._made = Bench("plant").device(PUMP, address=1)
        geometry = Geometry(write=write, anomalies=8192, normals=8192, rows=4 * 4096, forest=4 * 4096)
        self.agent = HostAgent(HostLibrary(library), self._made.region(PACK), geometry=geometry)
        self.agent.boot()
        self.agent.settle()
        self.knowledge = KnowledgeWriter(folder / "knowledge.db")
        self.learned = 0
        self.rows: list[list[int]] = []

    def teach(self, seed: int = 1, share: float = 1.0) -> None:
        seen = infer_windows(self.agent, windows(seed), int(RECIPE.every * RECIPE.rows * share))
        self.rows = seen[RECIPE.every - 1 :: RECIPE.every]
        self.agent.settle()

    def run(self, work: Callable[[LinkSession], Awaitable[Result]], *, bit_error_rate: float = 0.0) -> Result:
        return run_simulated(self._main(work, bit_error_rate))

    def visit(self, starter: Starter | None = STARTER) -> VisitResult:
        ports = VisitPorts(self.knowledge, SampleContexts(self.knowledge), SimulatedClock(), at_once)
        learned = LearnedPorts(lambda _device: starter, self._count)
        return self.run(lambda session: LearnedVisit(ports, learned, PUMP).run(session, WANTED))

    def _count(self) -> None:
        self.learned += 1

    async def _main(self, work: Callable[[LinkSession], Awaitable[Result]], bit_error_rate: float) -> Result:
        station = AgentStation(self._library, self.agent, 1)
        line = SimulatedLine([station], baud=BAUD, bit_error_rate=bit_error_rate, seed=3)
        session = LinkSession(
            SerialLink(line, {PUMP: 1}), lambda _device, cose, nonce: self._made.open_signed(cose, nonce)
        )
        running = asyncio.create_task(session.run())
        try:
            return await work(session)
        finally:
            running.cancel()


@pytest.fixture(scope="module")
def library() -> Path:
    return build("host") / "libtinyfleet-host.so"


@pytest.fixture
def line(library: Path, tmp_path: Path) -> LearningLine:
    return LearningLine(library, tmp_path)


def fetched(line: LearningLine, known: bytes | None = None, *, bit_error_rate: float = 0.0) -> object:
    return line.run(
        lambda session: LearnedFetch(session, PUMP, FORM.features).run(known), bit_error_rate=bit_error_rate
    )


@pytest.mark.parametrize("write", [1, 4, 8, 16])
def test_forest_and_rows_arrive_whatever_the_write_size_is(library: Path, tmp_path: Path, write: int) -> None:
    line = LearningLine(library, tmp_path, write=write)
    line.teach()
    found = fetched(line)
    assert isinstance(found, LearnedParts)
    assert [list(row) for row in found.rows.rows] == line.rows
    assert found.forest.section == expected_forest(line.rows)
    assert found.forest.lesson == found.rows.lesson
    assert isinstance(fetched(line, found.forest.sha256), NothingNew)


def test_a_line_with_bit_errors_gives_the_same(line: LearningLine) -> None:
    line.teach()
    clean = fetched(line)
    assert isinstance(clean, LearnedParts)
    assert fetched(line, bit_error_rate=2e-4) == clean


def test_a_device_without_a_forest_has_nothing_new(line: LearningLine) -> None:
    line.teach(share=0.5)
    assert isinstance(fetched(line), NothingNew)


@pytest.mark.parametrize("space", [SampleSpace.ROWS, SampleSpace.FOREST])
def test_what_a_device_holds_of_a_learned_region_is_known(line: LearningLine, space: SampleSpace) -> None:
    line.teach()
    found = line.run(lambda session: RangeFetch(session, PUMP, space).run(0, 16_384))
    assert isinstance(found, AttestedRange)
    assert found.held == HeldSamples(0, len(found.data))


def test_the_gateway_keeps_what_it_has_grown_itself(line: LearningLine) -> None:
    line.teach()
    first = line.visit()
    assert not first.failed
    (kept,) = line.knowledge.learned_forests()
    assert disassemble(kept.pack).section(SectionId.FOREST) == expected_forest(line.rows)
    assert (kept.device, kept.contest, kept.starter, kept.rows) == (PUMP, CONTEST, STARTER.model, RECIPE.rows)
    again = line.visit()
    assert not again.failed
    assert again.used_bytes < 200 < first.used_bytes
    assert line.learned == 1


def test_another_starter_and_a_device_that_does_not_learn_give_nothing(line: LearningLine) -> None:
    line.teach()
    assert line.visit(None) == VisitResult()
    other = learning_pack(threshold=0.7)
    digest = Digest(hashlib.sha256(other).hexdigest())
    assert line.visit(Starter(STARTER.model, digest, other)).failed
    assert line.knowledge.learned_forests() == []


def test_a_forest_that_does_not_grow_from_the_rows_is_not_kept(line: LearningLine) -> None:
    """A row is overwritten in flash after the forest has grown: what the device decides by is not what it shows."""
    line.teach()
    region = line.agent.geometry.regions()["rows"]
    first = struct.pack("<3H", *(value ^ 1 for value in line.rows[0]))
    check = row_check(struct.unpack("<3H", first), 0)
    line.agent.write_flash(region.offset + 32, first + struct.pack("<I", check))
    assert line.visit().failed
    assert line.knowledge.learned_forests() == []
