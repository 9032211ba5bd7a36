# SPDX-License-Identifier: Apache-2.0
"""A change as an OpenTelemetry trace: one span for the commit at a gateway, and one for each delivery, in OTLP/JSON.

The trace's id is taken from the commit, so the spans of all gateways are in one trace without any of them asking
another. The same span always has the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_INTERNAL = 1
_OK, _ERROR = 1, 2


@dataclass(frozen=True, slots=True)
class ChangeSpan:
    """One step of a change that has ended."""

    commit: str
    name: str
    started_ns: int
    ended_ns: int
    good: bool
    message: str = ""
    within: str | None = None  # the name of the span that it is a part of
    attributes: Mapping[str, str] = field(default_factory=dict)


def trace_id(commit: str) -> str:
    """Return the id of the trace of a commit."""
    return commit[:32]


def span_id(gateway: str, span: ChangeSpan) -> str:
    """Return the id of a span. A delivery that is tried again is another span."""
    repeated = "" if span.within is None else str(span.started_ns)
    return _id(gateway, span.commit, span.name, repeated)


def traces_request(gateway: str, version: str, spans: Iterable[ChangeSpan]) -> dict[str, Any]:
    """Return the body of an OTLP request."""
    resource = {"service.name": "tinyfleet", "service.version": version, "service.instance.id": gateway}
    scope = {"scope": {"name": "tinyfleet"}, "spans": [_span(gateway, each) for each in spans]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _span(gateway: str, span: ChangeSpan) -> dict[str, Any]:
    made = {
        "traceId": trace_id(span.commit),
        "spanId": span_id(gateway, span),
        "name": span.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(span.started_ns),
        "endTimeUnixNano": str(span.ended_ns),
        "attributes": _attributes({"vcs.ref.head.revision": span.commit, **span.attributes}),
        "status": {"code": _OK} if span.good else {"code": _ERROR, "message": span.message},
    }
    return made if span.within is None else {**made, "parentSpanId": _id(gateway, span.commit, span.within, "")}


def _id(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _attributes(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in sorted(values.items())]
