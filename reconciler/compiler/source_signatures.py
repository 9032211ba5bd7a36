# SPDX-License-Identifier: Apache-2.0
"""Whether each file that a model is built from was signed by those whom the gateway accepts (docs/build.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from reconciler.compiler.errors import BuildFailed
from reconciler.model import ModelSource
from reconciler.tree import REGULAR, Tree
from signing.model_bundle import MAX_BUNDLE_BYTES, ModelBundleError, signed_digests


class ModelUnsigned(BuildFailed):
    """A file of a model has no signature by a key that the gateway accepts."""

    reason = "ModelUnsigned"


def require_signatures(sources: Iterable[ModelSource], tree: Tree, keys: Sequence[EllipticCurvePublicKey]) -> None:
    """Raise `ModelUnsigned` unless one of the keys has signed each of these files."""
    for source in sources:
        name = source.path or source.url
        if source.signature is None:
            raise ModelUnsigned(f"{name} has no signature, and this gateway builds only from signed files")
        try:
            signed = signed_digests(_bundle(source, source.signature, tree), keys)
        except ModelBundleError as error:
            raise ModelUnsigned(f"the signature {source.signature} of {name} is refused: {error}") from error
        if source.sha256 not in signed:
            raise ModelUnsigned(f"the signature {source.signature} is of other files than {name}")


def _bundle(source: ModelSource, path: str, tree: Tree) -> bytes:
    entry = next((each for each in tree.entries() if each.path == path and each.mode in REGULAR), None)
    if entry is None:
        raise ModelUnsigned(f"the fleet repository has no file {path}, the signature of {source.path or source.url}")
    if entry.size > MAX_BUNDLE_BYTES:
        raise ModelUnsigned(f"{path} has {entry.size} bytes; a signature has at most {MAX_BUNDLE_BYTES}")
    return tree.read(entry)
