# SPDX-License-Identifier: Apache-2.0
"""`where: cluster` makes the same files as `where: gateway`, and says what is missing where there is no cluster."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from reconciler.compiler.errors import ToolsMissing
from reconciler.config import ClusterConfig
from reconciler.daemon.trial_cluster import connected
from reconciler.model import TrainingPlace
from reconciler.training.decision import TrainingState
from tests.engine.trainings.test_training_station import TRAINING, Passes
from tests.engine.trainings.tls_cluster import Authority, tls_cluster

pytest.importorskip("distributed", reason="needs the extra `dask`")
pytestmark = [pytest.mark.build, pytest.mark.timeout(600)]
ON_CLUSTER = replace(TRAINING, trials=10, where=TrainingPlace.CLUSTER)


async def trained(passes: Passes, place: TrainingPlace) -> dict[str, bytes]:
    """Train, and return the files that are proposed."""
    wanted = replace(ON_CLUSTER, where=place)
    passes.collect(80, 20)
    assert passes.decide(wanted) is TrainingState.DUE
    await passes.finish()
    passes.decide(wanted)
    (proposal,) = passes.station.wanted()
    return dict(proposal.files)


def test_the_same_files_come_from_a_cluster_over_tls_and_strangers_get_no_answer(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "own"), Authority(tmp_path / "other")
    with tls_cluster(authority, tmp_path) as scheduler:
        gateway = authority.member("gateway", scheduler)

        async def both() -> tuple[dict[str, bytes], dict[str, bytes]]:
            here = await trained(Passes(tmp_path / "here"), TrainingPlace.GATEWAY)
            there = await trained(Passes(tmp_path / "there", partial(connected, gateway)), TrainingPlace.CLUSTER)
            return here, there

        here, there = asyncio.run(both())
        unknown = stranger.member("gateway", scheduler)
        for refused in (
            replace(unknown, ca=gateway.ca),  # the scheduler does not know who asks
            replace(gateway, ca=unknown.ca),  # the gateway does not know who answers
            ClusterConfig(scheduler.replace("tls:", "tcp:")),  # nothing is encrypted
            replace(gateway, scheduler=scheduler.replace("tls:", "tcp:")),
        ):
            with pytest.raises(ToolsMissing, match="the cluster at"), connected(replace(refused, timeout_s=1.0)):
                pytest.fail("a stranger gets an answer")
    assert here == there
    assert len(here) == 3


def test_without_a_cluster_the_condition_names_the_section(tmp_path: Path) -> None:
    async def run() -> None:
        passes = Passes(tmp_path)
        passes.collect(80, 20)
        passes.decide(ON_CLUSTER)
        await passes.finish()
        passes.decide(ON_CLUSTER)
        assert passes.reason() == "ToolsMissing"
        (report,) = passes.station.reports()
        assert "[cluster]" in report.tools_missing

    asyncio.run(run())


def test_a_scheduler_that_does_not_answer_is_one_line() -> None:
    settings = ClusterConfig("tcp://127.0.0.1:1", timeout_s=1.0)
    with pytest.raises(ToolsMissing, match=r"the cluster at tcp://127\.0\.0\.1:1 does not answer"), connected(settings):
        pytest.fail("nothing listens there")
    with pytest.raises(ToolsMissing, match="together"), connected(replace(settings, ca=Path("ca.pem"))):
        pytest.fail("half of a TLS set-up")
