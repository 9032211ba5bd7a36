# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet provision`: write the initial flash content of a device, and propose its public key for Git."""

from __future__ import annotations

import difflib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from reconciler.cli import micropython_folder
from reconciler.cli.inputs.artifact_store import default_store, store_option
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import FILE, out_option, output_option
from reconciler.cli.inputs.signing_errors import translated
from reconciler.cli.interruption import ended_by_one_interrupt
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.problem_report import problem_lines
from reconciler.cli.result import print_result
from reconciler.cli.terminal import terminal_width
from reconciler.cli.verbosity import note
from reconciler.cli.views.table import table
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.recipe import recipe_of
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import fetcher
from reconciler.devices import flash_files, initial_flash_content
from reconciler.devices.esp_flasher import Wiring, write
from reconciler.devices.initial_flash_content import FlashPiece, NotProvisionable
from reconciler.errors import Invalid
from reconciler.git.proposal import ProposalFailed, ProposalRepository
from reconciler.load import DirectoryTree, load
from reconciler.load.scalar_edit import defines, with_scalars
from reconciler.model import Commit, Desired, Device, DeviceId, DeviceType, FlashMap, Runtime
from signing import key_files, keys
from signing.identifiers import key_id

YAML = (".yaml", ".yml")
SEED_BYTES = 32


@click.command(cls=LeafCommand)
@click.argument("device", type=DeviceId, shell_complete=names_of("Device"))
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--root", type=FILE, help="Public root key (PEM or hex) that the device will trust.")
@click.option("--port", metavar="PORT", help="Write to the chip on this serial port (or socket://, rfc2217://).")
@out_option("Write to a new file instead of a chip: .hex is Intel HEX, .uf2 is UF2, anything else has the bytes only.")
@click.option("--whole", is_flag=True, help="With --out: write the whole flash, not only the provisioned region.")
@click.option(
    "--broker", metavar="HOST[:PORT]", help="For MicroPython over MQTT: the broker that the device connects to."
)
@click.option("--dry-run", is_flag=True, help="Show the flash map, and create no key.")
@click.option("--commit", is_flag=True, help="Commit the public key to the branch provision/DEVICE.")
@store_option
@click.option(
    "--baud", type=click.IntRange(9600, 4000000), default=115200, show_default=True, help="Baud rate for writing."
)
@output_option
@click.option("--no-stub", is_flag=True, help="Use the boot loader in ROM: slower, but it needs no RAM.")
def command(  # noqa: PLR0913 - one parameter for each option
    device: DeviceId,
    path: Path,
    *,
    root: Path | None,
    port: str | None,
    out: Path | None,
    whole: bool,
    broker: str | None,
    dry_run: bool,
    commit: bool,
    store: str | None,
    baud: int,
    no_stub: bool,
    output: str,
) -> None:
    """Write the initial flash content of DEVICE, as the fleet repository in PATH describes it.

    The device gets its identity, a new private key, the public root key and the pre-baked models of its type; its
    journal is erased. For a type with runtime micropython, --out is a new folder, which mpremote copies to the board.
    The public key is printed as a patch for the repository, or committed with --commit. The command
    can be repeated after a failure: each run creates a new key, and the last one counts.
    """
    if [dry_run, port is not None, out is not None].count(True) != 1:
        raise click.UsageError("give exactly one of --port, --out and --dry-run")
    if root is None and not dry_run:
        raise click.UsageError("--root is required: the public key that the device will trust")
    desired = _desired(path)
    require_known("device", device, desired.devices)
    described = desired.devices[device]
    kind = desired.types[described.type]
    with ended_by_one_interrupt():
        packs = _packs(path, desired, described, store)
    initial_flash_content.check(kind, packs)
    in_python = kind.runtime is Runtime.MICROPYTHON
    if in_python and (port is not None or whole):
        raise NotProvisionable(f"device type {kind.name} runs MicroPython: use --out, and copy the folder to the board")
    settings = micropython_folder.settings_of(described, broker) if in_python and not dry_run else {}
    fields, flash_map = _folder_map(kind, packs) if in_python else _flash_map(kind, packs)
    fields |= {"device": device}
    if dry_run or root is None:
        print_result(output, fields, flash_map)
        return
    note(flash_map)
    # Before a key is created: problems of the repository must show now.
    edit = _PublicKeyEdit(path, described, commit=commit)
    with translated():
        root_public = keys.read_public_key(root)
    identity = initial_flash_content.identity_of(desired, described, root_public, secrets.token_bytes(SEED_BYTES))
    region = initial_flash_content.region_of(identity, () if in_python else packs)
    if out is not None and in_python:
        with translated():
            content = micropython_folder.folder_files(identity, kind, packs, settings)
            micropython_folder.write_folder(out, content)
    elif out is not None:
        _write_file(out, region, kind.flash, whole=whole)
    else:
        pieces, chip = _for_chip(kind.flash, region, described)
        _write_chip(Wiring(port or "", baud, stub=not no_stub), chip, pieces)
    note(f"provisioned {device}: key {key_id(identity.public).hex()}")
    proposal, text = edit.propose(identity.public)
    fields |= {"keyId": key_id(identity.public).hex(), "publicKey": identity.public.hex(), **proposal}
    print_result(output, fields, text)


