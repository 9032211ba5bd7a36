# SPDX-License-Identifier: Apache-2.0
"""tinyfleet-vdev: virtual devices over serial lines and over a broker, with faults on request."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from reconciler.devices.conversation import Confirmed, Outcome, Rejected, TrialFailed
from reconciler.devices.messages import Inquire, ReportKind, encode
from reconciler.devices.reports import DecisionReason, Flag, ModelLocation, Summary
from reconciler.devices.serial_frame import encode_frame
from reconciler.model import Phase
from tests import mosquitto
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.broker import Authority, Broker
from tests.firmware.talk import SerialDevice, ask, digest16, first_blocks, job, report_of, update
from tests.firmware.vdev import MqttDevice, Vdev

PREBAKED, OLD, NEW = make_pack(1), make_pack(2, inputs=400), make_pack(3, inputs=900)
MOST_ATTEMPTS = 10
Run = Callable[..., Vdev]


@pytest.fixture
def run(vdev_program: Path) -> Iterator[Run]:
    """Run virtual devices until the test ends."""
    with contextlib.ExitStack() as running:

        def start(made: list[Made], *options: str) -> Vdev:
            return running.enter_context(Vdev(vdev_program, made, (PREBAKED,), *options))

        yield start


def attempt(device: SerialDevice | MqttDevice, bench: Bench, made: Made, pack: bytes) -> Outcome:
    before = report_of(device, made)
    outcome, _ = update(device, made, job(made, bench.install(made, pack, before.sequence + 1), pack, before))
    return outcome


def install(device: SerialDevice | MqttDevice, bench: Bench, made: Made, pack: bytes) -> None:
    outcome = attempt(device, bench, made, pack)
    assert isinstance(outcome, Confirmed), outcome


def test_several_devices_on_one_socket(run: Run, bench: Bench) -> None:
    made = [bench.device(f"d{i}", address=i) for i in (1, 2, 247)]
    vdev = run(made, "--line", "unix:{folder}/line")
    with vdev.line("line") as line:
        for one in made:
            install(SerialDevice(line, one.identity.address), bench, one, OLD)
        for one in made:
            report = report_of(SerialDevice(line, one.identity.address), one)
            assert (report.running, report.phase) == (digest16(OLD), Phase.CONFIRMED)
    assert all(vdev.status(one.name)["violations"] == "0" for one in made)


def test_lines_for_each_and_in_shares(run: Run, bench: Bench) -> None:
    made = [bench.device(f"d{i}", address=9) for i in range(3)]
    vdev = run(made, "--line-each", "unix:{folder}")
    for one in made:
        with vdev.line(one.name) as line:
            assert report_of(SerialDevice(line, 9), one).running == digest16(PREBAKED)
    made = [bench.device(f"d{i}", address=1 + i % 2) for i in range(4)]
    vdev = run(made, "--line", "unix:{folder}/first", "--line", "unix:{folder}/second")
    for i, one in enumerate(made):
        with vdev.line("first" if i < 2 else "second") as line:
            assert report_of(SerialDevice(line, one.identity.address), one).running == digest16(PREBAKED)


def test_broadcast_is_heard_and_not_answered(run: Run, bench: Bench) -> None:
    made = [bench.device(f"d{i}", address=i) for i in (1, 2)]
    vdev = run(made, "--line", "unix:{folder}/line")
    with vdev.line("line") as line:
        broadcast = SerialDevice(line, 0, answer_s=0.3)
        assert broadcast.ask(encode(Inquire(ReportKind.REPORT, bytes(8)))) is None
        assert report_of(SerialDevice(line, 2), made[1]).running == digest16(PREBAKED)


def test_answers_take_the_time_of_their_line(run: Run, bench: Bench) -> None:
    """A signed report of some 200 bytes at 9,600 baud: a fifth of a second."""
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "unix:{folder}/line", "--baud", "9600")
    with vdev.line("line") as line:
        began = time.monotonic()
        line.sendall(encode_frame(1, encode(Inquire(ReportKind.REPORT, bytes(8)))))
        heard = line.recv(1)
        while heard.count(b"\0") < 2:
            heard += line.recv(4096)
        assert time.monotonic() - began >= 0.9 * len(heard) * 10 / 9600


def test_pty_is_a_serial_port(run: Run, bench: Bench) -> None:
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "pty:{folder}/tty")
    with serial.Serial(str(vdev.folder / "tty"), 115200, timeout=0) as port, contextlib.closing(PortLine(port)) as line:
        assert report_of(line.device(1), made).running == digest16(PREBAKED)


class PortLine:
    """A pty's open end as the socket that SerialDevice takes."""

    def __init__(self, port: serial.Serial) -> None:
        tty.setraw(port.fileno())
        self._port = port

    def device(self, address: int) -> SerialDevice:
        return SerialDevice(self, address)

    def sendall(self, data: bytes) -> None:
        os.write(self._port.fileno(), data)

    def recv(self, most: int) -> bytes:
        return os.read(self._port.fileno(), most)

    def fileno(self) -> int:
        return int(self._port.fileno())

    def close(self) -> None:
        self._port.close()


