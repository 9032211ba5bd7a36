# SPDX-License-Identifier: Apache-2.0
"""Addresses of registries: what is one, what is pinned, and what pins what."""

from __future__ import annotations

import pytest

from reconciler.registries.addresses import AddressInvalid, is_pin_of, parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "ab" * 32
PAIRS = [
    ("mlflow://mlflow.example:5000/pump@champion/model.tflite", "mlflow://mlflow.example:5000/pump/12/model.tflite"),
    ("hf://works/pump@main/int8/model.tflite", f"hf://works/pump@{COMMIT}/int8/model.tflite"),
    ("oci://registry.example/models/pump:stable#model.tflite", f"oci://registry.example/models/pump@sha256:{DIGEST}#model.tflite"),
    ("oci://localhost:5000/pump:1", f"oci://localhost:5000/pump@sha256:{DIGEST}"),
]  # fmt: skip


@pytest.mark.parametrize("url", [url for pair in PAIRS for url in pair])
def test_an_address_is_written_as_it_was_read(url: str) -> None:
    assert str(parse(url)) == url


@pytest.mark.parametrize(("reference", "pinned"), PAIRS)
def test_a_pinned_address_belongs_to_its_reference(reference: str, pinned: str) -> None:
    assert parse(pinned).is_pinned
    assert not parse(reference).is_pinned
    assert is_pin_of(reference, pinned)
    assert not is_pin_of(reference, reference)
    assert not is_pin_of(reference, pinned.replace("pump", "other", 1))
    assert not is_pin_of(
        reference, pinned.replace("example", "attacker").replace("localhost", "attacker").replace("works", "attacker")
    )
    assert not is_pin_of(reference, "https://models.example/pump.tflite")
    assert not is_pin_of(reference, None)


@pytest.mark.parametrize(
    "url",
    [
        "mlflow://mlflow.example/pump/model.tflite",
        "mlflow://user:secret@mlflow.example/pump/1/model.tflite",
        "hf://works/pump/model.tflite",
        "oci://registry.example/pump",
        "oci://registry.example/pump@sha256:short",
        "oci://user@registry.example/pump:1",
    ],
)
def test_what_has_another_form_is_refused(url: str) -> None:
    with pytest.raises(AddressInvalid):
        parse(url)
