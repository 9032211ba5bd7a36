# SPDX-License-Identifier: Apache-2.0
"""Fetches the files that a model names: from the fleet repository, from where a pointer in it leads, or from a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.recipe import File
from reconciler.compiler.remote_files import describe, failures_as, file_system
from reconciler.errors import Transient
from reconciler.model import Model, ModelSource
from reconciler.registries import client, git_lfs
from reconciler.registries.addresses import is_registry, parse
from reconciler.registries.pointers import DVC_CONFIG, DVC_SUFFIX, LFS_CONFIG, dvc_md5, dvc_url, lfs_pointer, lfs_url
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
        return fetch_source(named[file.sha256], tree)

    return fetch


def fetch_source(source: ModelSource, tree: Tree) -> bytes:
    """Return the content of a file. The caller checks its digest."""
    return from_url(source.url, source.sha256) if source.url is not None else _from_tree(tree, source.path or "")


def _from_tree(tree: Tree, path: str) -> bytes:
    data = _read(tree, path)
    if data is None:
        raise BuildFailed(f"the fleet repository has no file {path}")
    pointer = lfs_pointer(data)
    if pointer is not None:
        server = lfs_url(_read(tree, LFS_CONFIG))
        if server is None:
            raise BuildFailed(f"{path} is in Git LFS, and {LFS_CONFIG} names no server: set lfs.url")
        return git_lfs.fetch(server, pointer, MAX_FILE_BYTES)
    if path.endswith(DVC_SUFFIX):
        md5 = dvc_md5(data)
        url = dvc_url(_read(tree, DVC_CONFIG), md5) if md5 is not None else None
        if url is None:
            raise BuildFailed(f"{path} is in DVC, and {DVC_CONFIG} has no default remote that can be read from here")
        return from_url(url)
    return data


def _read(tree: Tree, path: str) -> bytes | None:
    return next((tree.read(entry) for entry in tree.entries() if entry.path == path), None)


def from_url(url: str, sha256: str | None = None) -> bytes:
    """Return the content of a file at a URL, or in a registry. The caller checks its digest."""
    if is_registry(url):
        found = client.fetch(parse(url), sha256, MAX_FILE_BYTES)
        return found if isinstance(found, bytes) else from_url(found)
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
