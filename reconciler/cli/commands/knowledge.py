# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet knowledge`: what a gateway keeps of the windows of its devices, and what to do with it."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler import config
from reconciler.cli.inputs.kept_knowledge import change_knowledge, open_knowledge
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.result import print_result
from reconciler.cli.views.knowledge_text import knowledge_as_dict, knowledge_text
from reconciler.compiler.training.run_folder import forget_all_windows
from reconciler.knowledge.export import ExportFormat, export
from reconciler.model import ContestId, DeviceId


@click.group("knowledge", cls=OrderedGroup)
def command() -> None:
    """Show, copy and delete the samples that this gateway keeps.

    They are private: nothing of them is ever committed. All commands work whether the daemon runs or not.
    """


@command.command("show", short_help="Show how much is kept")
@config_option
@output_option
def show(config_path: Path, output: str) -> None:
    """Show how many windows and labels are kept for each contest, and what was lost on devices."""
    with open_knowledge(config.read(config_path)) as knowledge:
        fields = knowledge_as_dict(knowledge)
    print_result(output, fields, knowledge_text(fields))


@command.command("backup", short_help="Copy the knowledge base")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@output_option
def backup(file: Path, config_path: Path, output: str) -> None:
    """Copy the knowledge base to FILE, consistently while the daemon runs. Only you can read the copy."""
    with open_knowledge(config.read(config_path)) as knowledge:
        try:
            knowledge.copy_to(file)
        except FileExistsError as error:
            raise click.ClickException(f"{file} exists; choose another name") from error
        except OSError as error:
            raise click.ClickException(f"{file}: {error.strerror}") from error
    print_result(output, {"file": str(file)}, f"copied to {file}")


@command.command("export", short_help="Write samples as CSV, Parquet or Arrow")
@click.argument("contest")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@output_option
def export_samples(contest: str, file: Path, config_path: Path, output: str) -> None:
    """Write the samples of CONTEST to FILE, with the votes of the models and the labels of people.

    The suffix of FILE is the format: .csv, .parquet or .arrow. CSV has one column for each feature and each element of
    a window, Parquet and Arrow have lists; these two need tinyfleet[learn]. Only you can read the file.
    """
    try:
        chosen = ExportFormat(file.suffix.removeprefix("."))
    except ValueError as error:
        raise click.ClickException(f"{file} has to end in .csv, .parquet or .arrow") from error
    with open_knowledge(config.read(config_path)) as knowledge:
        try:
            count = export(knowledge, ContestId(contest), chosen, file)
        except FileExistsError as error:
            raise click.ClickException(f"{file} exists; choose another name") from error
        except OSError as error:
            raise click.ClickException(f"{file}: {error.strerror}") from error
    print_result(output, {"file": str(file), "samples": count}, f"wrote {count} samples to {file}")


@command.command("forget", short_help="Delete what a device sent")
@click.option("--device", required=True, help="The device whose samples are deleted.")
@click.confirmation_option(prompt="Samples exist nowhere else. Delete them?")
@config_option
@output_option
def forget(device: str, config_path: Path, output: str) -> None:
    """Delete all samples of a device with their votes and labels, also from the free space of the file.

    They are not fetched again. A training in progress begins again without them.
    """
    settings = config.read(config_path)
    with change_knowledge(settings) as knowledge:
        count = knowledge.forget(DeviceId(device))
    forget_all_windows(settings.state_dir)
    print_result(output, {"device": device, "deleted": count}, f"deleted {count} samples of {device}")
