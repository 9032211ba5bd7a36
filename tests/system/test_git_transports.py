# SPDX-License-Identifier: Apache-2.0
"""The fleet repository behind a server, which goes away and comes back: what was missed is made up for."""

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
    """A server that can be taken away."""

    serve: Serve
    base: Path
    port: int = 0

    def __post_init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def comes(self) -> None:
        """Listen, where it did before."""
        self.port = self._stack.enter_context(self.serve(self.base, self.port))

    def goes(self) -> None:
        """Be gone."""
        self._stack.close()


@pytest.fixture(params=[("git", over_git), ("http", over_http)], ids=["git daemon", "http"])
def remote(site: Site, request: pytest.FixtureRequest) -> Iterator[Remote]:
    """Serve the site's repository, and have the gateway know it by that address alone."""
    scheme, serve = request.param
    made = Remote(serve, site.world.folder)
    made.comes()
    site.world.run("git", "--git-dir", site.world.remote, "config", "http.receivepack", "true")
    toml = site.world.folder / "gateway.toml"
    address = f'url = "{scheme}://127.0.0.1:{made.port}/{site.world.remote.name}"\ninterval = "1s"'
    toml.write_text(re.sub(r'url = ".*"', address, toml.read_text()))
    yield made
    made.goes()


def arrive(site: Site, version: str) -> None:
    site.world.wait_for(version, lambda: site.are_ready(version), within_s=WITHIN_S)


def test_what_was_missed_while_the_remote_was_away_is_made_up_for(site: Site, remote: Remote) -> None:
    site.start_devices("--infer-every", "0")
    site.world.commit("Begin", site.first_files())
    site.start_gateway()
    arrive(site, "1.0.0")
    site.world.commit("1.1.0", {"rollout.yaml": rollout("1.1.0"), **model("1.1.0", SECOND)})
    site.world.wait_for("a transfer", lambda: "was fetched" in site.gateway.said, within_s=WITHIN_S)
    remote.goes()
    site.world.wait_for("a word about it", lambda: "RemoteUnavailable" in site.gateway.said, within_s=WITHIN_S)
    wanted = site.world.commit("1.2.0", {"rollout.yaml": rollout("1.2.0"), **model("1.2.0", THIRD)})
    assert site.world.enforced() != wanted
    remote.comes()
    arrive(site, "1.2.0")  # as the status ref says, which was pushed afterwards
    assert site.world.enforced() == wanted