def _flash_map(kind: DeviceType, packs: Sequence[bytes]) -> tuple[dict[str, object], str]:
    """Describe what is written where, as fields and as text."""
    rows = list(initial_flash_content.map_of(kind, kind.prebaked, packs))
    cells = [(f"{row.offset:#010x}", str(row.length), row.what) for row in rows]
    text = "\n".join(line.plain for line in table(("offset", "bytes", "content"), cells, terminal_width()))
    return {"flashMap": [{"offset": row.offset, "bytes": row.length, "content": row.what} for row in rows]}, text


def _folder_map(kind: DeviceType, packages: Sequence[bytes]) -> tuple[dict[str, object], str]:
    """Describe the files for a board with MicroPython, as fields and as text."""
    rows = micropython_folder.map_of(kind.prebaked, packages)
    cells = [(row.path, str(row.length), row.what) for row in rows]
    text = "\n".join(line.plain for line in table(("path", "bytes", "content"), cells, terminal_width()))
    return {"files": [{"path": row.path, "bytes": row.length, "content": row.what} for row in rows]}, text


def _desired(path: Path) -> Desired:
    tree = DirectoryTree(path)
    loaded = load(tree, commit=Commit(""))
    if loaded.desired is None:
        problems = "\n".join(problem_lines(loaded.errors, tree))
        raise Invalid(f"the fleet repository has errors:\n{problems}")
    return loaded.desired


def _packs(path: Path, desired: Desired, device: Device, store: str | None) -> list[bytes]:
    """Build the pre-baked models, or take them from the store."""
    kind, tree = desired.types[device.type], DirectoryTree(path)
    service = BuildService(ArtifactStore(store or default_store()))
    try:
        models = [desired.models[ref] for ref in kind.prebaked]
        return [service.build(recipe_of(model, kind), fetcher(model, tree)).pack for model in models]
    finally:
        service.close()


def _write_file(path: Path, region: bytes, flash: FlashMap | None, *, whole: bool) -> None:
    content = _file_content(path.suffix, region, flash, whole=whole)
    with translated():  # the file contains the device's private key
        key_files.write_private(path, content)


def _file_content(suffix: str, region: bytes, flash: FlashMap | None, *, whole: bool) -> bytes:
    """Return what a file with this suffix contains: Intel HEX, UF2, or the bytes of flash as they are."""
    stated = suffix in {".hex", ".uf2"}
    if flash is None and (whole or stated):
        what = f"address of a {suffix} file" if stated else "size of the whole flash"
        raise NotProvisionable(f"the device type has no `flash`, so the {what} is unknown")
    if flash is None:
        return region
    if stated and whole:
        raise NotProvisionable(f"a {suffix} file states addresses: leave out --whole")
    if suffix == ".hex":
        return flash_files.intel_hex(initial_flash_content.pieces_of(flash, region), flash.address)
    if suffix == ".uf2" and flash.uf2_family is None:
        raise NotProvisionable("the device type has no `flash.uf2Family`, so no UF2 file can be written")
    if suffix == ".uf2" and flash.uf2_family is not None:
        return flash_files.uf2(initial_flash_content.pieces_of(flash, region), flash.address, flash.uf2_family)
    return initial_flash_content.whole(flash, region) if whole else region


def _for_chip(flash: FlashMap | None, region: bytes, device: Device) -> tuple[Sequence[FlashPiece], str]:
    if flash is None or flash.chip is None:
        raise NotProvisionable(f"device type {device.type} has no `flash.chip`, so esptool cannot write it; use --out")
    return initial_flash_content.pieces_of(flash, region), flash.chip


def _write_chip(wiring: Wiring, chip: str, pieces: Sequence[FlashPiece]) -> None:
    columns = (TextColumn("{task.description:12}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {piece.name: bars.add_task(piece.name, total=None) for piece in pieces}
        write(wiring, chip, pieces, lambda name, done, total: bars.update(tasks[name], completed=done, total=total))


class _PublicKeyEdit:
    """The change of one file of the fleet repository that adds the public key of a device."""

    def __init__(self, path: Path, device: Device, *, commit: bool) -> None:
        self._device = device
        self._name, self._before = self._file(path)
        self._worktree = ProposalRepository(path) if commit else None
        if self._worktree and self._worktree.read_committed(self._name) != self._before:
            raise ProposalFailed(f"{self._name} has uncommitted changes; commit or stash them first")
        self._after(bytes(32))
        if device.public_key is not None:
            click.echo(f"warning: {device.name} already has a key in Git; the new key replaces it", err=True)

    def _file(self, path: Path) -> tuple[str, bytes]:
        tree = DirectoryTree(path)
        for entry in tree.entries():
            if entry.path.endswith(YAML):
                data = tree.read(entry)
                if self._device.name.encode() in data and defines(data, "Device", self._device.name):
                    return entry.path, data
        raise NotProvisionable(f"no file defines the device {self._device.name}")

    def _after(self, public_key: bytes) -> bytes:
        return with_scalars(self._before, "Device", self._device.name, {("spec", "publicKey"): public_key.hex()})

    def propose(self, public_key: bytes) -> tuple[dict[str, object], str]:
        """Commit the public key, or write a patch; return what was done as fields and as text."""
        after = self._after(public_key)
        if self._worktree is None:
            patch = _patch(self._name, self._before.decode(), after.decode())
            return {"patch": patch}, patch.removesuffix("\n")
        branch = f"provision/{self._device.name}"
        message = f"provision {self._device.name} with the key {key_id(public_key).hex()}"
        made = self._worktree.propose(branch, message, {self._name: after})
        text = f"committed {made} on {branch}; push the branch and open a pull request"
        return {"commit": made, "branch": branch}, text


def _patch(name: str, before: str, after: str) -> str:
    """Return a patch for `git apply`."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
