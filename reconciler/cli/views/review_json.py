# SPDX-License-Identifier: Apache-2.0
"""A review for programs: every device that is touched, and all that the comment tells."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reconciler.cli.views.plan_text import row
from reconciler.model import DeviceId
from reconciler.review.forecast import RolloutReview, WaveReview
from reconciler.review.review import Fit, Review
from reconciler.review.transfer_time import ReviewLine
from reconciler.review.transfer_volume import LineTime, TransferLoad


def as_dict(review: Review) -> dict[str, Any]:
    """Name the fields."""
    return {
        "base": review.before.commit or None,
        "head": review.after.commit,
        "at": review.at.isoformat(),
        "evidence": {
            each.gateway: {
                "committedAt": _moment(each.at),
                "enforces": each.commit or None,
                "ready": each.ready or None,
                "devices": len(each.devices),
                "unreadable": each.unreadable,
            }
            for each in review.evidence.gateways.values()
        },
        "documents": [
            {"kind": each.document, "name": each.name, "change": each.kind.value, "fields": list(each.fields)}
            for each in review.changes
        ],
        "counts": {
            "devices": len(review.after.devices),
            "touched": len(review.reach.touched),
            "pending": review.reach.pending,
            "unclaimed": review.reach.unclaimed,
            "unserved": review.reach.unserved,
        },
        "rollouts": [_rollout(review, each) for each in review.rollouts],
        "payloads": [_load(each) for each in review.loads],
        "lines": [_line_time(each) for each in review.lines],
        "room": [_fit(each) for each in review.fits],
        "risks": [{"code": each.code.value, "about": each.about, "words": each.words} for each in review.risks],
        "obstacles": [
            {"reason": each.reason, "rollout": each.rollout, "why": each.why, "devices": list(each.devices)}
            for each in review.obstacles
        ],
        "devices": [
            {**row(each.action), "gateway": each.gateway, **_wave_of(review, each.device)}
            for each in review.reach.touched
        ],
    }


def _wave_of(review: Review, device: DeviceId) -> dict[str, Any]:
    number, name = review.waves.get(device, (None, None))
    return {"wave": number, "waveName": name}


def _rollout(review: Review, each: RolloutReview) -> dict[str, Any]:
    model = review.after.models[each.rollout.model]
    return {
        "rollout": each.rollout.name,
        "model": str(each.rollout.model),
        "modelBefore": str(each.before.model) if each.before is not None else None,
        "parameters": {**model.parameters, **each.rollout.parameters},
        "devices": each.devices,
        "failuresAllowed": each.allowed,
        "onFailure": each.rollout.on_failure.value,
        "fallback": each.rollout.fallback.value,
        "suspended": each.rollout.suspend,
        "dependsOn": list(each.rollout.depends_on),
        "buildGates": [
            {"metric": gate.metric, "atLeast": gate.at_least, "atMost": gate.at_most} for gate in model.gates
        ],
        "healthGates": [
            {
                "metric": gate.metric.value,
                "atLeast": gate.at_least,
                "atMost": gate.at_most,
                "minInferences": gate.min_inferences,
            }
            for gate in each.rollout.gates
        ],
        "waves": [_wave(wave) for wave in each.waves],
        "cant": each.cant,
        "overAtBest": _moment(each.ends_at),
    }


def _wave(wave: WaveReview) -> dict[str, Any]:
    return {
        "name": wave.name,
        "devices": len(wave.members),
        "touched": len(wave.touched),
        "counts": dict(wave.counts),
        "soakSeconds": wave.soak_s,
        "lines": [
            {**_line(each.line), "seconds": round(each.work_s, 1), "windows": each.openings, "never": each.never}
            for each in wave.work
        ],
        "overAtBest": _moment(wave.ends_at),
    }


def _load(each: TransferLoad) -> dict[str, Any]:
    return {
        **_line(each.line),
        "from": str(each.sort.held) if each.sort is not None and each.sort.held is not None else None,
        "to": str(each.sort.wanted) if each.sort is not None else None,
        "type": each.sort.type if each.sort is not None else None,
        "payload": each.payload.kind,
        "bytes": each.payload.size_bytes,
        "exact": each.payload.exact,
        "devices": len(each.devices),
        "secondsEach": _rounded(each.each_s),
    }


def _line_time(each: LineTime) -> dict[str, Any]:
    return {
        **_line(each.line),
        "devices": each.devices,
        "bytes": each.payload_bytes,
        "secondsLongest": _rounded(each.each_s),
        "seconds": _rounded(each.total_s),
        "exact": each.exact,
    }


def _line(line: ReviewLine) -> dict[str, Any]:
    return {"gateway": line.gateway, "port": line.port or None, "baud": line.baud or None}


def _fit(each: Fit) -> dict[str, Any]:
    return {
        "model": str(each.model),
        "type": each.type,
        "devices": each.devices,
        "slotNeeded": each.slot_needed or None,
        "slotBytes": each.slot_bytes,
        "arenaNeeded": each.arena_needed or None,
        "arenaBytes": each.arena_bytes,
        "operatorsMissing": list(each.missing),
        "built": each.built,
        "fits": each.fits,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
