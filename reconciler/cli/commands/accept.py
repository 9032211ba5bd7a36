# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet accept`: the way out of a rewritten history, by a person's decision on the gateway itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import click

from reconciler import config
from reconciler.cli.inputs.options import config_option
from reconciler.daemon.assembly import policy_of, remote_of
from reconciler.engine.state.schema import STATE_FILE
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import Invalid, Refused
from reconciler.git.mirror import Mirror
from reconciler.git.signatures import CommitVerifier
from reconciler.git.source import CommitSource
from reconciler.load import load
from reconciler.model import Commit


class NotBranchHead(Refused):
    """The commit is not what the branch is at."""

    reason: ClassVar[str] = "NotBranchHead"


class CommitInvalid(Invalid):
    """The commit can't be enforced: it has mistakes."""

    reason: ClassVar[str] = "Invalid"


def _commit(_context: click.Context, _option: click.Parameter, text: str) -> Commit:
    if re.fullmatch(r"[0-9a-f]{40}", text) is None:
        raise click.BadParameter("give the whole commit id, 40 digits: it is what you vouch for")
    return Commit(text)


@click.command(short_help="Go on from a commit though history was rewritten")
@click.argument("commit", callback=_commit)
@config_option
def command(commit: str, config_path: Path) -> None:
    """Enforce COMMIT from now on, though the last applied commit is not an ancestor of it.

    COMMIT must be what the branch is at now, signed as the policy wants it, and free of mistakes. A daemon that runs
    takes it up with its next look at Git. Look at the history first: a rewrite that nobody owns up to is an attack.
    """
    settings = config.read(config_path)
    accepted = Commit(commit)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with Mirror(settings.state_dir / "mirror.git", remote_of(settings)) as mirror:
        before = _accept(settings, mirror, accepted)
    click.echo(f"{accepted} is enforced from now on, instead of {before or 'nothing'}")


def _accept(settings: config.GatewayConfig, mirror: Mirror, commit: Commit) -> Commit | None:
    head = mirror.fetch()
    if head != commit:
        raise NotBranchHead(f"the branch is at {head}, not at {commit}; accept what the branch is at")
    policy = policy_of(settings)
    CommitVerifier(policy, settings.state_dir / "signers").verify(mirror.git, (commit,), limit_s=mirror.limits.verify_s)
    source = CommitSource(mirror, policy, settings.state_dir / "signers", settings.repository.path)
    with source.tree(commit) as tree:
        loaded = load(tree, commit=commit)
    if loaded.desired is None:
        raise CommitInvalid("\n".join(str(problem) for problem in loaded.errors))
    source.accept(commit)
    state = StateWriter(settings.state_dir / STATE_FILE)
    try:
        before = state.applied
        state.save_applied(commit)
    finally:
        state.close()
    return before
