# SPDX-License-Identifier: Apache-2.0
"""The loop of a contest, from alarms on a device to a better model on it, while the daemon is killed at every step.

The daemon, the agent, the broker, the line and the repository are real. What was stored and how the models voted must
equal what a run without kills gives, and exactly one commit must have been proposed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.gateway_configuration import Broker as BrokerLink
from demo.site import SerialLine, Site
from demo.world import GATEWAY, NotObservedError, World
from reconciler.model.samples import SampleLog
from tests.firmware.broker import Authority, Broker
from tests.system.contest_site import FALSE_POSITIVES, OPERATORS, ROUGH, SAMPLE_OPTIONS, SMOOTH, ContestSite

WITHIN_S = 100
DEVICE = "pump-00"
BAUD = 2400

pytestmark = [pytest.mark.build, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Played:
    """What a run of the loop left."""

    tallies: dict[tuple[int, int, int], dict[str, bool | None]]
    proposals: list[str]
    alarms: list[bytes]  # what the sensor gave, as far as the champion called it anomalous
    kept: list[bytes | None]  # the anomalies in the knowledge base


class Loop:
    """Plays the loop on a site, and kills the daemon once at each step if it is asked to."""

    def __init__(self, site: ContestSite, *, kills: bool) -> None:
        self.site = site
        self.world = site.world
        self._kills = kills

    def step(self, what: str, condition: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the condition found
        """Wait until a step is reached, then kill the daemon there and start it again."""
        try:
            found = self.world.wait_for(what, condition, within_s=WITHIN_S)
        except NotObservedError as missed:
            known = f"{len(self.site.samples())} samples, {self.site.tallies()}, {self.site.status()}"
            raise NotObservedError(f"{missed}\n{known}") from missed
        if self._kills:
            self.site.site.gateway.kill()
            self.site.site.start_gateway()
        return found

    def play(self) -> Played:
        site = self.site
        site.site.start_devices(*SAMPLE_OPTIONS)
        self.world.commit("Begin", site.files())
        site.site.start_gateway()
        self.step("the champion runs", lambda: site.runs("1.0.0"))
        alarms, _ = site.feel(DEVICE, 21, 6, SMOOTH)
        alarms += site.feel(DEVICE, 22, 2, ROUGH)[0]
        self.step("samples are stored", site.samples)
        alarms += site.feel(DEVICE, 23, FALSE_POSITIVES, ROUGH)[0]
        self.step("models vote", lambda: any(site.tallies().values()))
        self.step("all alarms are stored", lambda: len(anomalies(site)) == len(alarms))
        self.step("a successor is proposed", site.proposal)
        self.step("the status says so", lambda: site.condition("Proposed").get("reason") == "Open")
        tallies = self.world.wait_for("all votes", lambda: complete(site.tallies()), within_s=WITHIN_S)
        merged = site.merge()
        self.step("the merge is enforced", lambda: self.world.enforced() == merged)
        self.step("the successor is being delivered", lambda: "running=" in site.site.phases())
        self.world.wait_for("the successor runs", lambda: site.runs("1.1.0"), within_s=WITHIN_S)
        self.world.wait_for("the branch is deleted", lambda: site.proposal() is None, within_s=WITHIN_S)
        return Played(tallies, site.commits_by_gateway(), alarms, anomalies(site))


def anomalies(site: ContestSite) -> list[bytes | None]:
    return [each.window for each in site.samples() if each.log is SampleLog.ANOMALIES]


def complete(
    tallies: dict[tuple[int, int, int], dict[str, bool | None]],
) -> dict[tuple[int, int, int], dict[str, bool | None]] | None:
    """Return the votes once every model has voted on every sample."""
    return tallies if len({len(votes) for votes in tallies.values()}) == 1 else None


@contextmanager
def made_site(link: str) -> Iterator[ContestSite]:
    """Make a site of its own, with a broker if it needs one."""
    with tempfile.TemporaryDirectory(prefix="site") as folder, World(Path(folder)) as world, ExitStack() as stack:
        way: SerialLine | BrokerLink = SerialLine(BAUD)
        if link == "broker":
            authority = Authority(world.folder / "pki")
            for name in (GATEWAY, DEVICE):
                authority.issue(name)
            broker = Broker(world.folder, authority)
            stack.callback(broker.stop)
            way = BrokerLink(broker.port, authority.folder)
        site = Site(world, (DEVICE,), way, operators=OPERATORS)
        site.set_up()
        yield ContestSite(site)


def played(link: str, *, kills: bool) -> Played:
    with made_site(link) as site:
        return Loop(site, kills=kills).play()


@pytest.mark.parametrize("link", ["line", "broker"])
@pytest.mark.usefixtures("firmware")
def test_alarms_lead_to_a_better_model_through_kills(link: str) -> None:
    killed = played(link, kills=True)
    assert len(killed.proposals) == 1
    assert killed.kept == killed.alarms
    assert len(killed.alarms) >= FALSE_POSITIVES
    assert killed.tallies == played(link, kills=False).tallies
