# SPDX-License-Identifier: Apache-2.0
"""Has the models of a contest vote on new samples, a batch at a time, and keeps the votes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.pack.features_section import decode_features
from reconciler.compiler.pack.io_section import decode_io
from reconciler.compiler.pack.pack_format import SectionId, disassemble
from reconciler.compiler.pool.messages import ABSTAINED, PooledModel, SampleRows, WindowLayout
from reconciler.compiler.pool.process import CagedPool
from reconciler.knowledge.records import StoredSample, Voter
from reconciler.knowledge.writer import KnowledgeWriter, Votes
from reconciler.model import Candidate, ContestId, ModelRef
from reconciler.model.samples import Sample

BATCH = 500
Layouts = Mapping[bytes, WindowLayout]  # by context


def layout_of(pack: bytes) -> WindowLayout:
    """Return what the features and windows mean that a device keeps while it runs a pack."""
    parts = disassemble(pack)
    source = decode_io(parts.section(SectionId.IO))[0][0]
    section = parts.sections.get(SectionId.FEATURES)
    if section is None:
        return WindowLayout(scale=source.scale, zero_point=source.zero_point)
    window = decode_features(section)
    statistics = tuple((int(feature.statistic), feature.channel) for feature in window.features)
    return WindowLayout(
        scale=source.scale,
        zero_point=source.zero_point,
        samples=window.samples,
        channels=window.channels,
        statistics=statistics,
    )


class Ballot:
    """Has models vote. For one thread at a time, since the process answers one question after another."""

    def __init__(self, knowledge: KnowledgeWriter, pool: CagedPool) -> None:
        self._knowledge = knowledge
        self._pool = pool

    def hold(self, contest: ContestId, model: PooledModel, voters: Sequence[Voter], layouts: Layouts) -> bool:
        """Have one model vote on the next samples; return whether there may be more of them.

        A model that fails leaves them, and is asked again until it is out of the pool.
        """
        last = min(self._knowledge.voted_up_to(contest, voter) for voter in voters)
        samples = self._knowledge.samples_after(contest, last, BATCH)
        if not samples or self._pool.is_out(model):
            return False
        ballots: dict[Voter, dict[int, bool | None]] = {voter: {} for voter in voters}
        for layout, some in _alike(samples, layouts):
            votes = self._pool.vote(model, _rows(layout, some), [voter.candidate.threshold for voter in voters])
            if votes is None:
                return not self._pool.is_out(model)
            for voter, row in zip(voters, votes, strict=True):
                ballots[voter].update(
                    (each.id, None if vote == ABSTAINED else bool(vote)) for each, vote in zip(some, row, strict=True)
                )
        kept: Mapping[Voter, Votes] = ballots
        self._knowledge.save_votes(contest, kept, samples[-1].id)
        return len(samples) == BATCH


def voters_of(ref: ModelRef, model: PooledModel, thresholds: Iterable[float | None]) -> tuple[Voter, ...]:
    """Return one voter for each threshold of a model."""
    return tuple(Voter(Candidate(ref, threshold), model.digest) for threshold in thresholds)


def _alike(samples: Iterable[StoredSample], layouts: Layouts) -> Iterable[tuple[WindowLayout, list[StoredSample]]]:
    """Group samples of which the bytes mean the same."""

    def key(each: StoredSample) -> tuple[bytes, int, int, int]:
        sample = each.sample
        return sample.context, sample.element_type, len(sample.window or b""), len(sample.features)

    for (context, element_type, _, features), some in groupby(sorted(samples, key=key), key=key):
        known = layouts.get(context, WindowLayout())
        has_features = features and features == len(known.statistics)
        yield (
            WindowLayout(
                element_type,
                known.scale,
                known.zero_point,
                known.samples if has_features else 0,
                known.channels if has_features else 0,
                known.statistics if has_features else (),
            ),
            list(some),
        )


def _rows(layout: WindowLayout, samples: Sequence[StoredSample]) -> SampleRows:
    features = b"".join(_packed(each.sample) for each in samples) if layout.statistics else b""
    windows = b"".join(each.sample.window or b"" for each in samples)
    return SampleRows(layout, len(samples), features, windows)


def _packed(sample: Sample) -> bytes:
    return struct.pack(f"<{len(sample.features)}i", *sample.features)


def readable_layout(pack: bytes) -> WindowLayout | None:
    """Return the layout of a pack; None: it can't be read."""
    try:
        return layout_of(pack)
    except BuildFailed:
        return None