def test_flash_in_files_survives_a_kill(run: Run, bench: Bench) -> None:
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "unix:{folder}/line", "--flash", "{folder}")
    with vdev.line("line") as line:
        device = SerialDevice(line, 1)
        install(device, bench, made, OLD)
        before = report_of(device, made)
        work = job(made, bench.install(made, NEW, 2), NEW, before, block_bytes=64)
        first_blocks(device, work, 5)
        assert report_of(device, made).transfer is not None
    vdev.kill()
    vdev.start()
    with vdev.line("line") as line:
        device = SerialDevice(line, 1)
        after = report_of(device, made)
        assert after.running == digest16(OLD)
        assert after.transfer is not None
        assert after.transfer.first == 5
        outcome, transfer = update(device, made, work)
        assert isinstance(outcome, Confirmed), outcome
        assert transfer.cost.blocks_sent == work.blocks - 5


@pytest.mark.parametrize(("fault", "flag"), [("golden=1", Flag.GOLDEN_VECTORS_FAILED), ("crash=1", Flag(0))])
def test_faults_in_trial(run: Run, bench: Bench, fault: str, flag: Flag) -> None:
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "unix:{folder}/line")
    with vdev.line("line") as line:
        device = SerialDevice(line, 1)
        install(device, bench, made, OLD)
        before = report_of(device, made)
        assert vdev.command(f"fault * {fault}") == "ok"
        outcome, _ = update(device, made, job(made, bench.install(made, NEW, 2), NEW, before))
        assert isinstance(outcome, TrialFailed), outcome
        report = report_of(device, made)
        assert (report.running, report.why) == (digest16(OLD), DecisionReason.FELL_BACK_TO_PREVIOUS)
        assert report.flags & flag == flag
        assert vdev.command("fault d1 none") == "ok"
        install(device, bench, made, NEW)


def test_power_cuts_during_an_update(run: Run, bench: Bench) -> None:
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "unix:{folder}/line")
    with vdev.line("line") as line:
        device = SerialDevice(line, 1, answer_s=0.3)
        for cut in range(1, 40, 3):
            pack = make_pack(10 + cut, inputs=300)
            assert vdev.command(f"fault d1 cut={cut}") == "ok"
            install(device, bench, made, pack)
            assert report_of(device, made).running == digest16(pack)
    status = vdev.status("d1")
    assert int(status["power_cuts"]) >= 5
    assert status["violations"] == "0"


def test_noise_on_the_line_is_corrected(run: Run, bench: Bench) -> None:
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "unix:{folder}/line", "--fault", "bit-errors=5e-5", "--seed", "3")
    with vdev.line("line") as line:
        install(SerialDevice(line, 1, answer_s=0.3), bench, made, NEW)


def test_recording_as_input(run: Run, bench: Bench, tmp_path: Path) -> None:
    recording = tmp_path / "vibration.csv"
    recording.write_text("x\n" + "\n".join(str(i % 100) for i in range(500)) + "\n")
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "unix:{folder}/line", "--recording", str(recording), "--infer-every", "10")
    with vdev.line("line") as line:
        device = SerialDevice(line, 1)
        while report_of(device, made).inferences == 0:
            device.let_pass(0.1)


def test_a_run_takes_as_long_as_requested(run: Run, bench: Bench) -> None:
    made = bench.device("d1", address=1)
    vdev = run([made], "--line", "unix:{folder}/line", "--infer-every", "0", "--run-time", "300")
    with vdev.line("line") as line:
        device = SerialDevice(line, 1)
        assert report_of(device, made).inferences == 0
        began_s = time.monotonic()
        vdev.command("infer d1 " + "00" * 32)
        assert report_of(device, made).inferences == 1
        assert time.monotonic() - began_s >= 0.29  # its clock counts whole milliseconds


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


