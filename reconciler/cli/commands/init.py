# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet init`: create a fleet repository that validates, with signers and CI set up."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click
import git
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.scaffold import TO_GATEWAY, AllowedSigner, repository
from reconciler.errors import Unusable

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SIGNER = re.compile(r"[^\s\",*?!]+")  # neither a pattern nor a list: one person for each line
BRANCH = "main"


class CannotInit(Unusable):
    """The repository cannot be created there."""

    reason = "CannotInit"


def _name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not NAME.fullmatch(value):
        raise click.BadParameter(
            f"{value!r}: use up to 63 lower-case letters, digits and hyphens; start and end with a letter or digit"
        )
    return value


def _signers(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[Path, AllowedSigner], ...]:
    return tuple(_signer(value) for value in values)


def _signer(value: str) -> tuple[Path, AllowedSigner]:
    name, found, path = value.partition("=")
    if not found or not SIGNER.fullmatch(name):
        raise click.BadParameter(f"{value!r} is not NAME=KEY.pub, such as ada@example.org=id_ed25519.pub")
    file = Path(path).expanduser()
    try:
        text = file.read_bytes()
        load_ssh_public_key(text)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise click.BadParameter(
            f"{path} is not an SSH public key; give the .pub file, whose content starts with ssh-"
        ) from error
    kind, key = text.decode("ascii").split()[:2]
    return file, AllowedSigner(name, f"{kind} {key}")


@click.command(cls=LeafCommand)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", "fleet", metavar="NAME", callback=_name, help="Name of the fleet. [default: the name of DIR]")
@click.option(
    "--gateway",
    metavar="NAME",
    default="gateway-1",
    show_default=True,
    callback=_name,
    help="Name of the first gateway.",
)
@click.option(
    "--signer",
    "signers",
    multiple=True,
    callback=_signers,
    metavar="NAME=KEY.pub",
    help="Person who may sign commits, with an SSH public key. Repeatable.",
)
def command(folder: Path, fleet: str | None, gateway: str, signers: tuple[tuple[Path, AllowedSigner], ...]) -> None:
    """Create a fleet repository in DIR.

    DIR must be empty, a clone of an empty repository, or must not exist. The repository has a gateway, one virtual
    device, a small model, a rollout, and CI for GitHub and GitLab. It passes `tinyfleet validate` and builds at once.
    With --signer, Git signs commits with the first of these keys, and to-gateway/allowed_signers lists them all.
    """
    name = fleet or folder.resolve().name
    if not NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} cannot be the name of a fleet; choose one with --name")
    if folder.is_dir() and any(child.name != ".git" for child in folder.iterdir()):
        raise CannotInit(f"{folder} is not empty; choose an empty folder")
    _write(folder, repository(name, gateway, tuple(signer for _, signer in signers)))
    own = _git(folder, signers[0][0] if signers else None)
    click.echo(f"created {folder}: fleet {name}, gateway {gateway}")
    click.echo(_next(folder, signed=bool(signers), own=own))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise CannotInit(f"cannot write {error.filename}: {error.strerror}") from error


def _git(folder: Path, key: Path | None) -> bool:
    """Create a Git repository whose commits are signed; inside another repository, change nothing."""
    try:
        with git.Repo(folder, search_parent_directories=True) as around:
            own = around.working_tree_dir is not None and Path(around.working_tree_dir) == folder.resolve()
    except git.InvalidGitRepositoryError:
        _run(folder, "init", "--quiet", f"--initial-branch={BRANCH}")
        own = True
    if own and key is not None:
        for setting, value in {
            "gpg.format": "ssh",
            "user.signingKey": str(key.absolute()),
            "commit.gpgSign": "true",
            "gpg.ssh.allowedSignersFile": str(folder.absolute() / TO_GATEWAY / "allowed_signers"),
        }.items():
            _run(folder, "config", setting, value)
    return own


def _run(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise CannotInit("git is not installed; install it and run the command again") from missing
    except subprocess.CalledProcessError as failed:
        raise CannotInit(f"`git {arguments[0]}` failed: {failed.stderr.strip()}") from failed


def _next(folder: Path, *, signed: bool, own: bool) -> str:
    """Return the next steps."""
    lines = [
        f"  cd {folder}",
        "  tinyfleet validate && tinyfleet plan",
        "  git add . && git commit -m 'Create the fleet'",
    ]
    if not signed:
        lines.append(
            f'  list who may sign commits in {TO_GATEWAY}/allowed_signers, as `NAME namespaces="git" KEY` (docs/git.md)'
        )
    if not own:
        lines.append("  the fleet is in an existing repository: set [repository] path in gateway.toml")
    lines.append(f"  complete {TO_GATEWAY}/gateway.toml and copy {TO_GATEWAY}/ to /etc/tinyfleet on the gateway")
    return "\n".join(["Next:", *lines])
