# SPDX-License-Identifier: Apache-2.0
"""The fleet repository behind a server that stops and starts again: the gateway catches up."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.site import Site, model, rollout
from demo.world import threshold_model
from tests.git.servers import HttpServer, Loopback, git_daemon

WITHIN_S = 120
SECOND = threshold_model([3, -4, 2] * 40, 800)
THIRD = threshold_model([2, -4, 2] * 50, 700)

Serve = Callable[[Path, int], AbstractContextManager[int]]


@contextlib.contextmanager
def over_git(base: Path, port: int) -> Iterator[int]:
    """Serve `git://`, with pushing allowed, on this port, or on a free one."""
    with Loopback(git_daemon(base, "--enable=receive-pack"), port=port).running() as server:
        yield server.port


@contextlib.contextmanager
def over_http(base: Path, port: int) -> Iterator[int]:
    """Serve smart HTTP."""
    with HttpServer(base, port=port).running() as server:
        yield server.server_port


@dataclass
class Remote:
    """A server that can be stopped and started."""

    serve: Serve
    base: Path
    port: int = 0

    def __post_init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def start(self) -> None:
        """Listen, on the same port as before."""
        self.port = self._stack.enter_context(self.serve(self.base, self.port))

    def stop(self) -> None:
        """Stop listening."""
        self._stack.close()


@pytest.fixture(params=[("git", over_git), ("http", over_http)], ids=["git daemon", "http"])
def remote(site: Site, request: pytest.FixtureRequest) -> Iterator[Remote]:
    """Serve the site's repository, and configure the gateway with that address."""
    scheme, serve = request.param
    made = Remote(serve, site.world.folder)
    made.start()
    site.world.run("git", "--git-dir", site.world.remote, "config", "http.receivepack", "true")
    toml = site.world.folder / "gateway.toml"
    address = f'url = "{scheme}://127.0.0.1:{made.port}/{site.world.remote.name}"\ninterval = "1s"'
    toml.write_text(re.sub(r'url = ".*"', address, toml.read_text()))
    yield made
    made.stop()


def arrive(site: Site, version: str) -> None:
    site.world.wait_for(version, lambda: site.are_ready(version), within_s=WITHIN_S)


def test_commits_during_an_outage_of_the_remote_are_caught_up_with(site: Site, remote: Remote) -> None:
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    arrive(site, "1.0.0")
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for("a transfer", lambda: "was fetched" in site.gateway.said, within_s=WITHIN_S)
    remote.stop()
    site.world.wait_for("a log line about it", lambda: "RemoteUnavailable" in site.gateway.said, within_s=WITHIN_S)
    wanted = site.world.commit("1.2.0", {"rollout.yaml": rollout("1.2.0"), **model("1.2.0", THIRD)})
    assert site.world.enforced() != wanted
    remote.start()
    arrive(site, "1.2.0")  # read from the status ref, so the push works again too
    assert site.world.enforced() == wanted
