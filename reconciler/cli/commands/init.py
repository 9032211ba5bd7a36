# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet init`: a new fleet repository that validates, with trust and CI set up."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click
import git
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from reconciler.cli.scaffold import TO_GATEWAY, AllowedSigner, repository
from reconciler.errors import Unusable

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
SIGNER = re.compile(r"[^\s\",*?!]+")  # no pattern and no list: one person a line
BRANCH = "main"


class CannotInit(Unusable):
    """The repository can't be made there."""

    reason = "CannotInit"


def _name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not NAME.fullmatch(value):
        raise click.BadParameter(
            f"{value!r}: lower-case letters, digits and hyphens, at most 63, with a letter or digit at both ends"
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
        raise click.BadParameter(f"{path} is no SSH public key: it ends with .pub and begins with ssh-") from error
    kind, key = text.decode("ascii").split()[:2]
    return file, AllowedSigner(name, f"{kind} {key}")


@click.command("init", short_help="Begin a fleet repository")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", "fleet", callback=_name, help="The fleet's name; that of DIR, if not given.")
@click.option("--gateway", default="gateway-1", show_default=True, callback=_name, help="The first gateway's name.")
@click.option(
    "--signer",
    "signers",
    multiple=True,
    callback=_signers,
    metavar="NAME=KEY.pub",
    help="Whose commits count: a name and an SSH public key. May be given again.",
)
def command(folder: Path, fleet: str | None, gateway: str, signers: tuple[tuple[Path, AllowedSigner], ...]) -> None:
    """Begin a fleet repository in DIR, which must be empty or not there; a clone of an empty repository is fine too.

    It has a gateway, one virtual device, a small model with its data, a rollout, and CI for GitHub and GitLab, and
    `tinyfleet validate` has nothing to say against it. With --signer, commits in it are signed by the first of these
    keys, and to-gateway/allowed_signers names them all.
    """
    name = fleet or folder.resolve().name
    if not NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} can't be a fleet's name: give one with --name")
    if folder.is_dir() and any(child.name != ".git" for child in folder.iterdir()):
        raise CannotInit(f"{folder} is not empty")
    _write(folder, repository(name, gateway, tuple(signer for _, signer in signers)))
    own = _git(folder, signers[0][0] if signers else None)
    click.echo(f"{folder} is the beginning of the fleet {name}, served by the gateway {gateway}")
    click.echo(_next(folder, signed=bool(signers), own=own))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise CannotInit(f"{error.filename} can't be written: {error.strerror}") from error


def _git(folder: Path, key: Path | None) -> bool:
    """Make it a repository whose commits are signed; below another one nothing is changed."""
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


def _run(folder: Path, *words: str) -> None:
    try:
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise CannotInit("git is not installed") from missing
    except subprocess.CalledProcessError as failed:
        raise CannotInit(f"`git {words[0]}` failed: {failed.stderr.strip()}") from failed


def _next(folder: Path, *, signed: bool, own: bool) -> str:
    """Tell what to do now."""
    lines = [
        f"  cd {folder}",
        "  tinyfleet validate && tinyfleet plan",
        "  git add . && git commit -m 'Begin the fleet'",
    ]
    if not signed:
        lines.append(
            f'  who may sign commits: `NAME namespaces="git" KEY` lines in {TO_GATEWAY}/allowed_signers (docs/git.md)'
        )
    if not own:
        lines.append("  it lies in a repository that was there before: set [repository] path in gateway.toml")
    lines.append(f"  {TO_GATEWAY}/ is for the gateway: complete gateway.toml and copy it to /etc/tinyfleet there")
    return "\n".join(["next:", *lines])
