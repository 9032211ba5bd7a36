# SPDX-License-Identifier: Apache-2.0
"""The rule of the paper, literally: after N false positives the candidate of the highest rank takes over.

Antonini et al., Tiny-MLOps (2022): ranks count over the champion's alarms alone, and start again with each champion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.vote import truth_of
from reconciler.model import Candidate, ModelPool


def champions(
    rows: Iterable[EvaluatedSample], first: Candidate, candidates: Sequence[Candidate], pool: ModelPool, n_fp: int = 5
) -> list[Candidate]:
    """Return the champions in their order, from the first one on."""
    champion, found = first, [first]
    ranks, false_positives = dict.fromkeys(candidates, 0), 0
    for sample in sorted(rows, key=lambda each: each.received_at):
        truth = truth_of(sample, pool, sample.votes.keys())
        if truth is None or not sample.decision_of(champion):
            continue
        for candidate in candidates:
            ranks[candidate] += 1 if sample.decision_of(candidate) == truth else -1
        false_positives += not truth
        best = max((each for each in candidates if each != champion), key=lambda each: ranks[each])
        if false_positives >= n_fp and ranks[best] > 0:
            champion = best
            found.append(champion)
            ranks, false_positives = dict.fromkeys(candidates, 0), 0
    return found
