# SPDX-License-Identifier: Apache-2.0
"""Fetches the files that a model names, from the fleet repository or from a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import File
from reconciler.compiler.remote_files import describe, failures_as, file_system
from reconciler.errors import Transient
from reconciler.model import Model, ModelSource
from reconciler.tree import Tree

MAX_FILE_BYTES = 256 << 20


class SourceUnavailable(Transient):
    """A model's file cannot be fetched at the moment."""

    reason = "SourceUnavailable"


def sources_of(model: Model) -> Mapping[str, ModelSource]:
    """Return every file that a model names, by SHA-256."""
    found = [model.source, *(gate.data for gate in model.gates if gate.data)]
    if model.quantize and model.quantize.representative:
        found.append(model.quantize.representative)
    return {source.sha256: source for source in found}


def fetcher(model: Model, tree: Tree) -> Callable[[File], bytes]:
    """Return the function through which `BuildService` fetches files."""
    named = sources_of(model)

    def fetch(file: File) -> bytes:
        source = named[file.sha256]
        return _from_url(source.url) if source.url is not None else _from_tree(tree, source.path or "")

    return fetch


def _from_tree(tree: Tree, path: str) -> bytes:
    for entry in tree.entries():
        if entry.path == path:
            return tree.read(entry)
    raise BuildFailed(f"the fleet repository has no file {path}")


def _from_url(url: str) -> bytes:
    files, path = file_system(url)
    try:
        with failures_as(SourceUnavailable, f"cannot fetch {url}"), files.open(path, "rb") as stream:
            content: Any = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        # Servers that can't be reached at all look like this too, with the reason as the cause.
        why = describe(error.__cause__) if error.__cause__ is not None else "there is no such file"
        raise SourceUnavailable(f"cannot fetch {url}: {why}") from error
    if len(content) > MAX_FILE_BYTES:
        raise BuildFailed(f"{url} is larger than the limit of {MAX_FILE_BYTES} bytes")
    return bytes(content)
