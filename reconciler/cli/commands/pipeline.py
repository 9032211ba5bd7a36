# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pipeline`: the pipelines of this gateway, and results of inputs."""

from __future__ import annotations

import time
from pathlib import Path

import click

from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.inputs.pipeline_requests import ask_daemon
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.views.pipeline_text import listed_pipelines, ran_stages


@click.group("pipeline", cls=OrderedGroup)
def command() -> None:
    """Show the pipelines of this gateway, and run them.

    The daemon has to be running: it holds the sessions with the devices.
    """


@command.command("list")
@config_option
@output_option
def list_(config_path: Path, output: str) -> None:
    """List pipelines, and what ran their stages.

    Shows how often each device, and the gateway in its place, has run a stage.
    """
    found = ask_daemon(config_path, {})["pipelines"]
    show_result(output, found, [listed_pipelines(found)])


@command.command("run", short_help="Run one input through a pipeline")
@click.argument("name")
@click.option(
    "--input",
    "input_path",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with the bytes of the model's inputs, one after the other.",
)
@config_option
@output_option
def run(name: str, input_path: Path, config_path: Path, output: str) -> None:
    """Run one input through a pipeline, and show its result and who ran each stage.

    A stage whose device does not answer is run by a spare or by the gateway, as the pipeline's document allows. The
    result is the same in every byte.
    """
    began_s = time.monotonic()
    answer = ask_daemon(config_path, {"pipeline": name}, input_path.read_bytes())
    result = {**answer, "milliseconds": round(1000 * (time.monotonic() - began_s), 1)}
    show_result(output, result, [ran_stages(result)])
