# SPDX-License-Identifier: Apache-2.0
"""What a command looks at: a clone of the fleet's repository, or a gateway with what its daemon knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from reconciler import config
from reconciler.cli.inputs.repositories import LIMIT_S, Found, evidence_in, find
from reconciler.daemon.state_reader import recorded_state
from reconciler.engine.state.reader import NoRecordedState
from reconciler.errors import Unusable
from reconciler.git.confined_git import ConfinedGit
from reconciler.git.mirror import APPLIED
from reconciler.git.status_reader import status_branches, versions_of
from reconciler.load import CheckCache
from reconciler.model import Commit, Desired, GatewayId, RolloutId
from reconciler.review.reported_state import ROLLOUTS, ReportedState, told_by
from reconciler.review.rollout_history import PastRollout, past_rollouts

VERSIONS_READ = 500  # of one rollout's status file, for its history
OURS = "refs/tinyfleet/status"  # a gateway's own status, in its mirror of it (reconciler.git.status_writer)


class NoFleet(Unusable):
    """The commit that is looked at is no valid fleet."""

    reason: ClassVar[str] = "Invalid"


@dataclass(frozen=True, slots=True)
class StatusHistory:
    """A repository that keeps versions of a gateway's status."""

    git: ConfinedGit
    gateway: GatewayId
    commit: Commit


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What Git wants, and what gateways told; `state_dir` is that of a gateway."""

    found: Found
    desired: Desired
    evidence: ReportedState
    histories: tuple[StatusHistory, ...]
    state_dir: Path | None = None
    gateway: GatewayId | None = None

    def past(self, rollout: RolloutId) -> list[PastRollout]:
        """Tell what became of a rollout's last revisions, the newest first."""
        path = f"{ROLLOUTS}{rollout}.yaml"
        found: list[PastRollout] = []
        for each in self.histories:
            versions = versions_of(each.git, each.commit, path, limit=VERSIONS_READ, limit_s=LIMIT_S)
            found += past_rollouts(each.gateway, versions)
        return sorted(found, key=lambda chapter: chapter.began_at, reverse=True)


@contextmanager
def open_context(path: Path | None, config_path: Path, cache: CheckCache) -> Iterator[CommandContext]:
    """Open a clone at a path, else the gateway that the configuration describes."""
    with ExitStack() as stack:
        if path is not None:
            found = find(path)
            stack.callback(found.git.clear_cache)
            yield _of_clone(found, cache)
        else:
            yield _of_gateway(config.read(config_path), stack, cache)


def _of_clone(found: Found, cache: CheckCache) -> CommandContext:
    desired = _desired(found, found.resolve("HEAD"), cache)
    branches = status_branches(found.git, limit_s=LIMIT_S)
    histories = tuple(StatusHistory(found.git, GatewayId(name), each.commit) for name, each in branches.items())
    return CommandContext(found, desired, evidence_in(found), histories)


def _of_gateway(settings: config.GatewayConfig, stack: ExitStack, cache: CheckCache) -> CommandContext:
    state_dir, name = settings.state_dir, GatewayId(settings.name)
    found = Found(_runner(state_dir / "mirror.git", stack), settings.repository.path)
    desired = _desired(found, found.resolve(APPLIED), cache)
    with recorded_state(state_dir) as state:
        files = state.status_files()
    told = {name: told_by(name, files, at=datetime.now(UTC))}
    peers = state_dir / "peers.git"
    if peers.exists():
        told = {**evidence_in(replace(found, git=_runner(peers, stack))).gateways, **told}
    histories = []
    status = state_dir / "status.git"
    if status.exists():
        git = _runner(status, stack)
        asked = git.step("rev-parse", "--verify", "--quiet", f"{OURS}^{{commit}}", limit_s=LIMIT_S)
        if asked.status == 0:
            histories.append(StatusHistory(git, name, Commit(asked.out.decode("ascii").strip())))
    return CommandContext(found, desired, ReportedState(told), tuple(histories), state_dir, name)


def _runner(path: Path, stack: ExitStack) -> ConfinedGit:
    if not path.exists():
        raise NoRecordedState(f"{path} is not there: this gateway has not worked yet, or its state_dir is another one")
    git = ConfinedGit(path.parent)
    git.confine(path.absolute())
    git.require()
    stack.callback(git.clear_cache)
    return git


def _desired(found: Found, commit: Commit, cache: CheckCache) -> Desired:
    loaded = found.load(commit, cache)
    if loaded.desired is None:
        first = next(iter(loaded.errors), "")
        raise NoFleet(f"commit {commit[:12]} has mistakes; the first of {len(loaded.errors)}: {first}")
    return loaded.desired
