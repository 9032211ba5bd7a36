# SPDX-License-Identifier: Apache-2.0
"""The Hugging Face Hub: revisions and files, on a server that answers as the hub does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reconciler.compiler.source_fetcher import from_url
from reconciler.registries import client
from reconciler.registries.addresses import parse
from reconciler.registries.web import RegistryUnavailable
from tests.registries.hub import Hub


@contextmanager
def served(hub: Hub) -> Iterator[None]:
    with hub.served() as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_ENDPOINT", url)
        environment.delenv("HF_TOKEN", raising=False)
        yield


def test_a_branch_names_a_commit_and_then_another() -> None:
    hub = Hub()
    first = hub.commit("works/pump", "main", {"int8/model.tflite": b"one"})
    reference = "hf://works/pump@main/int8/model.tflite"
    with served(hub):
        pinned = str(client.pin(parse(reference)))
        assert pinned == f"hf://works/pump@{first}/int8/model.tflite"
        assert from_url(reference) == b"one"
        second = hub.commit("works/pump", "main", {"int8/model.tflite": b"two"})
        assert str(client.pin(parse(reference))) == f"hf://works/pump@{second}/int8/model.tflite"
        assert (from_url(reference), from_url(pinned)) == (b"two", b"one")


def test_a_large_file_comes_from_another_host_which_gets_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(private=True)
    hub.commit("works/pump", "main", {"model.tflite": b"x" * 5000})
    with served(hub):
        with pytest.raises(RegistryUnavailable, match="answered 401"):
            from_url("hf://works/pump@main/model.tflite")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        assert from_url("hf://works/pump@main/model.tflite") == b"x" * 5000
    assert hub.storage_logins == {None}


@pytest.mark.parametrize("url", ["hf://works/pump@dev/model.tflite", "hf://works/pump@main/gone.tflite"])
def test_what_is_missing_is_tried_again(url: str) -> None:
    hub = Hub()
    hub.commit("works/pump", "main", {"model.tflite": b"one"})
    with served(hub), pytest.raises(RegistryUnavailable, match="answered 404"):
        from_url(url)


def test_an_answer_without_a_commit_is_refused() -> None:
    hub = Hub()
    hub.answers["/api/models/works/pump/revision/main"] = json.dumps({"sha": "main"}).encode()
    with served(hub), pytest.raises(RegistryUnavailable, match="named no commit"):
        client.pin(parse("hf://works/pump@main/model.tflite"))
