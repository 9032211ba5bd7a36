# SPDX-License-Identifier: Apache-2.0
"""One way to all registries: where a reference points now, and the content of a file."""

from __future__ import annotations

from typing import assert_never

from reconciler.registries import hugging_face, mlflow, oci
from reconciler.registries.addresses import HubFile, MlflowFile, OciFile, RegistryFile


def pin(file: RegistryFile) -> RegistryFile:
    """Return the address that always means what a reference means now."""
    match file:
        case MlflowFile():
            return file.pinned(mlflow.version_of(file))
        case HubFile():
            return file.pinned(hugging_face.commit_of(file))
        case OciFile():
            return file.pinned(oci.digest_of(file))
        case _:
            assert_never(file)


def fetch(file: RegistryFile, sha256: str | None, max_bytes: int) -> bytes | str:
    """Return the content of a file, or the URL of the store that has it. The caller checks its digest."""
    match file:
        case MlflowFile():
            return mlflow.fetch(file, max_bytes)
        case HubFile():
            return hugging_face.fetch(file, max_bytes)
        case OciFile():
            return oci.fetch(file, sha256, max_bytes)
        case _:
            assert_never(file)
