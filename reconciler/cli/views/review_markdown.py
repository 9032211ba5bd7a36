# SPDX-License-Identifier: Apache-2.0
"""A review as Markdown for a comment on a pull request: the most important first, each list within the size limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from reconciler.cli.views.pipeline_markdown import pipeline_lines
from reconciler.cli.views.plan_groups import names
from reconciler.cli.views.plan_markdown import COMMENT_CHARS, escaped
from reconciler.model import Blocked, Rollout
from reconciler.review.document_diff import DocumentChange
from reconciler.review.forecast import RolloutReview, WaveReview
from reconciler.review.formatting import counted, duration, short
from reconciler.review.review import BlockedDevices, Fit, Review
from reconciler.review.risks import Risk
from reconciler.review.transfer_volume import LineTime, TransferLoad

Row = TypeVar("Row")

ROWS_SHOWN = 40  # of one table; the size limit may leave room for fewer
CHANGES_SHOWN = 30
RESERVED_CHARS = 2_000  # for the line that counts what is left out, and the additions of a forge
DETAILS_AT = 1  # the line at which a collapsible section opens
MARK = "<!-- tinyfleet plan -->"  # a workflow finds its earlier comment by this line


def markdown(review: Review) -> str:
    """Write a review. Sections come in order of importance; what does not fit is counted."""
    room = COMMENT_CHARS - RESERVED_CHARS
    lines = [MARK, *_headline(review)]
    room -= sum(len(line) + 1 for line in lines)
    for section in _SECTIONS:
        written, room = _within(list(section(review)), room)
        lines += written
    return "\n".join([*lines, "", *_footer(review)])


def _within(section: list[str], room: int) -> tuple[list[str], int]:
    """Keep the lines that fit, and count the rest."""
    kept: list[str] = []
    for index, line in enumerate(section):
        room -= len(line) + 1
        if room < 0:
            left_out = len(section) - index
            if "</details>" in section[index:] and "</details>" not in kept and len(kept) > DETAILS_AT:
                kept += ["", "</details>"]
            return [*kept, "", f"*{left_out} more lines: `tinyfleet plan --base … --head … --output json`*"], 0
        kept.append(line)
    return kept, room


def _headline(review: Review) -> Iterator[str]:
    impact = review.impact
    base = f"`{short(review.before.commit)}`" if review.before.commit else "an empty fleet"
    yield f"### Plan from {base} to `{short(review.after.commit)}`"
    yield ""
    if not impact.affected:
        yield f"**No device affected**, of {counted(len(review.after.devices), 'device')}."
    else:
        blocked = sum(isinstance(each.action, Blocked) for each in impact.affected)
        rollouts = ", ".join(escaped(f"{each.rollout.name}") for each in review.rollouts[:5])
        more = f" and {len(review.rollouts) - 5} more" if len(review.rollouts) > 5 else ""  # noqa: PLR2004 - as shown
        yield (
            f"**{counted(len(impact.affected), 'device')} of {len(review.after.devices):,} affected**:"
            f" {len(impact.affected) - blocked:,} change, {blocked:,} blocked. Rollouts: {rollouts or '-'}{more}."
            f" {_risk_count(review.risks)}"
        )
    if impact.pending:
        yield ""
        yield f"{counted(impact.pending, 'more device')} not yet in the desired state of the base."


def _risk_count(risks: tuple[Risk, ...]) -> str:
    return f"**{counted(len(risks), 'risk')} to check.**" if risks else "No risks found."


def _risks(review: Review) -> Iterator[str]:
    if review.risks:
        yield from ("", "#### Risks", "")
        yield from _rows(
            review.risks, lambda risk: f"- **{risk.code}** ({escaped(risk.subject)}): {escaped(risk.message)}"
        )


def _blocked(review: Review) -> Iterator[str]:
    if review.blocked:
        yield from ("", "#### Blocked", "", "| devices | reason | rollout | message |", "|---:|---|---|---|")
        yield from _rows(review.blocked, _blocked_row)


def _blocked_row(each: BlockedDevices) -> str:
    who = escaped(names(list(each.devices)))
    return (
        f"| {len(each.devices):,} | {each.reason} | {escaped(each.rollout or '-')} | {escaped(each.message)} ({who}) |"
    )


def _waves(review: Review) -> Iterator[str]:
    for each in review.rollouts:
        yield from ("", f"#### Rollout {escaped(each.rollout.name)}: {_models(each)}", "")
        yield from (f"- {line}" for line in _terms(review, each))
        yield from ("", "| wave | devices | affected | actions | busiest line | soak | earliest end |")
        yield "|---|---:|---:|---|---:|---:|---|"
        yield from _rows(each.waves, _wave)


def _models(each: RolloutReview) -> str:
    now, before = each.rollout.model, each.before.model if each.before is not None else None
    if before is None:
        return f"{escaped(str(now))}, a new rollout"
    if before == now:
        return escaped(str(now))
    if before.name == now.name:
        return f"{escaped(before.name)} {escaped(before.version)} → {escaped(now.version)}"
    return f"{escaped(str(before))} → {escaped(str(now))}"


def _terms(review: Review, each: RolloutReview) -> Iterator[str]:
    """List the parameters, gates and limits of a rollout."""
    rollout = each.rollout
    model = review.after.models[rollout.model]
    old = {}
    if each.before is not None:
        old = {**review.before.models[each.before.model].parameters, **each.before.parameters}
    new = {**model.parameters, **rollout.parameters}
    changed = [
        f"{key} {old.get(key, 'unset')} → {new.get(key, 'unset')}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    if changed:
        yield f"parameters: {escaped(', '.join(changed))}"
    built = ", ".join(_limits(gate.metric, gate.at_least, gate.at_most) for gate in model.gates)
    yield f"build gates: {escaped(built) or 'none'}"
    health = ", ".join(
        _limits(gate.metric, gate.at_least, gate.at_most) + _over(gate.min_inferences) for gate in rollout.gates
    )
    yield f"health gates: golden vectors{', ' + escaped(health) if health else ''}"
    budget = f"{each.allowed_failures:,} of {each.devices:,}, then {rollout.on_failure}"
    yield f"failure budget: {budget}; {_policy(rollout)}"


def _limits(metric: str, at_least: float | None, at_most: float | None) -> str:
    parts = [f"≥ {at_least:g}"] if at_least is not None else []
    parts += [f"≤ {at_most:g}"] if at_most is not None else []
    return f"{metric} {' and '.join(parts)}"


def _over(inferences: int) -> str:
    return f" over {inferences:,} inferences" if inferences else ""


def _policy(rollout: Rollout) -> str:
    parts = ["critical: ignores windows"] if rollout.critical else []
    parts += ["**suspended**"] if rollout.suspend else []
    parts += [f"starts after {escaped(', '.join(rollout.depends_on))}"] if rollout.depends_on else []
    return "; ".join([*parts, f"fallback {rollout.fallback}"])


def _wave(wave: WaveReview) -> str:
    actions = ", ".join(f"{count:,} {kind}" for kind, count in sorted(wave.counts.items(), key=lambda item: item[0]))
    line = duration(wave.longest_s) if wave.work else "-"
    soak = duration(wave.soak_s) if wave.soak_s else "-"
    end = f"{wave.ends_at:%Y-%m-%d %H:%M}" if wave.ends_at is not None else "?"
    return (
        f"| {escaped(wave.name)} | {len(wave.members):,} | {len(wave.affected):,} | {actions or '-'} | {line} | {soak}"
        f" | {end if wave.affected else '-'} |"
    )


def _lines(review: Review) -> Iterator[str]:
    if review.lines:
        yield from ("", "#### Lines", "", "| line | devices | bytes | longest device | all devices |")
        yield "|---|---:|---:|---:|---:|"
        slowest = sorted(review.lines, key=lambda each: (-(each.total_s or 0.0), each.line))
        yield from _rows(slowest, _line)


def _line(each: LineTime) -> str:
    about = "" if each.exact else "≤ "
    longest = f"{about}{duration(each.longest_s)}" if each.longest_s is not None else "-"
    total = f"{about}{duration(each.total_s)}" if each.total_s is not None else "no limit"
    return f"| {escaped(str(each.line))} | {each.devices:,} | {about}{each.payload_bytes:,} | {longest} | {total} |"


def _payloads(review: Review) -> Iterator[str]:
    kinds: dict[tuple[str, str, str, str, int], tuple[int, float | None]] = {}
    for load in review.loads:
        key = (*_kind(load), str(load.payload), load.line.baud)
        count, _ = kinds.get(key, (0, None))
        kinds[key] = (count + len(load.devices), load.each_s)
    if kinds:
        yield from ("", "#### Payloads", "", "| from | to | type | payload | link | devices | per device |")
        yield "|---|---|---|---|---|---:|---:|"
        ranked = sorted(kinds.items(), key=lambda item: (-item[1][0], item[0]))
        yield from _rows(
            ranked,
            lambda item: (
                f"| {escaped(item[0][0])} | {escaped(item[0][1])} | {escaped(item[0][2])} | {escaped(item[0][3])}"
                f" | {f'{item[0][4]} baud' if item[0][4] else 'MQTT'} | {item[1][0]:,}"
                f" | {duration(item[1][1]) if item[1][1] is not None else '-'} |"
            ),
        )


def _kind(load: TransferLoad) -> tuple[str, str, str]:
    kind = load.kind
    if kind is None:
        return ("-", "-", "-")
    return (str(kind.running) if kind.running is not None else "unknown", str(kind.desired), kind.type)


def _fits(review: Review) -> Iterator[str]:
    if review.fits:
        yield from ("", "#### Capacity", "", "| model | type | devices | slot | arena | operators | |")
        yield "|---|---|---:|---:|---:|---|---|"
        yield from _rows(sorted(review.fits, key=lambda fit: fit.fits), _fit)


def _fit(fit: Fit) -> str:
    slot = f"{_figure(fit.slot_needed)} of {fit.slot_bytes:,}"
    arena = f"{_figure(fit.arena_needed)} of {fit.arena_bytes:,}"
    missing = f"missing: {', '.join(fit.missing)}" if fit.missing else "all present"
    verdict = "fits" if fit.fits else "**does not fit**"
    known = "built" if fit.built else "declared by the model"
    model = escaped(str(fit.model))
    return f"| {model} | {escaped(fit.type)} | {fit.devices:,} | {slot} | {arena} | {missing} | {verdict}, {known} |"


def _figure(needed: int) -> str:
    return f"{needed:,}" if needed else "?"


def _pipelines(review: Review) -> Iterator[str]:
    for each in review.pipelines:
        yield from pipeline_lines(each)


def _changes(review: Review) -> Iterator[str]:
    others = [change for change in review.changes if change.document != "Device"]
    devices = Counter(change.kind for change in review.changes if change.document == "Device")
    if not review.changes:
        yield from ("", "No document changed.")
        return
    yield from ("", "<details><summary>Documents</summary>", "")
    if devices:
        yield f"- Devices: {', '.join(f'{count:,} {kind}' for kind, count in sorted(devices.items()))}"
    yield from _rows(others, _change, limit=CHANGES_SHOWN)
    yield from ("", "</details>")


def _change(change: DocumentChange) -> str:
    what = f": {escaped(', '.join(change.fields))}" if change.fields else ""
    return f"- {change.document} {escaped(change.name)} {change.kind}{what}"


def _footer(review: Review) -> Iterator[str]:
    reports = sorted(review.reported.gateways.values(), key=lambda each: each.gateway)
    known = sum(len(each.devices) for each in reports)
    newest = max((each.at for each in reports if each.at is not None), default=None)
    when = f", the newest at {newest:%Y-%m-%d %H:%M UTC}" if newest is not None else ""
    missing = len(review.after.gateways.keys() - review.reported.gateways.keys())
    silent = (
        f"; {counted(missing, 'gateway')} without status, whose devices count as matching the base" if missing else ""
    )
    yield (
        f"<sub>{review.at:%Y-%m-%d %H:%M UTC}. Status of {counted(known, 'device')} from"
        f" {counted(len(reports), 'gateway')}{when}{silent}."
        " Times are best-case estimates: no device fails, every device answers."
        " ≤ marks an upper bound for a model that is not built yet.</sub>"
    )


def _rows(rows: Iterable[Row], write: Callable[[Row], str], *, limit: int = ROWS_SHOWN) -> Iterator[str]:
    every = list(rows)
    yield from (write(row) for row in every[:limit])
    if len(every) > limit:
        yield ""
        yield f"*and {len(every) - limit:,} more*"


_SECTIONS: tuple[Callable[[Review], Iterator[str]], ...] = (
    _risks,
    _blocked,
    _waves,
    _pipelines,
    _lines,
    _payloads,
    _fits,
    _changes,
)
