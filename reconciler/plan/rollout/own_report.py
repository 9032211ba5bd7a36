# SPDX-License-Identifier: Apache-2.0
"""The report of this gateway to its peers about its own devices in a rollout."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.model import DeviceId, RolloutReport
from reconciler.model.snapshot_cache import reuse_if_equal
from reconciler.plan.device.verdict import DeviceVerdict, OutDevice
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.plan.rollout.tally import WaveRole, wave_role


def report_to_peers(
    evaluation: RolloutEvaluation,
    verdicts: Mapping[DeviceId, DeviceVerdict],
    ours: Collection[DeviceId],
    before: RolloutReport | None,
    now: datetime,
) -> RolloutReport:
    """Report the state of our devices in one rollout; the previous report, with its time, if nothing is new."""
    by_role: dict[WaveRole, set[DeviceId]] = {role: set() for role in WaveRole}
    for step in evaluation.steps:
        for device in step.members:
            if device in ours:
                by_role[wave_role(verdicts[device], step.soak, now)].add(device)
    by_role[WaveRole.OUT].update(device for device in ours if isinstance(verdicts[device], OutDevice))
    report = RolloutReport(
        revision=evaluation.revision,
        **{role.value: frozenset(devices) for role, devices in by_role.items()},
        stopped=evaluation.progress.stopped,
        at=before.at if before is not None else now,
    )
    reported = reuse_if_equal(before, report)
    return reported if reported is before else replace(report, at=now)
