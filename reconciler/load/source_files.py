# SPDX-License-Identifier: Apache-2.0
"""Checks the files that documents name: they exist, are regular files, and match their SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from reconciler.load.check_cache import CheckCache, FileFacts
from reconciler.load.document_index import DocumentIndex, Origin, RepositoryProblem
from reconciler.model import Model, ModelSource, Training
from reconciler.registries.pointers import (
    DVC_CONFIG,
    DVC_SUFFIX,
    LFS_CONFIG,
    LFS_MAX_BYTES,
    LFS_START,
    dvc_md5,
    dvc_url,
    lfs_pointer,
    lfs_url,
)
from reconciler.tree import REGULAR, Tree, TreeEntry
from reconciler.validation.problems import JsonPath, Rule

MAX_SOURCE_BYTES = 64 * 1024 * 1024
MAX_MODULE_BYTES = 1024 * 1024  # of a function
ELSEWHERE = "store it elsewhere and set `url`"


@dataclass(frozen=True, slots=True)
class NamedSource:
    """One source file of a model, a training or a function, and where the document names it."""

    origin: Origin
    at: JsonPath
    path: str
    sha256: str
    bytes_max: int = MAX_SOURCE_BYTES
    too_large: str = ELSEWHERE  # what to do then

    def problem(self, field: str, rule: Rule, message: str, hint: str) -> RepositoryProblem:
        """Report a problem with one field of the source."""
        return RepositoryProblem(self.origin, (*self.at, field), rule, message, hint)


def check_sources(documents: DocumentIndex, tree: Tree, cache: CheckCache) -> Iterator[RepositoryProblem]:
    """Report each file of a model, a training or a function that is missing or does not match its SHA-256."""
    for ref, model in documents.models.items():
        origin = documents.origin("Model", ref)
        for at, source in _sources_of(model):
            if source.signature is not None and source.signature not in documents.files:
                missing = f"the repository has no file `{source.signature}`"
                where = (*at, "signature")
                hint = documents.suggest(source.signature, documents.files)
                yield RepositoryProblem(origin, where, Rule.MISSING_FILE, missing, hint)
            if source.path is not None:  # a URL is checked when a build fetches it
                yield from _check(NamedSource(origin, at, source.path, source.sha256), documents, tree, cache)
    for training_name, training in documents.trainings.items():
        origin = documents.origin("Training", training_name)
        for at, source in _networks_of(training):
            if source.path is not None:
                yield from _check(NamedSource(origin, at, source.path, source.sha256), documents, tree, cache)
    for name, function in documents.functions.items():
        origin, module = documents.origin("Function", name), function.source
        named = NamedSource(
            origin, ("spec", "source"), module.path, module.sha256, MAX_MODULE_BYTES, "make the module smaller"
        )
        yield from _check(named, documents, tree, cache)


def source_files(documents: DocumentIndex) -> Iterator[TreeEntry]:
    """Yield the files of the repository that models, trainings and functions use."""
    models = (source for model in documents.models.values() for _, source in _sources_of(model))
    networks = (source for training in documents.trainings.values() for _, source in _networks_of(training))
    for source in chain(models, networks):
        if source.path in documents.files:
            yield documents.files[source.path]
    for function in documents.functions.values():
        if function.source.path in documents.files:
            yield documents.files[function.source.path]


def _sources_of(model: Model) -> Iterator[tuple[JsonPath, ModelSource]]:
    yield ("spec", "source"), model.source
    if model.quantize and model.quantize.representative:
        yield ("spec", "quantize", "representative"), model.quantize.representative
    for index, gate in enumerate(model.gates):
        if gate.data:
            yield ("spec", "gates", index, "data"), gate.data


def _networks_of(training: Training) -> Iterator[tuple[JsonPath, ModelSource]]:
    for index, space in enumerate(training.try_):
        if space.source is not None:
            yield ("spec", "try", index, "source"), space.source


def _check(named: NamedSource, documents: DocumentIndex, tree: Tree, cache: CheckCache) -> Iterator[RepositoryProblem]:
    path = named.path
    entry = documents.files.get(path)
    if entry is None:
        suggestion = documents.suggest(path, documents.files)
        yield named.problem("path", Rule.MISSING_FILE, f"the repository has no file `{path}`", suggestion)
    elif entry.mode not in REGULAR:
        yield named.problem("path", Rule.SYMLINK, f"`{path}` is not a regular file", "links are never followed")
    elif entry.size > named.bytes_max:
        message = f"`{path}` has {entry.size} bytes; the maximum is {named.bytes_max}"
        yield named.problem("path", Rule.TOO_LARGE, message, named.too_large)
    elif path.endswith(DVC_SUFFIX):
        yield from _check_dvc(named, tree, entry)
    else:
        facts = _facts(entry, tree, cache)
        if facts.pointer and lfs_url(_hidden(tree, LFS_CONFIG)) is None:
            message = f"`{path}` is a Git LFS pointer, and `{LFS_CONFIG}` names no server that is reached by https"
            hint = f"set lfs.url in `{LFS_CONFIG}`, store the file in Git, or set `url`"
            yield named.problem("path", Rule.LFS_POINTER, message, hint)
        elif facts.sha256 != named.sha256:
            message = f"the SHA-256 of `{path}` is {facts.sha256}"
            yield named.problem("sha256", Rule.CHECKSUM_MISMATCH, message, "the file and this field changed separately")


def _check_dvc(named: NamedSource, tree: Tree, entry: TreeEntry) -> Iterator[RepositoryProblem]:
    """Check that a `.dvc` file leads to a file. Its SHA-256 is compared when a build fetches it: DVC knows the MD5."""
    md5 = dvc_md5(tree.read(entry))
    if md5 is None:
        message = f"`{named.path}` does not name the MD5 of one file"
        yield named.problem("path", Rule.DVC_POINTER, message, "add the file, not its folder, with `dvc add`")
    elif dvc_url(_hidden(tree, DVC_CONFIG), md5) is None:
        message = f"`{DVC_CONFIG}` has no default remote that a gateway can read"
        hint = "make a remote at https://, s3://, gs:// or az:// the default, with `dvc remote default`"
        yield named.problem("path", Rule.DVC_POINTER, message, hint)


def _hidden(tree: Tree, path: str) -> bytes | None:
    """Return the content of a hidden file, which is not a part of the fleet."""
    return next((tree.read(each) for each in tree.entries() if each.path == path and each.mode in REGULAR), None)


def _facts(entry: TreeEntry, tree: Tree, cache: CheckCache) -> FileFacts:
    known = cache.facts(entry.blob)
    if known is None:
        data = tree.read(entry)
        pointer = len(data) <= LFS_MAX_BYTES and data.startswith(LFS_START)
        target = lfs_pointer(data)
        # A pointer has the SHA-256 of the file that it stands for.
        known = FileFacts(target.sha256 if target is not None else hashlib.sha256(data).hexdigest(), pointer)
        cache.remember_facts(entry.blob, known)
    return known
