# SPDX-License-Identifier: Apache-2.0
"""The arena, the scaling of dense layers, the container, parameters and metrics, each on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.zoo import ZOO
from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.evaluation.cost_model import estimate
from reconciler.compiler.evaluation.metrics import METRICS, Evaluation, auc_of, measure
from reconciler.compiler.pack.checker import check_pack
from reconciler.compiler.pack.decision_head import DecisionMode
from reconciler.compiler.pack.fixed_point import oracle_scaled, solve_single_rounding, sr
from reconciler.compiler.pack.inspect import inspect_pack
from reconciler.compiler.pack.pack_format import (
    Parameter,
    ParameterEncoding,
    SectionId,
    assemble,
    disassemble,
    name_hash,
)
from reconciler.compiler.pack.parameter_encoding import encode_values
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from reconciler.compiler.tflite.arena import Life, lay_out, lower_bound
from reconciler.compiler.tflite.network_pack import Decision, build_network
from reconciler.compiler.tflite.oracle import Oracle
from tests.compiler.flatbuilder import Model
from tests.compiler.make_vectors import good_packs

LIVES = st.lists(
    st.tuples(st.integers(1, 300), st.integers(-1, 12), st.integers(0, 6)).map(lambda t: Life(t[0], t[1], t[1] + t[2])),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(LIVES)
def test_nothing_alive_overlaps_and_nothing_is_below_the_bound(lives: list[Life]) -> None:
    layout = lay_out(lives)
    for i, a in enumerate(lives):
        assert layout.offsets[i] % 4 == 0
        assert layout.offsets[i] + a.size <= layout.size
        for j in range(i):
            apart = (
                layout.offsets[i] + a.size <= layout.offsets[j]
                or layout.offsets[j] + lives[j].size <= layout.offsets[i]
            )
            assert apart or not a.meets(lives[j])
    assert layout.size >= lower_bound(lives)


@pytest.mark.parametrize("name", sorted(ZOO))
def test_networks_of_real_size_are_exact_and_reach_the_bound(name: str) -> None:
    model = ZOO[name]()
    network, oracle = build_network(model), Oracle(model)
    reference = ReferenceInterpreter(network.data)
    x = np.random.default_rng(4).integers(-128, 128, oracle.inputs[0]["shape"]).astype(np.int8)
    assert reference.run([x.tobytes()]).outputs[0] == oracle.run([x])[0].tobytes()
    assert network.placed.layout.size == network.placed.lower_bound
    assert estimate(network.data, "cortex-m4").macs > 200_000


@settings(max_examples=200, deadline=None)
@given(
    scale=st.floats(1e-6, 4.0),
    reach=st.integers(1, 255),
    largest=st.integers(1, 1 << 26),
    data=st.data(),
)
def test_single_rounding_equals_the_oracle_everywhere(
    scale: float, reach: int, largest: int, data: st.DataObject
) -> None:
    solved = solve_single_rounding(scale, reach, largest)
    assert solved is not None
    multiplier, shift = solved
    assert 0 <= multiplier < 1 << 31
    steps = data.draw(st.lists(st.integers(-largest, largest), min_size=1, max_size=50))
    near = [round((t + 0.5) / scale) + o for t in range(-reach, reach) for o in (-1, 0, 1)]
    tried = [a for a in (*steps, *near) if abs(a) <= largest]
    ours = sr(np.array(tried, np.int64), multiplier, shift)
    for acc, out in zip(tried, ours.tolist(), strict=True):
        wanted = oracle_scaled(acc, scale)
        assert max(-reach, min(reach, out)) == max(-reach, min(reach, wanted))


@pytest.mark.parametrize("scale", [0.5, 0.25, 2.0**-20, 1.0])
def test_exact_ties_go_away_from_zero(scale: float) -> None:
    solved = solve_single_rounding(scale, 255, 1 << 30)
    assert solved is not None
    tie = round(0.5 / scale) if scale < 1 else 1
    assert sr(np.array([tie, -tie], np.int64), *solved).tolist() == [1, -1]


@pytest.mark.parametrize("name", sorted(good_packs()))
def test_a_pack_survives_being_taken_apart(name: str) -> None:
    data = good_packs()[name]
    check_pack(data)
    assert assemble(disassemble(data)) == data
    assert ReferenceInterpreter(data).first_wrong_golden() is None
    assert inspect_pack(data)[0].rows
    for cut in range(0, len(data), 7):
        with pytest.raises(PackMalformed):
            check_pack(data[:cut])
    with pytest.raises(PackMalformed):
        check_pack(data + bytes(4))


def test_a_wrong_golden_vector_is_noticed() -> None:
    pack = disassemble(good_packs()["mean"])
    golden = bytearray(pack.section(SectionId.GOLDEN))
    golden[8] ^= 1  # the first output's first byte, after the count and the seed
    spoiled = replace(pack, sections={**pack.sections, SectionId.GOLDEN: bytes(golden)})
    assert ReferenceInterpreter(assemble(spoiled)).first_wrong_golden() == 0


def _echo() -> bytes:
    model = Model()
    x, y = model.tensor([1, 32], 0.05, 3), model.tensor([1, 32], 0.03, -5)
    model.operator("RELU", [x], [y])
    return model.finish([x], [y])


def test_thresholds_are_given_in_the_units_that_people_think_in() -> None:
    echo = _echo()
    wide = Parameter(name_hash("threshold"), 1, -(1 << 31), (1 << 31) - 1)
    scale = float(np.float32(0.03))
    for encoding, value, wanted in (
        (ParameterEncoding.LINEAR, 1.75, 28),
        (ParameterEncoding.RECONSTRUCTION_ERROR, 0.01, round(0.01 * 32 / scale**2)),
        (ParameterEncoding.OUTPUT_VALUE, 1.5, 45),
    ):
        entry = replace(wide, encoding=encoding, fraction_bits=4)
        pack = build_network(echo, decision=Decision(DecisionMode.THRESHOLD, 0), parameters=(entry,)).data
        assert encode_values(pack, {"threshold": value}) == {0: wanted}
        with pytest.raises(BuildFailed, match="no parameter"):
            encode_values(pack, {"other": 1.0})
    isolation = good_packs()["forest isolation"]
    assert encode_values(isolation, {"threshold": 0.5})[0] > encode_values(isolation, {"threshold": 0.6})[0]
    with pytest.raises(BuildFailed, match="isolation score"):
        encode_values(isolation, {"threshold": 0.0})


def test_a_parameter_moves_the_decision() -> None:
    entry = Parameter(name_hash("threshold"), 0, 0, 1 << 30, ParameterEncoding.RECONSTRUCTION_ERROR)
    pack = build_network(_echo(), decision=Decision(DecisionMode.RECONSTRUCTION, 0), parameters=(entry,)).data
    reference = ReferenceInterpreter(pack)
    x = np.full(32, -90, np.int8).tobytes()
    score = reference.run([x]).score
    assert score > 0
    assert [reference.run([x], [limit]).decision for limit in (score - 1, score)] == [1, 0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60))
def test_auc_counts_pairs(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([s for s, _ in pairs], float), np.array([p for _, p in pairs], float)
    good, bad = scores[labels == 1], scores[labels == 0]
    if not len(good) or not len(bad):
        with pytest.raises(BuildFailed):
            auc_of(scores, labels)
        return
    wins = [(g > b) + 0.5 * (g == b) for g in good for b in bad]
    assert auc_of(scores, labels) == pytest.approx(sum(wins) / len(wins))


def test_every_metric_can_be_measured_and_says_what_it_lacks() -> None:
    outputs, theirs = np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([[0.1, 0.9], [0.4, 0.6]])
    labels = np.array([1.0, 0.0])
    full = Evaluation(outputs, labels, theirs, outputs[:, 1], theirs[:, 1])
    wanted = {
        "accuracy": 1.0, "float_accuracy": 0.5, "accuracy_drop": -0.5, "auc": 1.0, "float_auc": 1.0, "auc_drop": 0.0,
        "agreement": 0.5, "changed_decisions": 0.5, "mean_absolute_error": 0.15,
    }  # fmt: skip
    assert {name: measure(name, full) for name in METRICS} == pytest.approx(wanted)
    for name in METRICS:
        with pytest.raises(BuildFailed, match=r"^\w+ needs"):
            measure(name, Evaluation(outputs))
    with pytest.raises(BuildFailed, match="there is no metric f1"):
        measure("f1", full)
