# SPDX-License-Identifier: Apache-2.0
"""The agent in MicroPython, driven by the gateway's own conversations: updates, trials, fallbacks, refusals."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cbor2
import heatshrink2
import pytest

from reconciler.compiler.pack.package_format import NAMES, disassemble_package
from reconciler.devices.conversation import Confirmed, Outcome, Rejected, TrialFailed
from reconciler.devices.messages import Missing, Offer, ReportKind, Stage, TransferResult, encode
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, ParametersBody, Summary
from reconciler.devices.transfer import TransferJob
from reconciler.model import PayloadEncoding, Phase
from signing.identifiers import key_id
from tests.firmware.bench import Bench, Made
from tests.firmware.rotations import turned
from tests.firmware.talk import ask, digest16, first_blocks, job, question, report_of, update
from tests.micropython.device import (
    CONTRACT,
    SLOT_BYTES,
    MicroPythonDevice,
    made_device,
    make_package,
    provision,
    window,
)

PLANT = Bench("plant")
BORN_WITH, FIRST, SECOND, THIRD = (make_package(seed) for seed in range(4))
Start = Callable[..., MicroPythonDevice]


@pytest.fixture
def made() -> Made:
    return made_device(PLANT, "pump-9")


@pytest.fixture
def start(tmp_path: Path, made: Made) -> Iterator[Start]:
    devices: list[MicroPythonDevice] = []

    def begin(*, provisioned: bool = True) -> MicroPythonDevice:
        if provisioned:
            provision(tmp_path, made, [BORN_WITH])
        devices.append(MicroPythonDevice(tmp_path))
        return devices[-1]

    yield begin
    for device in devices:
        device.close()


@pytest.fixture
def device(start: Start) -> MicroPythonDevice:
    return start()


def updated(device: MicroPythonDevice, made: Made, package: bytes, **changes: object) -> Outcome:
    """Install a package, as a gateway does; the sensor gives a window whenever the gateway waits."""
    before = report_of(device, made)
    work = job(made, PLANT.install(made, package, before.sequence + 1), package, before, block_bytes=512)
    outcome, _ = update(Sensing(device), made, replaced(work, changes))
    return outcome


def replaced(work: TransferJob, changes: dict[str, object]) -> TransferJob:
    return replace(work, **changes)  # type: ignore[arg-type]  # fields of a job


class Sensing:
    """A device whose sensor gives one window after each message."""

    def __init__(self, device: MicroPythonDevice) -> None:
        self._device = device
        self.say, self.hear, self.let_pass = device.say, device.hear, device.let_pass

    def ask(self, message: bytes) -> bytes | None:
        answer = self._device.ask(message)
        self._device.infer(window(1))
        return answer


def with_code(package: bytes, name: str, code: bytes) -> bytes:
    """Replace one file of a package."""
    return cbor2.dumps({**disassemble_package(package), name: code})


def test_a_new_device_runs_its_prebaked_package(device: MicroPythonDevice, made: Made) -> None:
    assert device.tell("implementation") == "micropython"
    report = report_of(device, made)
    assert (report.phase, report.sequence, report.running) == (Phase.IDLE, 0, digest16(BORN_WITH))
    found = ask(device, made, ReportKind.CAPABILITIES)
    assert isinstance(found, CapabilitiesBody)
    assert (found.class_id, found.pack_format) == (made.target.klass, CONTRACT.package_format)
    assert (found.slot_bytes, found.updates, found.prebaked) == (SLOT_BYTES, True, (digest16(BORN_WITH),))
    assert found.answer_ms == 8000
    assert device.infer(window(3)).split()[0] in {"0", "1"}
    summary = ask(device, made, ReportKind.SUMMARY)
    assert isinstance(summary, Summary)
    assert summary.inferences == 1


def test_updates_are_confirmed_and_reversed_with_an_envelope_alone(
    device: MicroPythonDevice, made: Made, tmp_path: Path
) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    assert isinstance(updated(device, made, SECOND), Confirmed)
    assert {path.name for path in tmp_path.iterdir()} >= {"slot_a", "slot_b"}
    assert not (tmp_path / "incoming").exists()
    outcome = updated(device, made, FIRST, payload=b"")
    assert isinstance(outcome, Confirmed)
    report = report_of(device, made)
    assert (report.running, report.other, report.sequence) == (digest16(FIRST), digest16(SECOND), 3)


def test_a_slot_has_the_four_files_and_nothing_else(device: MicroPythonDevice, made: Made, tmp_path: Path) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    stored = {path.name: path.read_bytes() for path in (tmp_path / "slot_a").iterdir() if path.is_file()}
    assert stored == disassemble_package(FIRST)
    assert tuple(disassemble_package(FIRST)) == NAMES


def test_a_compressed_payload_is_decoded(device: MicroPythonDevice, made: Made) -> None:
    payload = bytes(heatshrink2.compress(FIRST, window_sz2=8, lookahead_sz2=4))
    assert len(payload) < len(FIRST)
    outcome = updated(device, made, FIRST, payload=payload, encoding=PayloadEncoding.HEATSHRINK)
    assert isinstance(outcome, Confirmed)


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("__init__.py", b"raise ValueError\n", -91),
        ("__init__.py", b"def load(folder):\n    return None\n", -91),
        ("__init__.py", b"not Python at all\n", -91),
        ("model.json", b"{}", -91),
        ("features.py", b"def features(x):\n    return [0, 0]\n", -87),
        ("config.json", b"[]", -83),
        ("config.json", b"{", -83),
    ],
)
def test_a_package_that_fails_its_trial_gives_way_to_the_one_before(
    device: MicroPythonDevice, made: Made, name: str, code: bytes, error: int
) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    outcome = updated(device, made, with_code(SECOND, name, code))
    assert isinstance(outcome, TrialFailed)
    assert outcome.report.error == error
    report = report_of(device, made)
    assert (report.running, report.phase) == (digest16(FIRST), Phase.CONFIRMED)
    assert device.infer(window(1)).split()[0] in {"0", "1"}
    assert isinstance(updated(device, made, THIRD), Confirmed)


def test_a_package_that_fails_on_real_input_gives_way(device: MicroPythonDevice, made: Made) -> None:
    code = disassemble_package(SECOND)["features.py"]
    picky = code.replace(
        b"    return [\n        scaled(std0",
        b"    if max(x) < 950:\n        raise ValueError\n    return [\n        scaled(std0",
    )
    assert picky != code
    outcome = updated(device, made, with_code(SECOND, "features.py", picky))
    assert isinstance(outcome, TrialFailed)
    assert outcome.report.error == -91
    assert report_of(device, made).running == digest16(BORN_WITH)


def test_a_payload_that_is_no_package_is_refused(device: MicroPythonDevice, made: Made) -> None:
    files = disassemble_package(FIRST)
    wrong = cbor2.dumps({name: files[name] for name in reversed(NAMES)})
    outcome = updated(device, made, wrong)
    assert isinstance(outcome, TrialFailed)
    assert outcome.report.error == -83


def test_other_bytes_than_the_envelope_names_end_the_order(device: MicroPythonDevice, made: Made) -> None:
    outcome = updated(device, made, FIRST, payload=bytes(len(FIRST)))
    assert isinstance(outcome, Rejected)
    assert outcome.code == -24
    assert isinstance(updated(device, made, FIRST), Confirmed)


def test_blocks_in_any_order_and_a_restart_in_between(start: Start, device: MicroPythonDevice, made: Made) -> None:
    before = report_of(device, made)
    work = job(made, PLANT.install(made, FIRST, 1), FIRST, before, block_bytes=256)
    assert question(device, work.offer) is not None
    for index in (3, 1, 0, 7):
        device.say(encode(work.block(index)))
    assert have(device, work.transfer) == (2, {3, 7})
    first_blocks(device, work, 5)
    assert have(device, work.transfer) == (5, {7})
    device.close()
    again = start(provisioned=False)
    assert have(again, work.transfer) == (5, set())
    outcome, transfer = update(Sensing(again), made, work)
    assert isinstance(outcome, Confirmed)
    assert transfer.cost.blocks_sent == work.blocks - 5


def have(device: MicroPythonDevice, transfer: int) -> tuple[int, set[int]]:
    """Return the first missing block and the later ones that are held."""
    answer = device.ask(encode(Missing(transfer)))
    assert answer is not None
    _, _, first, bits = cbor2.loads(answer)
    return first, {first + 1 + i for i in range(8 * len(bits)) if bits[i // 8] >> i % 8 & 1}


def test_corrected_blocks_are_asked_for_again(device: MicroPythonDevice, made: Made) -> None:
    work = job(made, PLANT.install(made, FIRST, 1), FIRST, report_of(device, made), block_bytes=256)
    assert question(device, work.offer) is not None
    assert device.tell("handle", encode(work.block(0)), 1) == "-"
    assert have(device, work.transfer) == (0, set())


def test_a_replayed_or_foreign_envelope_is_refused_with_its_number(device: MicroPythonDevice, made: Made) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    before = report_of(device, made)
    other = made_device(PLANT, "pump-10")
    for envelope, code in (
        (PLANT.install(made, SECOND, 1), -20),
        (PLANT.install(made, SECOND, 2000), -21),
        (PLANT.install(other, SECOND, 2), -19),
        (PLANT.install(PLANT.device("pump-9"), SECOND, 2), -18),
        (Bench("plant").install(made, SECOND, 2), -9),
        (PLANT.configure(made, SECOND, 2, {0: 5}), -23),
        (PLANT.configure(made, FIRST, 2, {1: 5}), -88),
        (PLANT.configure(made, FIRST, 2, {0: -5}), -88),
    ):
        answer = question(device, Offer(3, envelope, job(made, envelope, SECOND, before).offer.payload))
        assert answer == TransferResult(3, code)
    assert report_of(device, made).sequence == 1


def test_a_device_follows_another_root_over_a_restart(start: Start, device: MicroPythonDevice, made: Made) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    turn = turned(PLANT)
    assert question(device, turned(Bench("plant")).order) == TransferResult(None, -9)
    assert question(device, turn.order) == TransferResult(None, 0)
    assert question(device, turn.order) == TransferResult(None, -9)
    restarted = start(provisioned=False)
    report = report_of(restarted, made)
    assert (report.root, report.gateway, report.epoch) == (
        key_id(turn.bench.root.public_key),
        key_id(turn.bench.gateway.public_key),
        1,
    )
    assert (report.sequence, report.running) == (1, digest16(FIRST))
    assert question(restarted, Offer(3, PLANT.install(made, BORN_WITH, 2), None)) == TransferResult(3, -9)
    assert question(restarted, Offer(3, turn.bench.install(made, BORN_WITH, 2), None)) == TransferResult(3, 1)


def test_a_threshold_changes_by_an_envelope_alone(device: MicroPythonDevice, made: Made) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    samples = window(1)
    _, score = map(int, device.infer(samples).split())
    for sequence, limit, decision in ((2, score, 0), (3, score + 1, 1)):
        answer = question(device, Offer(4, PLANT.configure(made, FIRST, sequence, {0: limit}), None))
        assert answer == TransferResult(4, 0)
        assert device.infer(samples) == f"{decision} {score}"
    found = ask(device, made, ReportKind.PARAMETERS)
    assert isinstance(found, ParametersBody)
    assert dict(found.values) == {0: score + 1}
    assert isinstance(updated(device, made, SECOND), Confirmed)
    found = ask(device, made, ReportKind.PARAMETERS)
    assert isinstance(found, ParametersBody)
    assert not found.values


def test_a_damaged_slot_is_never_run(start: Start, device: MicroPythonDevice, made: Made, tmp_path: Path) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    assert isinstance(updated(device, made, SECOND), Confirmed)
    device.close()
    path = tmp_path / "slot_b" / "__init__.py"
    path.write_bytes(b"import os  # not what was signed\n" + path.read_bytes())
    report = report_of(start(provisioned=False), made)
    assert (report.running, report.error) == (digest16(FIRST), -24)


def test_an_envelope_in_the_state_is_verified_again(
    start: Start, device: MicroPythonDevice, made: Made, tmp_path: Path
) -> None:
    """Someone who can write files but not sign can't make the device run another package."""
    assert isinstance(updated(device, made, FIRST), Confirmed)
    device.close()
    for path in tmp_path.glob("state.*"):
        content = json.loads(path.read_bytes().rpartition(b"\n")[0])
        content["state"]["slots"][0][2] = hashlib.sha256(SECOND).hexdigest()
        data = json.dumps(content).encode()
        path.write_bytes(data + b"\n%08x" % zlib.crc32(data))
    for name, data in disassemble_package(SECOND).items():
        (tmp_path / "slot_a" / name).write_bytes(data)
    report = report_of(start(provisioned=False), made)
    assert (report.running, report.error) == (digest16(BORN_WITH), -24)


