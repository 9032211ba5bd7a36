# SPDX-License-Identifier: Apache-2.0
"""What names a training run: the same windows and the same document are the same run, and the same branch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime

from reconciler.model import ModelRef, Training, Version

_DIGITS = 8
_NOT_OF_THE_MODELS = ("when", "propose", "suspend", "labels", "keep", "where")


def run_digest(training: Training, snapshot_sha256: str) -> str:
    """Return the digest of all that the models of a run depend on."""
    fields = {name: value for name, value in asdict(training).items() if name not in _NOT_OF_THE_MODELS}
    text = json.dumps({"snapshot": snapshot_sha256, "training": fields}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def versions(training: Training, digest: str, newest: datetime, count: int) -> tuple[ModelRef, ...]:
    """Return the versions of a run's models, the best first: the date of the newest window, and digits of the run."""
    first = f"{newest:%Y%m%d}-{digest[:_DIGITS]}"
    return tuple(
        ModelRef(training.model, Version(first if rank == 0 else f"{first}-{rank + 1}")) for rank in range(count)
    )
