# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet verify`: whether gateways would accept the signatures of a change, before it is merged."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from reconciler import config
from reconciler.cli.inputs.options import CONFIG_VARIABLE, FILE, output_formats
from reconciler.cli.inputs.repositories import LIMIT_S, FleetRepository, find_repository
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.terminal import print_lines
from reconciler.cli.verbosity import note
from reconciler.cli.views.problems import annotation
from reconciler.daemon.assembly import policy_of
from reconciler.engine.desired.commit_scope import CommitScope
from reconciler.git.automation import AutomatedCommits
from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedGit
from reconciler.git.remote_settings import GitLimits
from reconciler.git.signature_review import ReviewedCommit, commits_of_change, review_signatures
from reconciler.git.signatures import CommitVerifier, SignatureMode, SignaturePolicy
from reconciler.load import CheckCache
from reconciler.model import Commit
from reconciler.review.formatting import counted

MODES = (SignatureMode.EVERY.value, SignatureMode.HEAD.value)


@dataclass(slots=True)
class Clone:
    """The commits of a clone, as the check of automated commits reads them."""

    git: ConfinedGit
    limits: GitLimits

    def tree(self, commit: Commit, sub_path: str = "") -> CommitTree:
        """Open the files below a folder at a commit."""
        return CommitTree(self.git, commit, sub_path, limit_s=self.limits.local_s)


@click.command(cls=LeafCommand)
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--base", metavar="REV", required=True, help="Branch or commit that the change is to be merged into.")
@click.option("--head", metavar="REV", default="HEAD", show_default=True, help="Newest commit of the change.")
@click.option("--policy", type=click.Choice(MODES), help="Which commits must be signed. [default: every]")
@click.option("--allowed-signers", type=FILE, help="Who may sign, in the format of ssh-keygen.")
@click.option("--revoked-signers", type=FILE, help="Keys that may not sign any more: a KRL or a list.")
@click.option("--gpg-keys", type=FILE, help="Exported GPG public keys that may sign, such as that of a forge.")
@click.option("--automation", type=FILE, help="Allowed signers of gateways, whose commits count only in their scope.")
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=FILE,
    envvar=CONFIG_VARIABLE,
    show_envvar=True,
    help="Configuration of a gateway: take its policy and signers.",
)
@output_formats("text", "json", "github", note="github writes annotations for a pull request")
def command(  # noqa: PLR0913 (one parameter for each option)
    path: Path,
    *,
    base: str,
    head: str,
    policy: str | None,
    allowed_signers: Path | None,
    revoked_signers: Path | None,
    gpg_keys: Path | None,
    automation: Path | None,
    config_path: Path | None,
    output: str,
) -> None:
    """Check that gateways would accept the signatures of a change, before it is merged.

    Verifies the commits that merging --head into --base would add, in the clone at PATH, by the rules of a gateway.
    Take the files of signers from a place that the change cannot alter: never from the change itself.

    Exits with 0 if every commit complies, and with 1 otherwise.
    """
    configured = policy_of(config.read(config_path)) if config_path is not None else SignaturePolicy()
    rules = SignaturePolicy(
        SignatureMode(policy) if policy is not None else configured.mode,
        allowed_signers or configured.allowed_signers,
        revoked_signers or configured.revoked_signers,
        gpg_keys or configured.gpg_keys,
        automation or configured.automation,
    )
    if rules.allowed_signers is None and rules.gpg_keys is None:
        raise click.UsageError("name who may sign: --allowed-signers, --gpg-keys, or the --config of a gateway")
    repository = find_repository(path)
    resolved = repository.resolve(base), repository.resolve(head)
    reviewed = _review(repository, rules, *resolved)
    FORMATS[output](reviewed, rules, resolved)
    if output != "json":
        note(_summary(reviewed))
    sys.exit(1 if any(each.refusal for each in reviewed) else 0)


def _review(
    repository: FleetRepository, policy: SignaturePolicy, base: Commit, head: Commit
) -> tuple[ReviewedCommit, ...]:
    new = commits_of_change(repository.git, base, head, limit_s=LIMIT_S)
    if not new:
        return ()
    limits = GitLimits()
    automated = AutomatedCommits(Clone(repository.git, limits), CommitScope(CheckCache()), repository.below)
    with tempfile.TemporaryDirectory(prefix="tinyfleet-verify-") as folder:  # for a GPG keyring
        verifier = CommitVerifier(policy, Path(folder))
        return review_signatures(repository.git, verifier, new, automated.check_scope, limit_s=limits.verify_s)


# ---------------------------------------------------------------- output


def _as_text(reviewed: Sequence[ReviewedCommit], _policy: SignaturePolicy, _range: tuple[Commit, Commit]) -> None:
    lines = [f"error: {each.refusal} [{each.refusal.reason}]" for each in reviewed if each.refusal is not None]
    if lines:
        print_lines(lines)


def _as_github(reviewed: Sequence[ReviewedCommit], _policy: SignaturePolicy, _range: tuple[Commit, Commit]) -> None:
    for each in reviewed:
        if each.refusal is not None:
            click.echo(annotation("error", each.refusal.reason, str(each.refusal)))


def _as_json(reviewed: Sequence[ReviewedCommit], policy: SignaturePolicy, between: tuple[Commit, Commit]) -> None:
    commits = [
        {
            "commit": each.commit,
            "signer": each.signer.name if each.signer is not None else None,
            "key": each.signer.key if each.signer is not None else None,
            "automated": each.signer is not None and each.signer.automated,
            "problem": {"reason": each.refusal.reason, "message": str(each.refusal)} if each.refusal else None,
        }
        for each in reviewed
    ]
    valid = not any(each.refusal for each in reviewed)
    base, head = between
    click.echo(
        json.dumps({"valid": valid, "policy": policy.mode, "base": base, "head": head, "commits": commits}, indent=2)
    )


FORMATS: dict[str, Callable[[Sequence[ReviewedCommit], SignaturePolicy, tuple[Commit, Commit]], None]] = {
    "text": _as_text,
    "github": _as_github,
    "json": _as_json,
}


def _summary(reviewed: Sequence[ReviewedCommit]) -> str:
    if not reviewed:
        return "no new commits"
    refused = sum(each.refusal is not None for each in reviewed)
    if refused:
        return f"{refused} of {counted(len(reviewed), 'commit')} would be refused by every gateway with this policy"
    signers = sorted({each.signer.name for each in reviewed if each.signer is not None})
    text = f"valid: {counted(len(reviewed), 'commit')}, signed by {', '.join(signers)}"
    last = reviewed[-1].signer
    if last is not None and last.automated:
        text += "; the newest is by a gateway, and counts once a person has signed the merge or a commit on top of it"
    return text