def test_a_trial_may_lose_power_once_but_not_crash(device: MicroPythonDevice, made: Made) -> None:
    for number, (starts, left) in enumerate(((1, True), (2, False)), start=1):
        package = make_package(50 + number)
        before = report_of(device, made)
        work = job(made, PLANT.install(made, package, before.sequence + 1), package, before, block_bytes=512)
        assert question(device, work.offer) is not None
        for index in range(work.blocks):
            device.tell("handle", encode(work.block(index)))
        device.tell("handle", encode(Stage(work.transfer)))
        while device.tell("poll") == "0":
            pass
        device.tell("boot")
        for _ in range(starts):
            device.tell("boot")
        report = report_of(device, made)
        assert (report.phase is Phase.TRIAL) == left
        device.tell("settle")
        device.infer(window(1))
        assert (report_of(device, made).running == digest16(package)) == left


def test_a_silent_sensor_does_not_fail_a_trial(device: MicroPythonDevice, made: Made) -> None:
    before = report_of(device, made)
    work = job(made, PLANT.install(made, FIRST, 1), FIRST, before, block_bytes=512)
    first_blocks(device, work, work.blocks)
    assert device.ask(encode(Stage(work.transfer))) is not None
    assert report_of(device, made).phase is Phase.TRIAL
    device.tell("pass", 60_000)
    device.tell("poll")
    report = report_of(device, made)
    assert isinstance(report, DeviceReport)
    assert (report.phase, report.running) == (Phase.CONFIRMED, digest16(FIRST))


def test_a_confirmed_package_that_keeps_faulting_is_given_up(device: MicroPythonDevice, made: Made) -> None:
    assert isinstance(updated(device, made, FIRST), Confirmed)
    for _ in range(4):
        device.tell("boot", 1)
    assert report_of(device, made).running == digest16(FIRST)
    device.tell("boot", 1)
    assert report_of(device, made).running == digest16(BORN_WITH)
