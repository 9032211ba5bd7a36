# SPDX-License-Identifier: Apache-2.0
"""Completes the names of devices, models, rollouts and gateways in a shell.

The names come from the fleet repository that the command line names, or from the working directory. Without one they
come from the state of this gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click

from reconciler.cli.inputs.working_tree import yaml_files
from reconciler.errors import FleetError

GATEWAY_FOLDERS = {"Device": "devices", "Rollout": "rollouts"}  # of the status files in the database

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def names_of(kind: str) -> Complete:
    """Return what completes the name of a document of this kind."""

    def complete(context: click.Context, _parameter: click.Parameter, start: str) -> list[str]:
        folder = context.params.get("path") or Path()
        try:
            found = set(_in_repository(folder, kind)) or set(_on_gateway(context.params.get("config_path"), kind))
        except (FleetError, OSError):
            return []  # a shell has no place for an error
        return sorted(name for name in found if name.startswith(start))

    return complete


def _in_repository(folder: Path, kind: str) -> Iterator[str]:
    if not any((folder / name).exists() for name in (".git", "fleet.yaml")):
        return  # not the top of a fleet repository: it may be a home folder with a million files
    from reconciler.load.document_check import check_file  # noqa: PLC0415 - slow to import

    marker = f"kind: {kind}".encode()
    for path in yaml_files(folder):
        data = path.read_bytes()
        if marker in data:
            checked, _ = check_file(data)
            yield from (str(each.key) for each in checked.documents if each.kind == kind)


def _on_gateway(config_path: Path | None, kind: str) -> Iterator[str]:
    if config_path is None or kind not in GATEWAY_FOLDERS or not config_path.exists():
        return
    from reconciler import config  # noqa: PLC0415 - slow to import
    from reconciler.daemon.gateway_overview import recorded_state  # noqa: PLC0415 - as above

    prefix = f"{GATEWAY_FOLDERS[kind]}/"
    with recorded_state(config.read(config_path).state_dir) as state:
        for name in state.status_files(prefix):
            yield name.removeprefix(prefix).removesuffix(".yaml")
