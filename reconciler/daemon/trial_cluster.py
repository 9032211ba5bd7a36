# SPDX-License-Identifier: Apache-2.0
"""The Dask cluster that runs the trials of trainings with `where: cluster` (`[cluster]` of gateway.toml)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from reconciler.compiler.errors import ToolsMissing
from reconciler.config import ClusterConfig
from reconciler.foreign_text import printable_line

log = logging.getLogger(__name__)


@contextmanager
def connected(settings: ClusterConfig) -> Iterator[Executor]:
    """Connect to the scheduler for one run, and return what runs functions on its workers."""
    try:
        distributed: Any = import_module("distributed")  # an extra, slow to import, and without types
    except ImportError as missing:
        raise ToolsMissing("a training on a cluster needs distributed: install tinyfleet[dask]") from missing
    # The windows of devices travel to the workers, and workers run what they are sent: both sides must be known.
    security = None
    files = (settings.ca, settings.certificate, settings.key)
    if None in files and any(files):
        raise ToolsMissing("[cluster] needs `ca`, `certificate` and `key` together")
    if settings.ca is not None:
        security = distributed.Security(
            tls_ca_file=str(settings.ca),
            tls_client_cert=str(settings.certificate),
            tls_client_key=str(settings.key),
            require_encryption=True,
        )
    try:
        client = distributed.Client(
            settings.scheduler, security=security, timeout=settings.timeout_s, set_as_default=False
        )
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: nothing would be encrypted
        said = printable_line(str(error)) or type(error).__name__
        raise ToolsMissing(f"the cluster at {settings.scheduler} does not answer: {said}") from error
    with client:
        log.info("the cluster at %s has %d workers", settings.scheduler, len(client.scheduler_info()["workers"]))
        yield client.get_executor()
