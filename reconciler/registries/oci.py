# SPDX-License-Identifier: Apache-2.0
"""Artifacts in OCI registries, such as CNCF ModelPack: a manifest, and a layer for each file.

A layer is the file itself, or a tar archive with it. Manifests and layers are checked against their digests.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from reconciler.registries.addresses import OciFile
from reconciler.registries.web import MAX_JSON_BYTES, RegistryAnswer, RegistryUnavailable, base_url, get

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
FILE_NAMES: Final = ("org.cncf.model.filepath", "org.cnai.model.filepath", "org.opencontainers.image.title")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_UNAUTHORIZED = 401


def digest_of(file: OciFile) -> str:
    """Return the digest of the manifest that a tag names now."""
    if file.digest is not None:
        return file.digest
    return hashlib.sha256(_manifest_bytes(file)).hexdigest()


def fetch(file: OciFile, sha256: str | None, max_bytes: int) -> bytes:
    """Return the content of a file. `sha256` selects the layer if the address names no file."""
    layer = _layer(file, sha256)
    digest = str(layer.get("digest", ""))
    content = _get(file, f"blobs/{digest}", max_bytes=max_bytes).body
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise RegistryUnavailable(f"{file}: the layer does not have its digest")
    kind = str(layer.get("mediaType", ""))
    return _member(file, content, kind, max_bytes) if ".tar" in kind else content


def _layer(file: OciFile, sha256: str | None) -> Mapping[str, Any]:
    layers = [*_layers(file)]
    if file.file is not None:
        found = [each for each in layers if _holds(each, file.file)]
    else:
        found = [each for each in layers if each.get("digest") == f"sha256:{sha256}"]
        found = found or (layers if len(layers) == 1 else [])
    if not found:
        named = ", ".join(sorted(filter(None, map(_name, layers)))) or "no names"
        raise RegistryUnavailable(f"{file}: no layer has this file; its layers have {named}")
    return found[0]


def _layers(file: OciFile) -> Iterator[Mapping[str, Any]]:
    content = _manifest_bytes(file)
    if file.digest is not None and hashlib.sha256(content).hexdigest() != file.digest:
        raise RegistryUnavailable(f"{file}: the manifest does not have its digest")
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise RegistryUnavailable(f"{file}: the manifest is not JSON") from error
    layers = manifest.get("layers") if isinstance(manifest, dict) else None
    if not isinstance(layers, list):
        raise RegistryUnavailable(f"{file}: the manifest has no layers")
    yield from (each for each in layers if isinstance(each, dict))


def _manifest_bytes(file: OciFile) -> bytes:
    reference = f"sha256:{file.digest}" if file.digest is not None else str(file.tag)
    return _get(file, f"manifests/{reference}", {"Accept": MANIFEST}).body


def _name(layer: Mapping[str, Any]) -> str | None:
    annotations = layer.get("annotations")
    if not isinstance(annotations, dict):
        return None
    return next((str(annotations[key]) for key in FILE_NAMES if key in annotations), None)


def _holds(layer: Mapping[str, Any], file: str) -> bool:
    return _name(layer) == file


def _member(file: OciFile, content: bytes, kind: str, max_bytes: int) -> bytes:
    """Return the file in a layer that is an archive, without writing anything to disk."""
    if kind.endswith("+zstd"):
        raise RegistryUnavailable(f"{file}: layers that are compressed with zstd are not supported")
    try:
        plain = _inflated(content, max_bytes) if kind.endswith("+gzip") else content
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            files = [each for each in archive if each.isreg()]
            named = [each for each in files if each.name.removeprefix("./") == file.file] or files
            if len(named) != 1:
                raise RegistryUnavailable(f"{file}: the layer has {len(named)} files, and none of this name")
            stream = archive.extractfile(named[0])
            return stream.read() if stream is not None else b""
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise RegistryUnavailable(f"{file}: the layer is not a readable archive: {error}") from error


def _inflated(content: bytes, max_bytes: int) -> bytes:
    inflate = zlib.decompressobj(wbits=31)
    plain = inflate.decompress(content, max_bytes + 1)
    if len(plain) > max_bytes:
        raise zlib.error(f"more than {max_bytes} bytes")
    return plain


# ---------------------------------------------------------------- authentication, as registries ask for it


def _get(
    file: OciFile, path: str, headers: Mapping[str, str] | None = None, *, max_bytes: int = MAX_JSON_BYTES
) -> RegistryAnswer:
    url = f"{base_url(file.host)}/v2/{file.repository}/{path}"
    answer = get(url, headers, max_bytes=max_bytes, accept=frozenset({200, _UNAUTHORIZED}))
    if answer.status != _UNAUTHORIZED:
        return answer
    allowed = _authorization(file, answer.headers.get("www-authenticate", ""))
    return get(url, {**(headers or {}), "Authorization": allowed}, max_bytes=max_bytes)


def _authorization(file: OciFile, challenge: str) -> str:
    known = _login(file.host)
    kind, _, rest = challenge.partition(" ")
    if kind.lower() != "bearer":
        if known is None:
            raise RegistryUnavailable(f"{file.host} wants a login: run `docker login` or `podman login` for it")
        return f"Basic {known}"
    fields = dict(_CHALLENGE.findall(rest))
    realm = fields.get("realm", "")
    query = {"service": fields.get("service", ""), "scope": f"repository:{file.repository}:pull"}
    # To the server that the registry names, as all clients do: the registry itself could ask for the login as well.
    login = {"Authorization": f"Basic {known}"} if known else {}
    found = get(f"{realm}?{urlencode(query)}", login).json(realm)
    token = found.get("token") or found.get("access_token") if isinstance(found, dict) else None
    if not isinstance(token, str):
        raise RegistryUnavailable(f"{file.host}: no token to read {file.repository}")
    return f"Bearer {token}"


def _login(host: str) -> str | None:
    """Return the login of `docker login` or `podman login`, as the base64 of user and password."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    for path in (os.environ.get("REGISTRY_AUTH_FILE"), folder / "config.json"):
        try:
            stored = json.loads(Path(path).read_text(encoding="utf-8"))["auths"][host]["auth"] if path else None
            if isinstance(stored, str) and b":" in base64.b64decode(stored, validate=True):
                return stored
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, binascii.Error):
            continue
    return None
