# SPDX-License-Identifier: Apache-2.0
"""tinyfleet-vdev for tests: the process, its control socket, and links to its devices."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import paho.mqtt.client as mqtt

from tests.firmware.bench import Made

START_S = 20.0
ANSWER_S = 5.0


class Vdev:
    """One process with virtual devices."""

    def __init__(self, program: Path, made: Iterable[Made], prebaked: tuple[bytes, ...], *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vdev"))  # a socket's path must be short
        self._images = self.folder / "images"
        self._images.mkdir()
        for one in made:
            (self._images / one.name).write_bytes(one.region(*prebaked))
        self._program, self._options = program, options
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it, and return when its devices are ready. `{folder}` in an option is this process's own folder."""
        options = [option.format(folder=self.folder) for option in self._options]
        command = [str(self._program), "--images", str(self._images), "--control", str(self.folder / "control")]
        self._process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "devices" in line, line
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def stop(self) -> int:
        """Stop it cleanly; returns its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        status = self._process.wait(START_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return status

    def kill(self) -> None:
        """Kill it: the devices lose power."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def command(self, line: str) -> str:
        """Send a command to the control socket; returns its answer without the final empty line."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(START_S)
            control.connect(str(self.folder / "control"))
            control.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n\n"):
                data = control.recv(65536)
                assert data, answer
                answer += data
        return answer.decode().removesuffix("\n\n")

    def status(self, name: str) -> dict[str, str]:
        """Return the status of one device from the control socket."""
        line, _, ok = self.command(f"status {name}").partition("\n")
        assert ok == "ok", line
        return dict(field.split("=") for field in line.split()[1:])

    def line(self, path: str) -> socket.socket:
        """Connect to a line that is a Unix socket."""
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(self.folder / path))
        return line


class MqttDevice:
    """A device behind a broker, as a Device of talk.py."""

    def __init__(self, client: mqtt.Client, made: Made, *, answer_s: float = ANSWER_S) -> None:
        self._client, self._answer_s = client, answer_s
        self._topic = f"tinyfleet/{made.identity.fleet}/{made.name}"
        self.up: queue.Queue[bytes] = queue.Queue()
        self.presence: queue.Queue[bytes] = queue.Queue()
        client.message_callback_add(f"{self._topic}/up", lambda _c, _u, message: self.up.put(bytes(message.payload)))
        client.message_callback_add(
            f"{self._topic}/presence", lambda _c, _u, message: self.presence.put(bytes(message.payload))
        )
        client.subscribe([(f"{self._topic}/up", 1), (f"{self._topic}/presence", 1)])

    def say(self, message: bytes) -> None:
        self._client.publish(f"{self._topic}/down", message, qos=1)

    def ask(self, message: bytes) -> bytes | None:
        while not self.up.empty():
            self.up.get_nowait()
        self.say(message)
        return self.hear()

    def hear(self) -> bytes | None:
        try:
            return self.up.get(timeout=self._answer_s)
        except queue.Empty:
            return None

    def let_pass(self, seconds: float) -> None:
        """Wait for an unsolicited report, or until the time is over."""
        try:
            self.up.get(timeout=seconds)
        except queue.Empty:
            return
