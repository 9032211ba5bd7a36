# SPDX-License-Identifier: Apache-2.0
"""The model registry of MLflow, by its REST API: aliases, versions, and the artifacts of a version."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from reconciler.registries.addresses import STORE_SCHEMES, MlflowFile
from reconciler.registries.web import RegistryUnavailable, base_url, get

_API = "api/2.0/mlflow"
_PROXIED = "mlflow-artifacts:/"


def version_of(file: MlflowFile) -> str:
    """Return the version that an alias names now."""
    if file.alias is None:
        return file.version or ""
    found = _ask(file, "registered-models/alias", {"name": file.model, "alias": file.alias})
    version = found.get("model_version", {}).get("version")
    if not isinstance(version, str) or not version.isdecimal():
        raise RegistryUnavailable(f"{file}: the registry named no version")
    return version


def fetch(file: MlflowFile, max_bytes: int) -> bytes | str:
    """Return the content of a file, or the URL of the store that has it."""
    found = _ask(file, "model-versions/get-download-uri", {"name": file.model, "version": version_of(file)})
    place = str(found.get("artifact_uri", "")).rstrip("/")
    if not place.startswith(_PROXIED):
        if place.partition("://")[0] not in STORE_SCHEMES:  # a folder of the server would be read on this machine
            raise RegistryUnavailable(
                f"{file}: the server does not hand out its artifacts: run it with --serve-artifacts"
            )
        return f"{place}/{file.file}"
    path = urlsplit(place).path.lstrip("/")
    url = f"{base_url(file.host)}/{_API}-artifacts/artifacts/{quote(f'{path}/{file.file}')}"
    return get(url, _credentials(file.host), max_bytes=max_bytes).body


def _ask(file: MlflowFile, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
    url = f"{base_url(file.host)}/{_API}/{path}?{urlencode(query)}"
    found = get(url, _credentials(file.host)).json(str(file))
    if not isinstance(found, dict):
        raise RegistryUnavailable(f"{file}: the answer is not a JSON object")
    return found


def _credentials(host: str) -> dict[str, str]:
    """Return the credentials of MLflow's own variables, for the server that they are for and no other."""
    if urlsplit(os.environ.get("MLFLOW_TRACKING_URI", "")).netloc != host:
        return {}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if token:
        return {"Authorization": f"Bearer {token}"}
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
    return {}