def test_devices_behind_a_broker(run: Run, bench: Bench, broker: Broker) -> None:
    made = [bench.device(f"d{i}") for i in range(8)]
    vdev = run(made, "--broker", f"localhost:{broker.port}")
    client = broker.client()
    try:
        devices = {one.name: MqttDevice(client, one) for one in made}
        for one in made:
            assert devices[one.name].presence.get(timeout=10) == b"1"
            install(devices[one.name], bench, one, OLD)
        assert report_of(devices["d7"], made[7]).location is ModelLocation.SLOT_A
        assert vdev.stop() == 0
        assert devices["d7"].presence.get(timeout=10) == b"0"
    finally:
        mosquitto.disconnect(client)


def test_faults_of_a_link_are_survived(run: Run, bench: Bench, broker: Broker) -> None:
    made = bench.device("d1")
    faults = ["--fault", "drop=0.1", "--fault", "corrupt=0.05", "--fault", "delay=20"]
    run([made], "--broker", f"localhost:{broker.port}", "--mqtt", "5", "--seed", "5", *faults)
    client = broker.client()
    try:
        device = MqttDevice(client, made, answer_s=0.5)
        device.presence.get(timeout=10)
        # A broker's messages have no checksum, so a block may arrive altered. The device then ends the order, and
        # the gateway makes another one.
        outcomes: list[Outcome] = []
        while not outcomes or isinstance(outcomes[-1], Rejected):
            outcomes.append(attempt(device, bench, made, NEW))
            assert len(outcomes) < MOST_ATTEMPTS, outcomes
        assert isinstance(outcomes[-1], Confirmed), outcomes
        assert report_of(device, made).running == digest16(NEW)
    finally:
        mosquitto.disconnect(client)


def test_reconnects_when_the_broker_returns(run: Run, bench: Bench, tmp_path: Path) -> None:
    made = bench.device("d1")
    broker = Broker(tmp_path)
    vdev = run([made], "--broker", f"localhost:{broker.port}")
    for _ in range(2):
        client = broker.client()
        device = MqttDevice(client, made)
        assert device.presence.get(timeout=20) == b"1"
        assert report_of(device, made).running == digest16(PREBAKED)
        mosquitto.disconnect(client)
        broker.stop()
        broker = Broker(tmp_path, port=broker.port)
    broker.stop()
    assert vdev.status("d1")["alive"] == "1"


def test_tls_with_a_certificate_for_each(run: Run, bench: Bench, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    made = [bench.device(f"d{i}") for i in range(3)]
    for one in made:
        authority.issue(one.name)
    broker = Broker(tmp_path, authority)
    try:
        ca, port = authority.folder / "ca.crt", broker.port
        run(made, "--broker", f"localhost:{port}", "--tls-ca", str(ca), "--certificates", str(authority.folder))
        client = broker.client()
        try:
            for one in made:
                device = MqttDevice(client, one)
                assert device.presence.get(timeout=10) == b"1"
                install(device, bench, one, OLD)
        finally:
            mosquitto.disconnect(client)
    finally:
        broker.stop()


def test_help_and_mistakes(vdev_program: Path) -> None:
    reported = subprocess.run([vdev_program, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in reported for word in ("--broker", "--line-each", "bit-errors", "restart NAME"))
    for wrong in (["--images", "/nowhere", "--line", "pty:x"], ["--slot-bytes", "x"], ["--fault", "rain=1"], []):
        done = subprocess.run([vdev_program, *wrong], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert done.stderr.startswith("tinyfleet-vdev: ")


def test_bearing_fault_changes_what_the_model_sees(run: Run, bench: Bench) -> None:
    made = [bench.device(f"d{i}", address=i) for i in (1, 2)]
    vdev = run(made, "--line", "unix:{folder}/line", "--infer-every", "10")
    assert vdev.command("fault d1 bearing=2").startswith("error: ")
    assert vdev.command("fault d1 bearing=1") == "ok"
    with vdev.line("line") as line:
        failing, well = (spread_of_scores(SerialDevice(line, one.identity.address), one) for one in made)
    assert failing > 1.2 * well


def spread_of_scores(device: SerialDevice, made: Made) -> int:
    while True:
        summary = ask(device, made, ReportKind.SUMMARY)
        assert isinstance(summary, Summary)
        if summary.score is not None and summary.score.count >= 20:
            return summary.score.maximum - summary.score.minimum
        device.let_pass(0.2)
