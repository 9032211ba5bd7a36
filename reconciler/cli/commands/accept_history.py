# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet accept-history`: continue after a rewritten history, by an operator's decision on the gateway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import click

from reconciler import config
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.problem_report import problem_lines
from reconciler.cli.result import print_result
from reconciler.daemon.assembly import policy_of, remote_of
from reconciler.engine.state.schema import STATE_FILE
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import Invalid, Refused
from reconciler.git.errors import NotApproved
from reconciler.git.mirror import Mirror
from reconciler.git.signatures import CommitVerifier
from reconciler.git.source import CommitSource
from reconciler.load import load
from reconciler.model import Commit


class NotBranchHead(Refused):
    """The commit is not the head of the branch."""

    reason: ClassVar[str] = "NotBranchHead"


class CommitInvalid(Invalid):
    """The commit cannot be enforced: it has errors."""

    reason: ClassVar[str] = "Invalid"


def _commit(_context: click.Context, _option: click.Parameter, text: str) -> Commit:
    if re.fullmatch(r"[0-9a-f]{40}", text) is None:
        raise click.BadParameter("give the full commit ID of 40 hexadecimal digits: it is what you vouch for")
    return Commit(text)


@click.command(cls=LeafCommand)
@click.argument("commit", callback=_commit)
@config_option
@output_option
def command(commit: str, config_path: Path, output: str) -> None:
    """Accept COMMIT although the last applied commit is not its ancestor.

    COMMIT must be the current head of the branch, satisfy the signature policy, and be free of errors. A running
    daemon enforces it at its next poll. Inspect the history first: an unexplained rewrite is an attack.
    """
    settings = config.read(config_path)
    accepted = Commit(commit)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with Mirror(settings.state_dir / "mirror.git", remote_of(settings)) as mirror:
        before = _accept(settings, mirror, accepted)
    text = f"accepted {accepted}; the previous commit was {before or 'none'}"
    print_result(output, {"accepted": accepted, "previous": before}, text)


def _accept(settings: config.GatewayConfig, mirror: Mirror, commit: Commit) -> Commit | None:
    head = mirror.fetch()
    if head != commit:
        raise NotBranchHead(f"the branch is at {head}, not at {commit}; only the head of the branch can be accepted")
    policy = policy_of(settings)
    verifier = CommitVerifier(policy, settings.state_dir / "signers")
    signers = verifier.verify(mirror.git, (commit,), limit_s=mirror.limits.verify_s)
    if any(signer.automated for signer in signers):
        raise NotApproved(f"commit {commit} is signed by a gateway; only one that a person signed can be accepted")
    source = CommitSource(mirror, policy, settings.state_dir / "signers", settings.repository.path)
    with source.tree(commit) as tree:
        loaded = load(tree, commit=commit)
        if loaded.desired is None:
            raise CommitInvalid("\n".join(problem_lines(loaded.errors, tree)))
    source.accept(commit)
    state = StateWriter(settings.state_dir / STATE_FILE)
    try:
        before = state.applied
        state.save_applied(commit)
    finally:
        state.close()
    return before
