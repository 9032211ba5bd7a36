# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet provision`: write the initial flash content of a device, and propose its public key for Git."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn

from reconciler.cli import micropython_folder
from reconciler.cli.inputs.artifact_store import default_store, store_option
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import FILE, out_option, output_option
from reconciler.cli.inputs.signing_errors import translated
from reconciler.cli.interruption import ended_by_one_interrupt
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.problem_report import problem_lines
from reconciler.cli.public_key_edits import PublicKeyEdits
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
from reconciler.load import DirectoryTree, load
from reconciler.model import Commit, Desired, Device, DeviceId, DeviceType, FlashMap, Runtime, TypeId
from signing import key_files, keys
from signing.identifiers import key_id

SEED_BYTES = 32
_BATCH_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class _Batch:
    """A file that names devices, and what is done for each of them."""

    file: Path
    path: Path
    root: Path
    out: str  # with {device}
    store: str | None
    commit: bool


@click.command(cls=LeafCommand)
@click.argument("device", type=DeviceId, shell_complete=names_of("Device"), required=False)
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option(
    "--batch", type=FILE, help="Provision the devices that this file names, one a line; PATH is then the only argument."
)
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
    device: DeviceId | None,
    path: Path,
    *,
    batch: Path | None,
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

    With --batch, --out names a file for each device, such as flash/{device}.hex, and all public keys are in one patch
    or commit.
    """
    if batch is not None:
        if out is None or root is None or path != Path() or dry_run or port is not None or broker or whole:
            raise click.UsageError(
                "--batch takes PATH, --root and --out, and of the other options --commit and --store"
            )
        _provision_batch(_Batch(batch, Path(device or "."), root, str(out), store, commit), output)
        return
    if device is None:
        raise click.UsageError("name a device, or a file of devices with --batch")
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
    edits = PublicKeyEdits(path, [described], commit=commit)
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
    proposal, text = edits.propose({device: identity.public})
    fields |= {"keyId": key_id(identity.public).hex(), "publicKey": identity.public.hex(), **proposal}
    print_result(output, fields, text)


def _provision_batch(batch: _Batch, output: str) -> None:
    """Write a file for each device that a file names, and propose all public keys together."""
    if "{device}" not in batch.out:
        raise click.UsageError("with --batch, --out must contain {device}")
    if not batch.path.is_dir():
        raise click.UsageError(f"there is no folder {batch.path}")
    if _BATCH_NAME.fullmatch(batch.file.stem) is None:
        raise click.UsageError(f"{batch.file.name} names a branch: use lower-case letters, digits and hyphens")
    desired = _desired(batch.path)
    devices = [desired.devices[name] for name in _names(batch.file, desired)]
    packs: dict[TypeId, list[bytes]] = {}
    for device in devices:
        kind = desired.types[device.type]
        if kind.runtime is Runtime.MICROPYTHON:
            raise NotProvisionable(f"{device.name} runs MicroPython: provision it alone")
        if device.type not in packs:
            packs[device.type] = _packs(batch.path, desired, device, batch.store)
            initial_flash_content.check(kind, packs[device.type])
    files = {device.name: Path(batch.out.replace("{device}", device.name)) for device in devices}
    for file in files.values():
        if file.exists():
            raise NotProvisionable(f"{file} exists already, and is never overwritten")
    edits = PublicKeyEdits(batch.path, devices, commit=batch.commit)
    with translated():
        root_public = keys.read_public_key(batch.root)
    made: dict[DeviceId, bytes] = {}
    columns = (TextColumn("provisioning"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        for device in bars.track(devices):
            identity = initial_flash_content.identity_of(desired, device, root_public, secrets.token_bytes(SEED_BYTES))
            region = initial_flash_content.region_of(identity, packs[device.type])
            _write_file(files[device.name], region, desired.types[device.type].flash, whole=False)
            made[device.name] = identity.public
    proposal, text = edits.propose(made, batch.file.stem)
    written = [
        {"device": name, "file": str(files[name]), "keyId": key_id(public).hex(), "publicKey": public.hex()}
        for name, public in made.items()
    ]
    print_result(output, {"devices": written, **proposal}, text)


def _names(batch: Path, desired: Desired) -> list[DeviceId]:
    lines = (line.partition("#")[0].strip() for line in batch.read_text(encoding="utf-8").splitlines())
    names = [DeviceId(line) for line in lines if line]
    for name in names:
        require_known("device", name, desired.devices)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise NotProvisionable(
            f"{batch.name} names {', '.join(twice)} twice" if twice else f"{batch.name} names no device"
        )
    return names


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
