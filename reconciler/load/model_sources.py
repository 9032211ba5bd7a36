# SPDX-License-Identifier: Apache-2.0
"""The files that models name: they are in the repository, they are files, and they have the right bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from reconciler.load.check_cache import CheckCache, FileFacts
from reconciler.load.problems import JsonPath, Rule
from reconciler.load.document_index import DocumentSet, Mistake, Where
from reconciler.model import Model, ModelSource
from reconciler.tree import REGULAR, Entry, Tree

MAX_SOURCE_BYTES = 64 * 1024 * 1024
LFS_START = b"version https://git-lfs.github.com/spec/"
LFS_LONGEST = 1024  # a pointer is a few lines


def sources(repository: DocumentSet, tree: Tree, cache: CheckCache) -> Iterator[Mistake]:
    """Complain about each file of a model that is missing or is not what its SHA-256 says."""
    for ref, model in repository.models.items():
        where = repository.where("Model", ref)
        for at, source in _named_by(model):
            if source.path is not None:  # a URL is looked at when it is fetched for a build
                yield from _check(repository, where, at, source, source.path, tree, cache)


def used(repository: DocumentSet) -> Iterator[Entry]:
    """Name the files that models use."""
    for model in repository.models.values():
        for _, source in _named_by(model):
            if source.path in repository.files:
                yield repository.files[source.path]


def _named_by(model: Model) -> Iterator[tuple[JsonPath, ModelSource]]:
    yield ("spec", "source"), model.source
    if model.quantize and model.quantize.representative:
        yield ("spec", "quantize", "representative"), model.quantize.representative
    for index, gate in enumerate(model.gates):
        if gate.data:
            yield ("spec", "gates", index, "data"), gate.data


def _check(  # noqa: PLR0913, PLR0917 (one file of one model, and where to look it up)
    repository: DocumentSet, where: Where, at: JsonPath, source: ModelSource, path: str, tree: Tree, cache: CheckCache
) -> Iterator[Mistake]:
    entry = repository.files.get(path)
    if entry is None:
        said = f"the repository has no file `{path}`"
        yield Mistake(where, (*at, "path"), Rule.FILE_MISSING, said, repository.suggest(path, repository.files))
    elif entry.mode not in REGULAR:
        yield Mistake(where, (*at, "path"), Rule.SYMLINK, f"`{path}` is no regular file", "a link is never followed")
    elif entry.size > MAX_SOURCE_BYTES:
        said = f"`{path}` has {entry.size} bytes; at most {MAX_SOURCE_BYTES} are read"
        yield Mistake(where, (*at, "path"), Rule.TOO_LARGE, said, "name it by `url`")
    else:
        facts = _facts(entry, tree, cache)
        if facts.pointer:
            said = f"`{path}` is a Git LFS pointer, not the file itself"
            yield Mistake(where, (*at, "path"), Rule.LFS_POINTER, said, "store the file in Git, or name it by `url`")
        elif facts.sha256 != source.sha256:
            said = f"the SHA-256 of `{path}` is {facts.sha256}"
            yield Mistake(
                where, (*at, "sha256"), Rule.SHA256, said, "the file or this line was changed without the other"
            )


def _facts(entry: Entry, tree: Tree, cache: CheckCache) -> FileFacts:
    known = cache.facts(entry.blob)
    if known is None:
        data = tree.read(entry)
        pointer = len(data) <= LFS_LONGEST and data.startswith(LFS_START)
        known = FileFacts(hashlib.sha256(data).hexdigest(), pointer)
        cache.remember_facts(entry.blob, known)
    return known
