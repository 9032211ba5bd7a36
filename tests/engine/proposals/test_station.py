# SPDX-License-Identifier: Apache-2.0
"""The branches follow what contests want: one job at a time, a look after each poll, and no work without a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from reconciler.engine.proposals.station import ProposalFindings, ProposalStation, ProposalWishes
from reconciler.git.proposal_outcomes import DeclinedProposal, MergedProposal, NotPushed, Proposed
from reconciler.model import Candidate, Desired
from tests.engine.proposals.repository import AT, PUMPS, Gateway, candidate


class Passes:
    """Passes of an engine, as far as proposals are concerned."""

    def __init__(self, gateway: Gateway, git_thread: ThreadPoolExecutor, *, key: bool = True) -> None:
        self.gateway = gateway
        self._git_thread = git_thread
        self._woken = asyncio.Event()
        self.station = ProposalStation(gateway.proposer() if key else None, git_thread, self._woken.set)

    async def poll(self) -> Desired:
        desired = await asyncio.get_running_loop().run_in_executor(self._git_thread, self.gateway.poll)
        self.station.git_polled()
        return desired

    def wishes(self, desired: Desired, *wanted: Candidate) -> ProposalWishes:
        return ProposalWishes(tuple(self.gateway.wanted(desired, each) for each in wanted))

    async def job(self, desired: Desired, wishes: ProposalWishes) -> ProposalFindings:
        assert self.station.has_work(desired, wishes)
        self._woken.clear()
        self.station.begin(desired, wishes, AT)
        assert not self.station.has_work(desired, ProposalWishes())  # one at a time
        await asyncio.wait_for(self._woken.wait(), 60)
        await self.station.stop()
        found = self.station.take()
        assert found is not None
        assert self.station.take() is None
        return found


def run(gateway: Gateway, story: Callable[[Passes], Awaitable[None]], *, key: bool = True) -> None:
    async def play() -> None:
        with ThreadPoolExecutor(1) as git_thread:
            await story(Passes(gateway, git_thread, key=key))

    asyncio.run(play())


def test_a_proposal_is_made_once_and_looked_at_after_each_poll(gateway: Gateway) -> None:
    async def story(passes: Passes) -> None:
        desired = await passes.poll()
        wishes = passes.wishes(desired, candidate())
        made = (await passes.job(desired, wishes)).outcomes[PUMPS]
        assert isinstance(made, Proposed)
        assert not passes.station.has_work(desired, wishes)
        open_again = await passes.job(await passes.poll(), ProposalWishes())
        assert open_again == ProposalFindings({PUMPS: Proposed(made.commit, made.target)}, complete=True)
        gateway.merge()
        merged = await passes.job(await passes.poll(), ProposalWishes())
        assert merged.outcomes == {PUMPS: MergedProposal(made.commit, made.target)}
        nothing = await passes.job(await passes.poll(), ProposalWishes())
        assert nothing == ProposalFindings({}, complete=True)

    run(gateway, story)


def test_an_outdated_proposal_is_withdrawn(gateway: Gateway) -> None:
    async def story(passes: Passes) -> None:
        desired = await passes.poll()
        await passes.job(desired, passes.wishes(desired, candidate()))
        withdrawn = await passes.job(desired, ProposalWishes(unwanted=frozenset({PUMPS})))
        assert withdrawn == ProposalFindings({}, complete=True)
        assert "propose/" not in gateway.forge.git("for-each-ref", cwd=gateway.forge.bare)

    run(gateway, story)


def test_a_declined_proposal_is_reported_until_it_is_recorded(gateway: Gateway) -> None:
    async def story(passes: Passes) -> None:
        desired = await passes.poll()
        made = (await passes.job(desired, passes.wishes(desired, candidate()))).outcomes[PUMPS]
        assert isinstance(made, Proposed)
        gateway.forge.git("push", "--quiet", "origin", ":propose/north/pumps")
        for _ in range(2):
            found = await passes.job(await passes.poll(), ProposalWishes())
            assert found.outcomes == {PUMPS: DeclinedProposal(made.commit, made.target)}
        forgotten = await passes.job(desired, ProposalWishes(settled=frozenset({PUMPS})))
        assert forgotten == ProposalFindings({}, complete=True)

    run(gateway, story)


def test_a_remote_that_cannot_be_read_settles_nothing(gateway: Gateway) -> None:
    async def story(passes: Passes) -> None:
        desired = await passes.poll()
        gateway.forge.bare.rename(gateway.forge.bare.with_name("away"))
        found = await passes.job(desired, passes.wishes(desired, candidate()))
        assert not found.complete
        failure = found.outcomes[PUMPS]
        assert isinstance(failure, NotPushed)
        assert failure.reason == "RemoteUnavailable"
        gateway.forge.bare.with_name("away").rename(gateway.forge.bare)
        again = await passes.job(await passes.poll(), passes.wishes(desired, candidate()))
        assert isinstance(again.outcomes[PUMPS], Proposed)

    run(gateway, story)


def test_without_a_key_the_reason_is_reported(gateway: Gateway) -> None:
    async def story(passes: Passes) -> None:
        desired = await passes.poll()
        found = await passes.job(desired, passes.wishes(desired, candidate()))
        failure = found.outcomes[PUMPS]
        assert isinstance(failure, NotPushed)
        assert "`[automation] key`" in failure.message

    run(gateway, story, key=False)
