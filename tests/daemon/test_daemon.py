# SPDX-License-Identifier: Apache-2.0
"""The parts of the daemon around the engine: locks, logs, health, HTTP, the service manager."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

import pytest

from reconciler.daemon import http_server, runtime_status
from reconciler.daemon.instance_lock import AlreadyRunning, held, holder
from reconciler.daemon.liveness import MAX_JOB_S, Liveness
from reconciler.daemon.logging_setup import JsonFormatter, TextFormatter
from reconciler.daemon.sd_notify import SystemdNotifier
from reconciler.engine import log_context
from reconciler.errors import Unusable
from reconciler.model import BuildFailure, Commit, DeviceId, ModelRef, TypeId, Version
from reconciler.report.remedies import REMEDIES


def test_a_state_folder_is_locked_by_one_process_and_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    assert holder(folder) is None
    with held(folder):
        assert holder(folder) == os.getpid()
        with pytest.raises(AlreadyRunning, match=str(os.getpid())), held(folder):
            pass
    assert holder(folder) is None
    with held(folder):
        pass


def test_a_deleted_lock_file_lets_no_second_process_in(tmp_path: Path) -> None:
    with held(tmp_path):
        (tmp_path / "daemon.lock").unlink()
        with pytest.raises(AlreadyRunning, match="unknown"), held(tmp_path):
            pass
        assert holder(tmp_path) == 0
    assert holder(tmp_path) is None


def test_an_unwritable_state_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match="check its owner"), held(tmp_path / "file" / "state"):
        pass


class Hands:
    """A clock that a test moves."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("job", sorted(MAX_JOB_S))
def test_a_job_beyond_its_limit_is_stuck(job: str) -> None:
    clock = Hands()
    health = Liveness(clock)
    with health.working(job):
        assert health.stuck() is None
        clock.now_s = MAX_JOB_S[job] + 1
        assert health.stuck() == f"stuck: {job}"
    assert health.stuck() is None


def test_the_gateway_is_ready_once_a_commit_is_enforced() -> None:
    health = Liveness()
    assert health.not_ready(Commit("c")) == "the first pass is not finished"
    health.ready = True
    assert health.not_ready(None) == "there is no commit to enforce"
    assert health.not_ready(Commit("c")) is None


def test_a_gateway_that_cannot_build_is_not_ready_and_says_why_and_what_to_do() -> None:
    health = Liveness()
    health.ready = True
    failure = BuildFailure(
        ModelRef("wear", Version("2")), TypeId("board"), "BuildToolsMissing", "scikit-learn is missing", retried=True
    )
    assert health.not_ready(Commit("c"), [failure]) == (
        "BuildToolsMissing: wear@2 cannot be built for board: scikit-learn is missing; it is tried again; "
        f"what to do: {REMEDIES['BuildToolsMissing'].text}"
    )


def record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("reconciler.engine", level, __file__, 1, message, (), None)


@pytest.fixture
def traced() -> Iterator[None]:
    tokens = log_context.pass_number.set(12), log_context.commit.set(Commit("c0ffee" * 6 + "c0ff"))
    with log_context.about(DeviceId("pump-1")):
        yield
    log_context.pass_number.reset(tokens[0])
    log_context.commit.reset(tokens[1])


@pytest.mark.usefixtures("traced")
def test_a_log_line_names_pass_commit_and_device() -> None:
    text = TextFormatter(journald=False).format(record("confirmed"))
    assert text.endswith("INFO    [12 c0ffeec0ffee] pump-1: confirmed")
    assert TextFormatter(journald=True).format(record("odd", logging.WARNING)) == "<4>[12 c0ffeec0ffee] pump-1: odd"
    entry = json.loads(JsonFormatter().format(record("confirmed")))
    assert (entry["pass"], entry["device"], entry["commit"][:6]) == (12, "pump-1", "c0ffee")
    assert entry["level"] == "info"


def test_a_log_line_outside_a_pass_has_no_context() -> None:
    assert TextFormatter(journald=True).format(record("begun")) == "<6>begun"
    entry = json.loads(JsonFormatter().format(record("begun")))
    assert {"pass", "device", "commit", "reason"}.isdisjoint(entry)


def test_a_bug_is_logged_with_its_traceback() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("no number")
    info = (caught.type, caught.value, caught.tb)
    bug = logging.LogRecord("x", logging.ERROR, __file__, 1, "a bug", (), info)
    assert "ValueError" in json.loads(JsonFormatter().format(bug))["traceback"]


def test_systemd_is_notified_over_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        notifier = SystemdNotifier()
        notifier.ready("2 of 2")
        notifier.alive("still 2")
        notifier.stopping()
        assert [manager.recv(200) for _ in range(3)] == [
            b"READY=1\nSTATUS=2 of 2",
            b"WATCHDOG=1\nSTATUS=still 2",
            b"STOPPING=1",
        ]
        assert notifier.watchdog_s == pytest.approx(3.0)
        monkeypatch.setenv("WATCHDOG_PID", "1")
        assert notifier.watchdog_s is None


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    notifier = SystemdNotifier()
    notifier.ready("without a listener")
    assert notifier.watchdog_s is None


@pytest.mark.parametrize("content", ["", "[]", '{"version": 0}', "{"])
def test_an_unusable_runtime_status_is_ignored(tmp_path: Path, content: str) -> None:
    assert runtime_status.read(tmp_path) is None
    (tmp_path / runtime_status.FILE).write_text(content)
    assert runtime_status.read(tmp_path) is None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:  # noqa: S310 - http on loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


async def asked(pages: dict[str, object], *requests: tuple[str, str]) -> list[tuple[int, str]]:
    port = free_port()
    async with http_server.serving(f"127.0.0.1:{port}", pages):  # type: ignore[arg-type]
        return [await asyncio.to_thread(get, f"http://127.0.0.1:{port}{path}", method) for method, path in requests]


def test_pages_are_served_and_nothing_else() -> None:
    pages = {"/healthz": lambda: http_server.plain(None), "/readyz": lambda: http_server.plain("not yet")}
    requests = [
        ("GET", "/healthz"),
        ("GET", "/readyz?x=1"),
        ("POST", "/healthz"),
        ("GET", "/etc/passwd"),
        ("HEAD", "/healthz"),
    ]
    answers = asyncio.run(asked(dict(pages), *requests))
    assert answers[0] == (HTTPStatus.OK, "ok\n")
    assert answers[1] == (HTTPStatus.SERVICE_UNAVAILABLE, "not yet\n")
    assert [status for status, _ in answers[2:]] == [405, 404, 200]
    assert answers[4][1] == ""


def test_a_client_that_sends_too_much_or_nothing_is_disconnected() -> None:
    async def talk() -> bytes:
        port = free_port()
        async with http_server.serving(f"127.0.0.1:{port}", {}):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /" + b"x" * 100_000)
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(talk()).startswith(b"HTTP/1.1 431 ")


def test_a_taken_address_only_disables_metrics(caplog: pytest.LogCaptureFixture) -> None:
    async def twice() -> None:
        port = free_port()
        async with http_server.serving(f"127.0.0.1:{port}", {}), http_server.serving(f"127.0.0.1:{port}", {}):
            pass
        async with http_server.serving("", {}):
            pass

    asyncio.run(twice())
    assert "no metrics and health checks" in caplog.text
