# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet provenance`: what a device runs and where it comes from, verified in a clone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from reconciler.cli.inputs.name_completion import names_of
from reconciler.cli.inputs.options import FILE, output_formats
from reconciler.cli.inputs.provenance_chains import TrustedKeys, chain_reader, is_broken
from reconciler.cli.inputs.repositories import find_repository
from reconciler.cli.leaf_command import LeafCommand
from reconciler.cli.result import as_json
from reconciler.cli.terminal import print_lines
from reconciler.cli.views.provenance_text import chains_text
from reconciler.provenance.bill_of_materials import bill_of_materials
from reconciler.provenance.chain import Chain


@click.command(cls=LeafCommand)
@click.argument("name", metavar="DEVICE|MODEL@VERSION", shell_complete=names_of("Device"))
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--root", type=FILE, help="Public root key (PEM or hex). [default: root.pub.pem of the repository]")
@click.option("--gateway-key", type=FILE, help="Public key of the gateway, instead of a delegation by the root.")
@click.option("--allowed-signers", type=FILE, help="Who may sign status branches, in the format of ssh-keygen.")
@output_formats("text", "json", "cyclonedx", note="cyclonedx writes a bill of materials with a model card")
def command(  # noqa: PLR0913 - one parameter for each option
    name: str,
    path: Path,
    *,
    root: Path | None,
    gateway_key: Path | None,
    allowed_signers: Path | None,
    output: str,
) -> None:
    """Verify where the model that DEVICE runs comes from, or each artifact of MODEL@VERSION.

    Follows the chain from the report of the device to the statement that its gateway has signed, to the files of the
    commit that it was built from, and to the data that it was trained on. Works offline, in the clone at PATH with the
    status branches of the gateways. Names each link, and where the chain breaks.

    Exits with 0 if no link is broken, and with 1 otherwise.
    """
    trusted = TrustedKeys(root, gateway_key, allowed_signers)
    with chain_reader(find_repository(path), trusted) as reader:
        chains = reader.of_model(name) if "@" in name else [reader.of_device(name)]
    if output == "json":
        click.echo(as_json([_fields(chain) for chain in chains]))
    elif output == "text":
        print_lines([*chains_text(chains)])
    else:
        _print_bill(chains)
    sys.exit(1 if is_broken(chains) else 0)


def _fields(chain: Chain) -> dict[str, Any]:
    statement = chain.statement
    found: dict[str, Any] = {
        "subject": chain.subject,
        "holds": not chain.broken,
        "brokenAt": [link.name for link in chain.broken],
        "links": [link.as_dict() for link in chain.links],
    }
    if statement is not None:
        found |= {
            "model": statement.model,
            "type": statement.type,
            "pack": statement.pack_sha256,
            "commit": statement.commit,
            "builder": statement.builder,
            "recipe": statement.recipe_sha256,
            "tools": dict(statement.tools),
            "gates": [{"metric": gate.metric, "value": gate.value, "limit": gate.limit} for gate in statement.gates],
        }
    if chain.training is not None:
        found["snapshot"] = chain.training["snapshot"]["sha256"]
    return found


def _print_bill(chains: Sequence[Chain]) -> None:
    """Print the bill of materials of what is verified; say what is not."""
    whole = [chain for chain in chains if not chain.broken and chain.statement is not None]
    broken = [chain for chain in chains if chain.broken]
    if broken:
        print_lines([*chains_text(broken)], stderr=True)
    if whole:
        click.echo(as_json(bill_of_materials(whole)))
