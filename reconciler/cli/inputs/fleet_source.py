# SPDX-License-Identifier: Apache-2.0
"""What a command works on: a clone of the fleet repository, or a gateway and the state of its daemon."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from reconciler import config
from reconciler.cli.inputs.repositories import LIMIT_S, FleetRepository, find_repository, reported_state_in
from reconciler.daemon.gateway_overview import recorded_state
from reconciler.engine.state.reader import NoRecordedState
from reconciler.errors import Unusable
from reconciler.git.confined_git import ConfinedGit
from reconciler.git.mirror import APPLIED
from reconciler.git.status_reader import status_branches, versions_of
from reconciler.load import CheckCache
from reconciler.model import Commit, Desired, GatewayId, RolloutId
from reconciler.review.formatting import counted, short
from reconciler.review.reported_state import ROLLOUTS, ReportedState, parse_gateway_report
from reconciler.review.rollout_history import PastRollout, past_rollouts

VERSIONS_READ = 500  # of the status file of one rollout, for its history
COMMIT_ID = re.compile(r"[0-9a-f]{40}")
OWN_STATUS = "refs/tinyfleet/status"  # in the gateway's mirror (reconciler.git.status_writer)


class NoFleet(Unusable):
    """The commit does not hold a valid fleet."""

    reason: ClassVar[str] = "Invalid"


@dataclass(frozen=True, slots=True)
class StatusHistory:
    """A repository with the versions of a gateway's status."""

    git: ConfinedGit
    gateway: GatewayId
    commit: Commit


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The desired state and the reported state; `state_dir` is set on a gateway."""

    repository: FleetRepository
    desired: Desired
    reported: ReportedState
    histories: tuple[StatusHistory, ...]
    state_dir: Path | None = None
    gateway: GatewayId | None = None

    def past(self, rollout: RolloutId) -> list[PastRollout]:
        """Return the last revisions of a rollout, newest first."""
        path = f"{ROLLOUTS}{rollout}.yaml"
        found: list[PastRollout] = []
        for each in self.histories:
            versions = versions_of(each.git, each.commit, path, limit=VERSIONS_READ, limit_s=LIMIT_S)
            found += past_rollouts(each.gateway, versions)
        return sorted(found, key=lambda each: each.started_at, reverse=True)


def stale(context: CommandContext) -> list[str]:
    """Describe how a clone is behind its remote or its gateways; on a gateway there is nothing to be behind."""
    if context.state_dir is not None:
        return []
    git, head = context.repository.git, context.desired.commit
    found = []
    upstream = git.step("rev-list", "--count", f"{head}..HEAD@{{upstream}}", limit_s=LIMIT_S)
    behind = int(upstream.out) if upstream.status == 0 else 0  # without an upstream it fails
    if behind:
        found.append(f"this clone is {counted(behind, 'commit')} behind its upstream; run `git pull`")
    for report in context.reported.gateways.values():
        if report.commit == head or not COMMIT_ID.fullmatch(report.commit):
            continue
        contained = git.step("merge-base", "--is-ancestor", report.commit, head, limit_s=LIMIT_S).status
        enforced = f"gateway {report.gateway} enforces {short(report.commit)}"
        if contained == 1 and not behind:
            found.append(f"{enforced}, which HEAD ({short(head)}) does not contain; run `git pull`")
        elif contained > 1:
            found.append(f"{enforced}, which this clone does not have; run `git pull`")
    return found


@contextmanager
def open_context(path: Path | None, config_path: Path, cache: CheckCache) -> Iterator[CommandContext]:
    """Open the clone at a path, or without one the gateway of the configuration."""
    with ExitStack() as stack:
        if path is not None:
            repository = find_repository(path)
            stack.callback(repository.git.clear_cache)
            yield _of_clone(repository, cache)
        else:
            yield _of_gateway(config.read(config_path), stack, cache)


def _of_clone(repository: FleetRepository, cache: CheckCache) -> CommandContext:
    desired = _desired(repository, repository.resolve("HEAD"), cache)
    branches = status_branches(repository.git, limit_s=LIMIT_S)
    histories = tuple(StatusHistory(repository.git, GatewayId(name), each.commit) for name, each in branches.items())
    return CommandContext(repository, desired, reported_state_in(repository), histories)


def _of_gateway(settings: config.GatewayConfig, stack: ExitStack, cache: CheckCache) -> CommandContext:
    state_dir, name = settings.state_dir, GatewayId(settings.name)
    repository = FleetRepository(_runner(state_dir / "mirror.git", stack), settings.repository.path)
    desired = _desired(repository, repository.resolve(APPLIED), cache)
    with recorded_state(state_dir) as state:
        files = state.status_files()
    reports = {name: parse_gateway_report(name, files, at=datetime.now(UTC))}
    peers = state_dir / "peers.git"
    if peers.exists():
        reports = {**reported_state_in(replace(repository, git=_runner(peers, stack))).gateways, **reports}
    histories = []
    status = state_dir / "status.git"
    if status.exists():
        git = _runner(status, stack)
        resolved = git.step("rev-parse", "--verify", "--quiet", f"{OWN_STATUS}^{{commit}}", limit_s=LIMIT_S)
        if resolved.status == 0:
            histories.append(StatusHistory(git, name, Commit(resolved.out.decode("ascii").strip())))
    return CommandContext(repository, desired, ReportedState(reports), tuple(histories), state_dir, name)


def _runner(path: Path, stack: ExitStack) -> ConfinedGit:
    if not path.exists():
        raise NoRecordedState(
            f"{path} does not exist: the daemon has not run yet, or `state_dir` in the configuration is wrong"
        )
    git = ConfinedGit(path.parent)
    git.confine(path.absolute())
    git.require()
    stack.callback(git.clear_cache)
    return git


def _desired(repository: FleetRepository, commit: Commit, cache: CheckCache) -> Desired:
    loaded = repository.load(commit, cache)
    if loaded.desired is None:
        first = next(iter(loaded.errors), "")
        raise NoFleet(f"commit {short(commit)} has {counted(len(loaded.errors), 'error')}; the first: {first}")
    return loaded.desired
