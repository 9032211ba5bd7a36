# SPDX-License-Identifier: Apache-2.0
"""Asks the daemon of this gateway about its pipelines, and has it run them."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from reconciler import config
from reconciler.daemon.pipeline_socket import SOCKET_FILE
from reconciler.errors import FleetError, Unusable

ANSWER_S = 3700.0  # the longest deadline of a pipeline, and a little more


class DaemonSilent(Unusable):
    """The daemon does not run, or belongs to another user."""

    reason: ClassVar[str] = "DaemonSilent"


class PipelineFailed(FleetError):
    """The daemon could not run the input."""

    reason: ClassVar[str] = "PipelineFailed"


def ask_daemon(config_path: Path, request: Mapping[str, object], data: bytes = b"") -> Mapping[str, Any]:
    """Send a request with its input, and return the answer."""
    path = config.read(config_path).state_dir / SOCKET_FILE
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(str(path))
            connection.sendall(json.dumps({**request, "bytes": len(data)}).encode() + b"\n" + data)
            with connection.makefile("rb") as answer:
                line = answer.readline()
    except OSError as error:
        raise DaemonSilent(f"can't ask the daemon at {path}: {error.strerror}; is `tinyfleet run` running?") from error
    if not line:
        raise DaemonSilent(f"the daemon at {path} has ended")
    answered: Mapping[str, Any] = json.loads(line)
    if "error" in answered:
        raise PipelineFailed(f"{answered['error']}: {answered['message']}")
    return answered
