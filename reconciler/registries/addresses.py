# SPDX-License-Identifier: Apache-2.0
"""Addresses of files in registries. A reference may move (an alias, a branch, a tag); a pinned address never does.

mlflow://HOST[:PORT]/MODEL/VERSION/FILE        mlflow://HOST[:PORT]/MODEL@ALIAS/FILE
hf://OWNER/REPOSITORY@REVISION/FILE            REVISION is a commit, or a branch or tag
oci://HOST[:PORT]/REPOSITORY@sha256:DIGEST[#FILE]    oci://HOST[:PORT]/REPOSITORY:TAG[#FILE]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from reconciler.errors import Invalid

_MLFLOW = re.compile(r"mlflow://([^/@\s]+)/([^/@\s]+)(?:/([1-9]\d*)|@([^/@\s]+))/([^@\s]+)")
_HUB = re.compile(r"hf://([^/@\s]+/[^/@\s]+)@([^/@\s]+)/([^@\s]+)")
_OCI = re.compile(
    r"oci://([^/@\s]+)/([a-z0-9._/-]+)(?:@sha256:([0-9a-f]{64})|:([A-Za-z0-9_][A-Za-z0-9_.-]*))(?:#([^@\s]+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHOWN = 12  # digits of a commit or digest that name a version

SCHEMES: Final = ("mlflow", "hf", "oci")
STORE_SCHEMES: Final = ("https", "s3", "gs", "az", "abfs")  # where a registry may say that a file is


class AddressInvalid(Invalid):
    """An address does not have the form of its registry."""

    reason = "AddressInvalid"


@dataclass(frozen=True, slots=True)
class MlflowFile:
    """A file of a version of a registered model. `version` is None if an alias names it."""

    host: str
    model: str
    version: str | None
    alias: str | None
    file: str

    def pinned(self, version: str) -> MlflowFile:
        """Return the address of the file in a version."""
        return MlflowFile(self.host, self.model, version, None, self.file)

    def __str__(self) -> str:
        reference = f"/{self.version}" if self.version is not None else f"@{self.alias}"
        return f"mlflow://{self.host}/{self.model}{reference}/{self.file}"

    @property
    def label(self) -> str:
        """Return what names the version."""
        return f"mlflow-{self.version}"

    @property
    def is_pinned(self) -> bool:
        """Return whether it always means the same file."""
        return self.version is not None


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository on the Hugging Face Hub."""

    repository: str
    revision: str
    file: str

    def pinned(self, commit: str) -> HubFile:
        """Return the address of the file in a commit."""
        return HubFile(self.repository, commit, self.file)

    def __str__(self) -> str:
        return f"hf://{self.repository}@{self.revision}/{self.file}"

    @property
    def label(self) -> str:
        """Return what names the version."""
        return f"hf-{self.revision[:_SHOWN]}"

    @property
    def is_pinned(self) -> bool:
        """Return whether it always means the same file."""
        return _COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True, slots=True)
class OciFile:
    """A file of an artifact in an OCI registry. Without `file`, it is the only layer, or the one with the digest."""

    host: str
    repository: str
    digest: str | None
    tag: str | None
    file: str | None

    def pinned(self, digest: str) -> OciFile:
        """Return the address of the file in the artifact with this digest."""
        return OciFile(self.host, self.repository, digest, None, self.file)

    def __str__(self) -> str:
        reference = f"@sha256:{self.digest}" if self.digest is not None else f":{self.tag}"
        return f"oci://{self.host}/{self.repository}{reference}" + (f"#{self.file}" if self.file else "")

    @property
    def label(self) -> str:
        """Return what names the version."""
        return f"oci-{(self.digest or '')[:_SHOWN]}"

    @property
    def is_pinned(self) -> bool:
        """Return whether it always means the same file."""
        return self.digest is not None


RegistryFile = MlflowFile | HubFile | OciFile


def is_registry(url: str) -> bool:
    """Return whether a URL is the address of a file in a registry."""
    return url.partition("://")[0] in SCHEMES


def parse(url: str) -> RegistryFile:
    """Read an address, or raise `AddressInvalid`."""
    if found := _MLFLOW.fullmatch(url):
        return MlflowFile(*found.groups())
    if found := _HUB.fullmatch(url):
        return HubFile(*found.groups())
    if found := _OCI.fullmatch(url):
        return OciFile(*found.groups())
    raise AddressInvalid(f"{url} is not an address of a registry (docs/registries.md lists the forms)")


def is_pin_of(followed: str, url: str | None) -> bool:
    """Return whether an address is a pinned form of what another one follows: the same file of the same model."""
    if url is None or not is_registry(url) or not is_registry(followed):
        return False
    reference, pinned = parse(followed), parse(url)
    match reference, pinned:
        case MlflowFile(), MlflowFile(version=str(version)):
            return reference.pinned(version) == pinned
        case HubFile(), HubFile(revision=revision):
            return pinned.is_pinned and reference.pinned(revision) == pinned
        case OciFile(), OciFile(digest=str(digest)):
            return reference.pinned(digest) == pinned
        case _:
            return False
