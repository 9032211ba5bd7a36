# SPDX-License-Identifier: Apache-2.0
"""A gateway with a real repository that has a contest, from the poll to its proposals."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler.engine.desired.commit_scope import CommitScope
from reconciler.engine.desired.desired_state import DesiredStateSource
from reconciler.engine.proposals.proposer import ContestProposer, WantedProposal
from reconciler.engine.state.writer import StateWriter
from reconciler.git.automation import AutomatedCommits
from reconciler.git.commit_writer import CommitAuthor
from reconciler.git.mirror import Mirror
from reconciler.git.proposal_branches import ProposalBranches
from reconciler.git.proposal_outcomes import ProposalOutcome
from reconciler.git.remote_settings import GitLimits, Remote
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import CommitSource
from reconciler.load import CheckCache
from reconciler.model import Candidate, ContestId, Desired, GatewayId, ModelRef, ProposalMode, RolloutId, Version
from reconciler.report.contest_figures import ContestFigures, ContestLimits
from reconciler.report.proposal_message import EvidenceFile, ProposalCost
from tests.engine.test_commit_scope import CONTEST, PATH, fleet
from tests.git.forge import Forge, SshKey, make_forge, make_ssh_key

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
NORTH, PUMPS = GatewayId("north"), ContestId("pumps")
EVIDENCE = EvidenceFile("evidence/pumps.yaml", b"kind: ContestStatus\n")


def candidate(version: str = "2", threshold: float = 0.65) -> Candidate:
    return Candidate(ModelRef("forest", Version(version)), threshold)


@dataclass
class Gateway:
    """A gateway that follows main, and proposes."""

    forge: Forge
    source: DesiredStateSource
    branches: ProposalBranches
    ada: SshKey

    def poll(self) -> Desired:
        polled = self.source.poll()
        assert polled.source.good, polled.source.message
        assert polled.desired is not None
        return polled.desired

    def proposer(self, *, direct: bool = False) -> ContestProposer:
        return ContestProposer(NORTH, self.source, self.branches, direct=direct)

    def propose(self, desired: Desired, wanted: Candidate, *, direct: bool = False) -> ProposalOutcome:
        return self.proposer(direct=direct).propose(desired, self.wanted(desired, wanted), AT)

    def wanted(self, desired: Desired, wanted: Candidate) -> WantedProposal:
        contest = desired.contests[PUMPS]
        figures = ContestFigures(
            PUMPS, RolloutId("pumps"), "forest@1 at 0.6", "Due", "TooManyFalsePositives", str(wanted), AT, None, 60, 1,
            20, 0, ContestLimits(5, 5, 1, 50, 20, 3), (), 0, (),
        )  # fmt: skip
        return WantedProposal(contest, wanted, figures, ProposalCost(400), EVIDENCE)

    def file(self, commit: str) -> str:
        shown = subprocess.run(
            ["git", "cat-file", "blob", f"{commit}:{PATH}"], cwd=self.forge.bare, check=True, capture_output=True
        )
        return shown.stdout.decode()

    def merge(self) -> str:
        self.forge.git("fetch", "--quiet", "origin")
        return self.forge.merge("origin/propose/north/pumps", key=self.ada)


@contextmanager
def opened(tmp_path: Path, mode: ProposalMode) -> Iterator[Gateway]:
    ada, north = make_ssh_key(tmp_path, "ada"), make_ssh_key(tmp_path, "north")
    people, gateways = tmp_path / "people", tmp_path / "gateways"
    people.write_text(f"ada@example.org {ada.public}\n")
    gateways.write_text(f"north {north.public}\n")
    forge = make_forge(tmp_path / "forge")
    contest = CONTEST.replace("propose: branch", f"propose: {mode.value}")
    forge.commit({**fleet(), "contests/pumps.yaml": contest}, key=ada)
    policy = SignaturePolicy(SignatureMode.EVERY, people, automation=gateways)
    state = StateWriter(tmp_path / "state.db")
    cache = CheckCache()
    limits = GitLimits(ask_s=10, transfer_s=20, local_s=20, verify_s=30)
    with Mirror(tmp_path / "mirror", Remote(f"file://{forge.bare}"), limits) as mirror:
        automated = AutomatedCommits(mirror, CommitScope(cache), direct=mode is ProposalMode.DIRECT)
        source = CommitSource(mirror, policy, tmp_path / "signers", automated=automated)
        author = CommitAuthor("tinyfleet gateway north", "tinyfleet@north", north.path)
        branches = ProposalBranches(mirror, "north", author)
        yield Gateway(forge, DesiredStateSource(source, cache, state), branches, ada)
    state.close()
