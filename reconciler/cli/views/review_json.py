# SPDX-License-Identifier: Apache-2.0
"""A review as JSON: every affected device, and everything that the comment shows."""

from __future__ import annotations

from typing import Any

from reconciler.cli.views.pipeline_json import forecast_as_dict
from reconciler.cli.views.plan_json import action_fields
from reconciler.model import DeviceId
from reconciler.review.forecast import RolloutReview, WaveReview
from reconciler.review.formatting import iso
from reconciler.review.review import Fit, Review
from reconciler.review.transfer_time import ReviewLine
from reconciler.review.transfer_volume import LineTime, TransferLoad


def as_dict(review: Review) -> dict[str, Any]:
    """Return the fields of a review."""
    return {
        "base": review.before.commit or None,
        "head": review.after.commit,
        "at": review.at.isoformat(),
        "gateways": {
            each.gateway: {
                "committedAt": iso(each.at),
                "commit": each.commit or None,
                "ready": each.ready or None,
                "devices": len(each.devices),
                "unreadable": each.unreadable,
            }
            for each in review.reported.gateways.values()
        },
        "documents": [
            {"kind": each.document, "name": each.name, "change": each.kind.value, "fields": list(each.fields)}
            for each in review.changes
        ],
        "counts": {
            "devices": len(review.after.devices),
            "affected": len(review.impact.affected),
            "pending": review.impact.pending,
            "unclaimed": review.impact.unclaimed,
            "unserved": review.impact.unserved,
        },
        "rollouts": [_rollout(review, each) for each in review.rollouts],
        "payloads": [_load(each) for each in review.loads],
        "lines": [_line_time(each) for each in review.lines],
        "capacity": [_fit(each) for each in review.fits],
        "risks": [{"code": each.code.value, "subject": each.subject, "message": each.message} for each in review.risks],
        "pipelines": [forecast_as_dict(each) for each in review.pipelines],
        "blocked": [
            {"reason": each.reason, "rollout": each.rollout, "message": each.message, "devices": list(each.devices)}
            for each in review.blocked
        ],
        "devices": [
            {**action_fields(each.action), "gateway": each.gateway, **_wave_of(review, each.device)}
            for each in review.impact.affected
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
        "allowedFailures": each.allowed_failures,
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
        "blocked": each.blocked,
        "earliestEnd": iso(each.ends_at),
    }


def _wave(wave: WaveReview) -> dict[str, Any]:
    return {
        "name": wave.name,
        "devices": len(wave.members),
        "affected": len(wave.affected),
        "counts": dict(wave.counts),
        "soakSeconds": wave.soak_s,
        "lines": [
            {**_line(each.line), "seconds": round(each.work_s, 1), "windows": each.windows, "never": each.never}
            for each in wave.work
        ],
        "earliestEnd": iso(wave.ends_at),
    }


def _load(each: TransferLoad) -> dict[str, Any]:
    return {
        **_line(each.line),
        "from": str(each.kind.running) if each.kind is not None and each.kind.running is not None else None,
        "to": str(each.kind.desired) if each.kind is not None else None,
        "type": each.kind.type if each.kind is not None else None,
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
        "secondsLongest": _rounded(each.longest_s),
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
        "slotBytesNeeded": each.slot_needed or None,
        "slotBytes": each.slot_bytes,
        "arenaBytesNeeded": each.arena_needed or None,
        "arenaBytes": each.arena_bytes,
        "missingOperators": list(each.missing),
        "built": each.built,
        "fits": each.fits,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
