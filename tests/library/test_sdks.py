# SPDX-License-Identifier: Apache-2.0
"""The glue for SDKs with its examples, on declarations of our own: no SDK has built it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.devices.conversation import Confirmed, Outcome
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import CapabilitiesBody
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.talk import Device, ask, digest16, job, report_of, update
from tests.library.conftest import CONTRACTS, run
from tests.library.process_device import POWER_CUT, Life, PowerOffError

PREBAKED, FIRST, SECOND = make_pack(1), make_pack(2, inputs=1500), make_pack(3, inputs=3000)
LARGE = make_pack(9, inputs=4090, vectors=4)
TOOLCHAINS = {"cortex-m4": "toolchain-arm.cmake", "rv32imac": "toolchain-riscv32.cmake"}
STEP = 7  # of the flash operations at which the power is cut
pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Sdk:
    name: str
    flash_bytes: int  # of the partition in its example
    address: int | None  # on a serial line; None: it speaks MQTT


SDKS = (Sdk("esp-idf", 2 << 20, None), Sdk("zephyr", 512 << 10, 7), Sdk("arduino", 2 << 20, 7))
COMPILED_FOR = [(sdk, processor) for sdk in SDKS[:2] for processor in TOOLCHAINS]  # C++ has no library there
SwitchOn = Callable[..., Life]


@pytest.fixture(scope="module", params=SDKS, ids=lambda sdk: sdk.name)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    assert isinstance(request.param, Sdk)
    return request.param


def build(sdk: Sdk, unpacked: Path, folder: Path, *options: str) -> Path:
    source, library = CONTRACTS / sdk.name, f"-DLIBRARY={unpacked}"
    run("cmake", "-G", "Ninja", "-S", source, "-B", folder, library, *options, cwd=CONTRACTS)
    run("cmake", "--build", folder, cwd=CONTRACTS)
    return folder / "example"


@pytest.fixture(scope="module")
def program(sdk: Sdk, unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The glue and the example's main.c, linked with a stand-in for the SDK."""
    return build(sdk, unpacked, tmp_path_factory.mktemp(sdk.name))


@pytest.fixture
def made(sdk: Sdk, bench: Bench) -> Made:
    return bench.device("pump-1", address=sdk.address or 0)


@pytest.fixture
def flash(sdk: Sdk, tmp_path: Path, made: Made) -> Path:
    path = tmp_path / "flash.bin"
    path.write_bytes(made.region(PREBAKED).ljust(sdk.flash_bytes, b"\xff"))
    return path


@pytest.fixture
def switch_on(sdk: Sdk, program: Path, flash: Path) -> SwitchOn:
    return lambda cut=0: Life(program, flash, address=sdk.address, cut=cut)


def deliver(device: Device, bench: Bench, made: Made, pack: bytes) -> tuple[Outcome, int]:
    """Update the device, and return the outcome and how many blocks were sent twice."""
    before = report_of(device, made)
    work = job(made, bench.install(made, pack, before.sequence + 1), pack, before, block_bytes=1024)
    outcome, transfer = update(device, made, work)
    return outcome, transfer.cost.blocks_resent


def test_the_example_takes_updates(switch_on: SwitchOn, bench: Bench, made: Made) -> None:
    with switch_on() as life:
        capabilities = ask(life.device, made, ReportKind.CAPABILITIES)
        assert isinstance(capabilities, CapabilitiesBody)
        assert capabilities.updates
        for pack in (FIRST, LARGE):
            outcome, resent = deliver(life.device, bench, made, pack)
            assert isinstance(outcome, Confirmed), outcome
            assert resent == 0  # no block is lost between the link and the agent
        report = report_of(life.device, made)
    assert (report.running, report.other, report.error) == (digest16(LARGE), digest16(FIRST), 0)


def test_power_cuts_during_an_update(switch_on: SwitchOn, flash: Path, bench: Bench, made: Made) -> None:
    """Tear every STEP-th flash operation in turn: a model runs after the start, and the next update succeeds."""
    untouched = flash.read_bytes()
    cuts, at = 0, 1
    while True:
        flash.write_bytes(untouched)
        with switch_on(at) as life:
            try:
                outcome, _ = deliver(life.device, bench, made, FIRST)
            except PowerOffError:
                assert life.ended() == POWER_CUT
            else:
                assert isinstance(outcome, Confirmed), outcome
                break  # the update needs fewer operations than that
        with switch_on() as life:
            assert report_of(life.device, made).running in {digest16(PREBAKED), digest16(FIRST)}
            outcome, _ = deliver(life.device, bench, made, SECOND)
            assert isinstance(outcome, Confirmed), outcome
            assert report_of(life.device, made).running == digest16(SECOND)
        cuts, at = cuts + 1, at + STEP
    assert cuts >= 3


@pytest.mark.parametrize("sdk", SDKS[:1], indirect=True, ids=["esp-idf"])
def test_an_encrypted_partition_is_refused(switch_on: SwitchOn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Erased flash does not read FF there, on which the journal relies."""
    monkeypatch.setenv("ENCRYPTED", "1")
    with switch_on() as life:
        assert life.ended() != 0


@pytest.mark.parametrize(
    ("sdk", "processor"), COMPILED_FOR, indirect=["sdk"], ids=[f"{sdk.name}-{cpu}" for sdk, cpu in COMPILED_FOR]
)
def test_the_glue_compiles_for_microcontrollers(sdk: Sdk, processor: str, unpacked: Path, tmp_path: Path) -> None:
    toolchain = unpacked / "examples" / "bare-metal" / "board" / TOOLCHAINS[processor]
    build(sdk, unpacked, tmp_path, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}")
    assert list(tmp_path.rglob("tinyfleet_*.obj"))
