# SPDX-License-Identifier: Apache-2.0
"""What names a training run: the same windows and the same document are the same run, and the same branch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from reconciler.model import ModelRef, Training, TrainingMethod, Version

_DIGITS = 8
_NOT_OF_THE_MODELS = ("when", "propose", "suspend", "labels", "keep", "where")
_OF_NETWORKS = ("source", "decide", "epochs", "batch_size", "learning_rate")


def run_digest(training: Training, snapshot_sha256: str) -> str:
    """Return the digest of all that the models of a run depend on."""
    fields = {name: value for name, value in asdict(training).items() if name not in _NOT_OF_THE_MODELS}
    if training.data.persistence is None:
        del fields["data"]["persistence"]  # it keeps the digest from before there was one
    fields["try_"] = [_space(each) for each in fields["try_"]]
    text = json.dumps({"snapshot": snapshot_sha256, "training": fields}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def versions(training: Training, digest: str, newest: datetime, count: int) -> tuple[ModelRef, ...]:
    """Return the versions of a run's models, the best first: the date of the newest window, and digits of the run."""
    first = f"{newest:%Y%m%d}-{digest[:_DIGITS]}"
    return tuple(
        ModelRef(training.model, Version(first if rank == 0 else f"{first}-{rank + 1}")) for rank in range(count)
    )


def _space(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a search space is named by: forests keep the digest from before there were networks."""
    is_network = fields["method"] is TrainingMethod.KERAS
    return {name: value for name, value in fields.items() if is_network or name not in _OF_NETWORKS}
