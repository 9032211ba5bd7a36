# SPDX-License-Identifier: Apache-2.0
"""The build cuts a network for the devices of its pipeline: every stage of it finds the same cuts, and fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.zoo import Chain
from reconciler.compiler.build_result import BuildResult
from reconciler.compiler.errors import BuildFailed, NoPlacement
from reconciler.compiler.recipe import Recipe, recipe_from_json
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.sandbox import BuildJob, run_job
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.model import AutomaticCut, LayerSplit, PipelineObjective, StagePlace, TypeId
from tests.compiler.recipes import TARGET, Files
from tests.pipeline.networks import branched

MODEL = branched()
TYPE = replace(TARGET, operators=(*TARGET.operators, "STAGE"), architecture="cortex-m4")
PLACE = StagePlace(
    TypeId(TYPE.name), "cortex-m4", TYPE.slot_bytes, TYPE.arena_bytes, TYPE.operators, TYPE.pack_format, "25"
)


def whole_bytes() -> int:
    network = CutNetwork(MODEL)
    return len(network.stage(0, network.operators, DeviceLimits()).data)


def recipes(
    *places: StagePlace, objective: PipelineObjective = PipelineObjective.LATENCY
) -> tuple[Files, list[Recipe]]:
    files = Files()
    source = files.add("m.tflite", MODEL)
    cuts = [AutomaticCut(number, places, objective) for number in range(1, len(places) + 1)]
    targets = [replace(TYPE, slot_bytes=place.slot_bytes) for place in places]
    return files, [Recipe("m@1", source, target, cut=cut) for target, cut in zip(targets, cuts, strict=True)]


def built(*places: StagePlace, objective: PipelineObjective = PipelineObjective.LATENCY) -> list[BuildResult]:
    files, made = recipes(*places, objective=objective)
    return [run_job(BuildJob(recipe_from_json(recipe.to_json()), files.by_digest)) for recipe in made]


def test_stages_that_are_cut_automatically_equal_the_oracle() -> None:
    small = replace(PLACE, slot_bytes=whole_bytes() - 1)  # the network as a whole does not fit one device
    stages = built(small, small)
    figures = [stage.report.figures for stage in stages]
    assert figures[0]["first_operator"] == 0
    assert figures[0]["end_operator"] == figures[1]["first_operator"]
    network = CutNetwork(MODEL)
    assert figures[1]["end_operator"] == network.operators
    given = np.random.default_rng(4).bytes(8 * 8 * 3)
    tensors = {network.inputs[0]: given}
    for stage, figure in zip(stages, figures, strict=True):
        assert len(stage.pack) <= small.slot_bytes
        taken, made = (
            [int(figure[f"{side}_tensor_{n}"]) for n in range(sum(k.startswith(f"{side}_tensor_") for k in figure))]
            for side in ("input", "output")
        )
        assert sum(len(tensors[index]) for index in taken) == figure["input_0_bytes"] + figure.get("input_1_bytes", 0)
        tensors.update(
            zip(made, ReferenceInterpreter(stage.pack).run([tensors[i] for i in taken]).outputs, strict=True)
        )
    expected = Oracle(MODEL).run([np.frombuffer(given, np.int8)])[0].astype(np.int8).tobytes()
    assert tensors[network.outputs[0]] == expected


def test_each_objective_has_its_own_cuts() -> None:
    ends = {
        objective: built(PLACE, PLACE, objective=objective)[0].report.figures["end_operator"]
        for objective in PipelineObjective
    }
    assert len(set(ends.values())) == 2


def test_a_slow_line_moves_the_cut_to_fewer_bytes() -> None:
    slow = replace(PLACE, line="ttyS0", baud=2400)
    moved = [
        sum(
            value
            for name, value in stage.report.figures.items()
            if name.startswith(("input_", "output_")) and name.endswith("_bytes")
        )
        for stage in built(slow, slow)
    ]
    network = CutNetwork(MODEL)
    crossing = min(boundary.bytes for boundary in network.anatomy("cortex-m4", DeviceLimits(), 1 << 30).boundaries)
    assert sum(moved) == 8 * 8 * 3 + 2 * crossing + 5


def test_a_better_order_of_the_devices_is_noted() -> None:
    files, (first, _) = recipes(replace(PLACE, clock="1"), replace(PLACE, clock="200"))
    notes = run_job(BuildJob(first, files.by_digest)).report.notes
    assert any("is possible with the same devices" in note for note in notes)


def test_why_no_cut_fits_is_explained() -> None:
    files, (first, _) = recipes(PLACE, replace(PLACE, operators=("ADD",)))
    with pytest.raises(NoPlacement, match="stage 2"):
        run_job(BuildJob(first, files.by_digest))
    tight = replace(PLACE, slot_bytes=1000)
    files, (first, _) = recipes(tight, tight)
    with pytest.raises(NoPlacement, match=r"at most \d of the 9 operators"):
        run_job(BuildJob(first, files.by_digest))


def test_a_layer_that_fits_no_device_is_built_in_parts() -> None:
    net = Chain(12)
    first = net.tensor([1, 96], 0.04, 5)
    model = net.model.finish([first], [net.dense(net.dense(first, 96), 8, relu=0)])
    files = Files()
    source = files.add("m.tflite", model)
    place = replace(PLACE, slot_bytes=8192, operators=("FULLY_CONNECTED", "CONCATENATION", "STAGE"))
    target = replace(TYPE, slot_bytes=8192, operators=place.operators)
    whole, parts = (
        [Recipe("m@1", source, target, cut=AutomaticCut(number, (place, place), split=split)) for number in (1, 2)]
        for split in ((), (LayerSplit.CHANNELS,))
    )
    with pytest.raises(NoPlacement):
        run_job(BuildJob(recipe_from_json(whole[0].to_json()), files.by_digest))
    results = [run_job(BuildJob(recipe_from_json(recipe.to_json()), files.by_digest)) for recipe in parts]
    assert all(len(result.pack) <= place.slot_bytes for result in results)
    assert any("is computed in 2 parts" in note for note in results[0].report.notes)
    assert whole[0].digest != parts[0].digest


def test_a_clock_that_is_no_number_fails_the_build() -> None:
    files, (first, _) = recipes(PLACE, replace(PLACE, clock="fast"))
    with pytest.raises(BuildFailed, match="not a number of MHz"):
        run_job(BuildJob(first, files.by_digest))
