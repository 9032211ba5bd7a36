# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet pipeline`: the pipelines of this gateway, and results of inputs."""

from __future__ import annotations

import time
from pathlib import Path

import click

from reconciler.cli.inputs.artifact_store import default_store, store_option
from reconciler.cli.inputs.known_names import require_known
from reconciler.cli.inputs.options import config_option, output_option
from reconciler.cli.inputs.pipeline_requests import ask_daemon
from reconciler.cli.inputs.repositories import open_tree
from reconciler.cli.inputs.status_overviews import pipelines
from reconciler.cli.interruption import ended_by_one_interrupt
from reconciler.cli.ordered_group import OrderedGroup
from reconciler.cli.problem_report import report_problems
from reconciler.cli.tables_or_json import show_result
from reconciler.cli.verbosity import progress_printer
from reconciler.cli.views.pipeline_explained import explained_pipeline, explanation_as_dict
from reconciler.cli.views.pipeline_json import forecast_as_dict
from reconciler.cli.views.pipeline_text import cut_pipeline, listed_pipelines, ran_stages, shown_pipeline
from reconciler.compiler.artifact_store import ArtifactStore
from reconciler.compiler.service import BuildService
from reconciler.compiler.source_fetcher import fetcher
from reconciler.load import load
from reconciler.model import PipelineId
from reconciler.review.pipeline_explanation import explain_pipeline


@click.group("pipeline", cls=OrderedGroup)
def command() -> None:
    """Show the pipelines of this gateway, and run them.

    For `list` and `run` the daemon has to be running: it holds the sessions with the devices.
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


@command.command("show", short_help="Show one pipeline: its conditions, and who runs its stages")
@click.argument("name")
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@config_option
@output_option
def show(name: str, path: Path | None, config_path: Path, output: str) -> None:
    """Show one pipeline: whether it is cut, delivered and served, and who runs each stage.

    Uses the status branches of a clone at PATH, or without one this gateway (--config), with the newest figures if
    its daemon runs.
    """
    found = pipelines.named(name, path, config_path)
    drawn = (part for each in found for part in shown_pipeline(each))
    show_result(output, [each.as_dict() for each in found], drawn)


@command.command("explain", short_help="Explain who runs each stage and why, and what to do")
@click.argument("name")
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@config_option
@output_option
def explain(name: str, path: Path | None, config_path: Path, output: str) -> None:
    """Explain who runs each stage of a pipeline and why, and what to do if that is not its first device.

    Uses the status branches of a clone at PATH, or without one this gateway (--config), with the newest figures if
    its daemon runs.
    """
    found = [
        (each, explain_pipeline(each.figures, each.status.conditions))
        for each in pipelines.named(name, path, config_path)
    ]
    drawn = (part for each, why in found for part in explained_pipeline(each, why))
    show_result(output, [explanation_as_dict(each, why) for each, why in found], drawn)


@command.command("run", short_help="Run one input through a pipeline")
@click.argument("name")
@click.option(
    "--input",
    "input_path",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with the bytes of the model's inputs, one after the other.",
)
@click.option("--compare", is_flag=True, help="Also run the model in one piece on this machine, and compare.")
@config_option
@output_option
@click.pass_context
def run(  # noqa: PLR0913 (one parameter for each option)
    context: click.Context, name: str, input_path: Path, config_path: Path, output: str, *, compare: bool
) -> None:  # fmt: skip
    """Run one input through a pipeline, and show its result and who ran each stage.

    A stage whose device does not answer is run by a spare or by the gateway, as the pipeline's document allows. The
    result is the same in every byte, unless it is that of a `fallback`.

    With --compare, exits with 1 if the model in one piece gives other bytes.
    """
    data = input_path.read_bytes()
    began_s = time.monotonic()
    answer = ask_daemon(config_path, {"pipeline": name}, data)
    result = {**answer, "milliseconds": round(1000 * (time.monotonic() - began_s), 1)}
    if compare:
        from reconciler.cli.inputs.whole_model import WholeModel  # noqa: PLC0415 - slow to import, only for this

        outputs, took_s = WholeModel(name, config_path).run(data)
        equal = outputs.hex() == result["outputs"]
        result |= {"compared": outputs.hex(), "equal": equal, "comparedMilliseconds": round(1000 * took_s, 1)}
    show_result(output, result, [ran_stages(result)])
    context.exit(int(not result.get("equal", True)))


@command.command("cut", short_help="Build the stages of a pipeline, and show what they need")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".")
@click.option("--commit", "revision", metavar="REV", help="Build from this commit instead of the files in PATH.")
@store_option
@output_option
@click.pass_context
def cut(  # noqa: PLR0913 (one parameter for each option)
    context: click.Context, name: str, path: Path, *, revision: str | None, store: str | None, output: str
) -> None:  # fmt: skip
    """Build the stages of a pipeline of the fleet repository in PATH, and show where its model is cut.

    Shows what each stage needs of its devices, the predicted times, and what the death of each device would cost.
    The daemon and devices are not asked. Exits with 1 if a stage can't be built.
    """
    from reconciler.cli.inputs.stage_builds import forecast_from, stage_results  # noqa: PLC0415 - slow to import

    service = BuildService(ArtifactStore(store or default_store()))
    with open_tree(path, revision) as (tree, commit), ended_by_one_interrupt():
        loaded = load(tree, commit=commit)
        if loaded.desired is None:
            report_problems(loaded.errors, tree)
            context.exit(1)
        desired = loaded.desired
        require_known("pipeline", name, desired.pipelines)
        pipeline = desired.pipelines[PipelineId(name)]
        results = stage_results(
            desired,
            pipeline,
            lambda model, recipe: service.build(recipe, fetcher(model, tree), progress_printer(f"{model.ref}: ")),
        )
    service.close()
    found = forecast_from(desired, pipeline, results)
    notes = list(dict.fromkeys(note for each in results if each is not None for note in each.report.notes))
    show_result(output, {**forecast_as_dict(found), "notes": notes}, cut_pipeline(found, notes))
