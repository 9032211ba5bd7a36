# SPDX-License-Identifier: Apache-2.0
"""MLflow: aliases, versions and artifacts, with the answers of a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.compiler.source_fetcher import from_url
from reconciler.registries import client
from reconciler.registries.addresses import parse
from reconciler.registries.web import RegistryUnavailable
from tests.registries.recorded_mlflow import RecordedMlflow

FIRST, SECOND = bytes(range(200)), b"the second model"


@pytest.fixture
def server() -> RecordedMlflow:
    return RecordedMlflow()


@pytest.fixture
def host(server: RecordedMlflow) -> Iterator[str]:
    with server.served() as address:
        yield address


def test_an_alias_names_a_version_and_then_another(server: RecordedMlflow, host: str) -> None:
    champion = f"mlflow://{host}/pump-vibration@champion/model.tflite"
    assert str(client.pin(parse(champion))) == f"mlflow://{host}/pump-vibration/1/model.tflite"
    assert from_url(champion) == FIRST
    server.moved = True
    assert str(client.pin(parse(champion))) == f"mlflow://{host}/pump-vibration/2/model.tflite"
    assert from_url(champion) == SECOND
    assert from_url(f"mlflow://{host}/pump-vibration/1/model.tflite") == FIRST


def test_a_file_of_a_logged_model_is_read(host: str) -> None:
    assert from_url(f"mlflow://{host}/packed/1/artifacts/model.tflite") == FIRST


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("pump-vibration@challenger/model.tflite", "Registered model alias challenger not found"),
        ("pump-vibration/9/model.tflite", "not found"),
        ("pump-vibration/1/gone.tflite", "No such artifact"),
    ],
)
def test_what_is_missing_is_named_and_tried_again(host: str, address: str, message: str) -> None:
    with pytest.raises(RegistryUnavailable, match=message):
        from_url(f"mlflow://{host}/{address}")


@pytest.mark.parametrize("place", ["file:///etc", "/etc", "sftp://host/x", "memory://x", ""])
def test_a_server_can_t_point_to_files_of_this_machine(server: RecordedMlflow, host: str, place: str) -> None:
    server.artifacts = place
    with pytest.raises(RegistryUnavailable, match="--serve-artifacts"):
        from_url(f"mlflow://{host}/pump-vibration/1/passwd")


def test_a_server_can_name_a_bucket(server: RecordedMlflow, host: str) -> None:
    server.artifacts = "s3://bucket/1/model"
    found = client.fetch(parse(f"mlflow://{host}/pump-vibration/1/model.tflite"), None, 100)
    assert found == "s3://bucket/1/model/model.tflite"


def test_credentials_go_only_to_the_server_that_they_are_for(
    server: RecordedMlflow, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    from_url(f"mlflow://{host}/pump-vibration/1/model.tflite")
    assert server.authorizations == {None}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{host}")
    from_url(f"mlflow://{host}/pump-vibration/1/model.tflite")
    assert server.authorizations == {None, "Bearer t0ken"}
