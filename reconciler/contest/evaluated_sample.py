# SPDX-License-Identifier: Apache-2.0
"""A window on which the pool has voted: one row of what a decision is derived from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model import Candidate, DeviceId, SampleLog

Votes = Mapping[Candidate, bool | None]  # True: anomalous; None: the model abstained


@dataclass(frozen=True, slots=True)
class EvaluatedSample:
    """One window, with what ran on the device, what a person said, and what each model says."""

    device: DeviceId
    received_at: datetime
    log: SampleLog
    weight: int  # windows that it stands for
    champion: Candidate  # what ran on the device
    champion_anomalous: bool
    label: bool | None  # of a person; None: nobody has looked at it
    votes: Votes

    def decision_of(self, candidate: Candidate) -> bool | None:
        """Return what a candidate says of the window; for the one that ran, this is what the device reported."""
        return self.champion_anomalous if candidate == self.champion else self.votes.get(candidate)


def as_if(sample: EvaluatedSample, champion: Candidate) -> EvaluatedSample | None:
    """Return the sample as if another candidate had run on the device; None: it abstained.

    The log and the weight stay those with which the window was collected, so that rates stay right.
    """
    decision = sample.decision_of(champion)
    if decision is None:
        return None
    return replace(sample, champion=champion, champion_anomalous=decision)
