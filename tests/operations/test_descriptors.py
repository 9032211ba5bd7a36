# SPDX-License-Identifier: Apache-2.0
"""What fits what, and the field that is reported when it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler.model import Quantization, ValueElement, ValueUsage
from reconciler.operations.descriptors import DataDescriptor, digest, mismatch, size_mismatch
from tests.operations.descriptions import DESCRIPTORS, TAKES_WINDOW, size_of, window

OTHER = {
    "dtype": st.sampled_from(ValueElement),
    "usage": st.sampled_from([None, *ValueUsage]),
    "unit": st.sampled_from([None, "mg", "V"]),
    "quantization": st.sampled_from([None, Quantization(0.25), Quantization(0.5, 7)]),
}


def test_what_fits_is_accepted() -> None:
    for count in (0, 1, 256):
        assert mismatch(DataDescriptor((window(shape=(count, 3)),), "features"), TAKES_WINDOW, 6 * count) is None
    assert mismatch(DataDescriptor((window(shape=(None, 3)),), "features"), TAKES_WINDOW, 60) is None


@pytest.mark.parametrize(
    ("offered", "size", "text"),
    [
        (DataDescriptor((window(),), "other"), 24, "task: expected features, got other"),
        (DataDescriptor((window(),)), 24, "task: expected features, got none"),
        (DataDescriptor((), "features"), 0, "inputs: expected 1 values, got 0"),
        (
            DataDescriptor((window(dtype=ValueElement.INT32),), "features"),
            48,
            "inputs[0].dtype: expected int16, got int32",
        ),
        (DataDescriptor((window(shape=(12,)),), "features"), 24, "inputs[0].rank: expected 2, got 1"),
        (DataDescriptor((window(shape=(4, 6)),), "features"), 48, "inputs[0].shape[1]: expected 3, got 6"),
        (DataDescriptor((window(shape=(4, None)),), "features"), 24, "inputs[0].shape[1]: expected 3, got any size"),
        (
            DataDescriptor((window(usage=ValueUsage.TRAINING),), "features"),
            24,
            "inputs[0].usage: expected inference, got training",
        ),
        (DataDescriptor((window(unit="V"),), "features"), 24, "inputs[0].unit: expected mg, got V"),
        (DataDescriptor((window(),), "features"), 23, "bytes: expected 24, got 23"),
        (DataDescriptor((window(shape=(None, 3)),), "features"), 25, "bytes: expected 0 and a multiple of 6, got 25"),
    ],
)
def test_the_first_field_that_does_not_fit_is_reported(offered: DataDescriptor, size: int, text: str) -> None:
    assert str(mismatch(offered, TAKES_WINDOW, size)) == text


def test_quantization_has_to_be_equal_if_the_operation_has_one() -> None:
    taken = DataDescriptor((window(quantization=Quantization(0.5, 3)),))
    assert mismatch(taken, taken, 24) is None
    found = mismatch(DataDescriptor((window(quantization=Quantization(0.5, 4)),)), taken, 24)
    assert found is not None
    assert found.field == "inputs[0].quantization"


@given(DESCRIPTORS)
def test_a_descriptor_fits_itself(descriptor: DataDescriptor) -> None:
    assert mismatch(descriptor, descriptor, size_of(descriptor)) is None


@given(DESCRIPTORS, st.data())
def test_each_changed_field_is_found(descriptor: DataDescriptor, data: st.DataObject) -> None:
    """Change one field of one value; only what the operation leaves open may still fit."""
    assume(descriptor.values)
    place = data.draw(st.integers(0, len(descriptor.values) - 1))
    field = data.draw(st.sampled_from(sorted(OTHER)))
    value = descriptor.values[place]
    changed = replace(value, **{field: data.draw(OTHER[field])})
    assume(changed != value)
    values = (*descriptor.values[:place], changed, *descriptor.values[place + 1 :])
    offered = replace(descriptor, values=values)
    found = mismatch(offered, descriptor, size_of(offered))
    if getattr(value, field) is None:
        assert found is None
    else:
        assert found is not None
        assert found.field == f"inputs[{place}].{field}"


@given(DESCRIPTORS, DESCRIPTORS)
def test_different_descriptors_have_different_digests(one: DataDescriptor, other: DataDescriptor) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@given(DESCRIPTORS, st.integers(-3, 3))
def test_only_the_exact_size_fits(descriptor: DataDescriptor, more: int) -> None:
    size = size_of(descriptor) + more
    assume(size >= 0)
    assert (size_mismatch(descriptor, size) is None) == (more == 0)
