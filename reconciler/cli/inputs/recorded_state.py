# SPDX-License-Identifier: Apache-2.0
"""What a gateway enforces, and the state that it has recorded."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from reconciler.cli.inputs.fleet_source import open_context
from reconciler.cli.inputs.served_devices import served_by
from reconciler.load import CheckCache
from reconciler.model import Desired, Observed
from reconciler.review.reported_state import MissingStatus, observed, running


def read_recorded(config_path: Path, now: datetime) -> tuple[Desired, Observed]:
    """Return the desired state of the devices that a gateway serves, and their last known state."""
    with open_context(None, config_path, CheckCache()) as context:
        desired = context.desired if context.gateway is None else served_by(context.desired, context.gateway)
        seen = observed(
            context.reported,
            desired,
            running(context.reported, desired),
            now,
            before=desired,
            missing_status=MissingStatus.ASSUME_SILENT,
        )
    return desired, seen
