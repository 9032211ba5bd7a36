# SPDX-License-Identifier: Apache-2.0
"""Packs of forests that devices have grown: made from rows alone, and only if these give the device's own bytes."""

from __future__ import annotations

import numpy as np
import pytest

from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.errors import BuildFailed, PackMalformed
from reconciler.compiler.forest.grown_pack import features_of_starter, grown_pack
from reconciler.compiler.pack.checker import check_pack, operator_numbers
from reconciler.compiler.pack.forest_section import decode_forest
from reconciler.compiler.pack.operators import NAMES
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pack.pack_source import checked_pack
from reconciler.compiler.pack.parameter_values import encode_values
from reconciler.compiler.pack.sampling_parameters import with_sampling
from reconciler.compiler.reference.forest import sums
from reconciler.compiler.reference.interpreter import ReferenceInterpreter
from tests.firmware.learning import FORM, RECIPE, expected_forest, features_of, learning_pack, starter_pack, windows

STARTER = with_sampling(learning_pack(), {"sample-every": 3})


def some_rows(seed: int = 1) -> list[list[int]]:
    source = windows(seed)
    return [features_of(next(source)) for _ in range(RECIPE.rows)]


def test_it_decides_as_the_device_does() -> None:
    rows = some_rows()
    pack = grown_pack(STARTER, rows, expected_forest(rows))
    check_pack(pack)
    assert [NAMES[number] for number in operator_numbers(pack)] == ["TREE_ENSEMBLE"]
    assert encode_values(pack, {"threshold": 0.65}) == encode_values(STARTER, {"threshold": 0.65})
    assert checked_pack(pack, {"threshold": 0.65}) == pack
    for name in ("learn-generation", "sample-every"):
        with pytest.raises(BuildFailed, match=f"no parameter {name}"):
            encode_values(pack, {name: 1})
    forest = decode_forest(disassemble(pack).section(SectionId.FOREST), FORM.features)
    data = next(windows(7, scale=50))
    (total,) = sums(forest, features_of(data))
    (output,) = ReferenceInterpreter(pack).run((data,)).outputs
    assert np.frombuffer(output, "<i4")[1] == total


@pytest.mark.build
def test_the_engine_in_c_agrees() -> None:
    rows = some_rows(2)
    pack = grown_pack(STARTER, rows, expected_forest(rows))
    done = execute(ExecutionTarget.HOST, pack, [next(windows(8))])
    assert (done.verdict, done.first_wrong_golden) == (0, None)


def test_rows_that_give_another_forest_are_refused() -> None:
    rows = some_rows()
    section = expected_forest(rows)
    changed = [[value + 1 for value in rows[0]], *rows[1:]]
    with pytest.raises(BuildFailed, match="another forest"):
        grown_pack(STARTER, changed, section)
    with pytest.raises(BuildFailed, match="valid rows"):
        grown_pack(STARTER, rows[: FORM.subsample - 1], section)
    with pytest.raises(BuildFailed, match="valid rows"):
        grown_pack(STARTER, [*rows, rows[0]], section)


def test_a_pack_that_does_not_learn_is_refused() -> None:
    assert features_of_starter(STARTER) == FORM.features
    with pytest.raises(PackMalformed, match="does not learn"):
        features_of_starter(starter_pack())
