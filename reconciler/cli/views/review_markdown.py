# SPDX-License-Identifier: Apache-2.0
"""A review as a comment on a pull request: the most important first, each list only as long as the comment has room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from reconciler.cli.views.plan_text import COMMENT_CHARS, escaped, names, plural
from reconciler.model import Blocked, Rollout
from reconciler.review.document_diff import DocumentChange
from reconciler.review.forecast import RolloutReview, WaveReview
from reconciler.review.review import Fit, Obstacle, Review
from reconciler.review.risks import Risk
from reconciler.review.transfer_volume import LineTime, TransferLoad

Row = TypeVar("Row")

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
ROWS_SHOWN = 40  # of one table; the comment's limit may leave room for fewer
CHANGES_SHOWN = 30
KEPT_CHARS = 2_000  # for the line that tells what was left out, and a forge's own additions
DETAILS_AT = 1  # where a section that folds opens its fold
MARK = "<!-- tinyfleet plan -->"  # by which a workflow finds its comment again


def markdown(review: Review) -> str:
    """Write for a comment. Sections come in order of weight; what does not fit is counted."""
    room = COMMENT_CHARS - KEPT_CHARS
    lines = [MARK, *_headline(review)]
    room -= sum(len(line) + 1 for line in lines)
    for section in _SECTIONS:
        written, room = _within(list(section(review)), room)
        lines += written
    return "\n".join([*lines, "", *_footer(review)])


def _within(section: list[str], room: int) -> tuple[list[str], int]:
    """Keep the lines for which there is room, and say how many are left out."""
    kept: list[str] = []
    for index, line in enumerate(section):
        room -= len(line) + 1
        if room < 0:
            left_out = len(section) - index
            if "</details>" in section[index:] and "</details>" not in kept and len(kept) > DETAILS_AT:
                kept += ["", "</details>"]
            return [*kept, "", f"*{left_out} more lines: `tinyfleet plan --base … --head … --format json`*"], 0
        kept.append(line)
    return kept, room


def _headline(review: Review) -> Iterator[str]:
    reach = review.reach
    base = f"`{review.before.commit[:12]}`" if review.before.commit else "nothing"
    yield f"### Plan from {base} to `{review.after.commit[:12]}`"
    yield ""
    if not reach.touched:
        yield f"**No device is touched** of {plural(len(review.after.devices))}."
    else:
        cant = sum(isinstance(each.action, Blocked) for each in reach.touched)
        rollouts = ", ".join(escaped(f"{each.rollout.name}") for each in review.rollouts[:5])
        more = f" and {len(review.rollouts) - 5} more" if len(review.rollouts) > 5 else ""  # noqa: PLR2004 - as shown
        yield (
            f"**{plural(len(reach.touched))} of {len(review.after.devices):,} touched**:"
            f" {len(reach.touched) - cant:,} change, {cant:,} can't. Rollouts: {rollouts or '-'}{more}."
            f" {_risk_count(review.risks)}"
        )
    if reach.pending:
        yield ""
        yield f"{plural(reach.pending)} beside these have yet to become what is wanted already."


def _risk_count(risks: tuple[Risk, ...]) -> str:
    return f"**{len(risks)} to look at twice.**" if risks else "Nothing stands out."


def _risks(review: Review) -> Iterator[str]:
    if review.risks:
        yield from ("", "#### Look at twice", "")
        yield from _rows(review.risks, lambda risk: f"- **{risk.code}** ({escaped(risk.about)}): {escaped(risk.words)}")


def _obstacles(review: Review) -> Iterator[str]:
    if review.obstacles:
        yield from ("", "#### Can't, and why", "", "| devices | reason | rollout | why |", "|---:|---|---|---|")
        yield from _rows(review.obstacles, _obstacle)


def _obstacle(each: Obstacle) -> str:
    who = escaped(names(list(each.devices)))
    return f"| {len(each.devices):,} | {each.reason} | {escaped(each.rollout or '-')} | {escaped(each.why)} ({who}) |"


def _waves(review: Review) -> Iterator[str]:
    for each in review.rollouts:
        yield from ("", f"#### Rollout {escaped(each.rollout.name)}: {_models(each)}", "")
        yield from (f"- {line}" for line in _terms(review, each))
        yield from ("", "| wave | devices | touched | what | on the line | soak | over at best |")
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
    """Say how carefully it goes."""
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
    built = ", ".join(_bar(gate.metric, gate.at_least, gate.at_most) for gate in model.gates)
    yield f"build gates: {escaped(built) or 'none'}"
    health = ", ".join(
        _bar(gate.metric, gate.at_least, gate.at_most) + _over(gate.min_inferences) for gate in rollout.gates
    )
    yield f"health gates: golden vectors{', ' + escaped(health) if health else ''}"
    yield f"failure budget: {each.allowed:,} of {each.devices:,}, then {rollout.on_failure}; {_standing(rollout)}"


def _bar(metric: str, at_least: float | None, at_most: float | None) -> str:
    parts = [f"≥ {at_least:g}"] if at_least is not None else []
    parts += [f"≤ {at_most:g}"] if at_most is not None else []
    return f"{metric} {' and '.join(parts)}"


def _over(inferences: int) -> str:
    return f" over {inferences:,} inferences" if inferences else ""


def _standing(rollout: Rollout) -> str:
    parts = ["critical: leaves windows"] if rollout.critical else []
    parts += ["**suspended**"] if rollout.suspend else []
    parts += [f"begins after {escaped(', '.join(rollout.depends_on))}"] if rollout.depends_on else []
    return "; ".join([*parts, f"fallback {rollout.fallback}"])


def _wave(wave: WaveReview) -> str:
    what = ", ".join(f"{count:,} {word}" for word, count in sorted(wave.counts.items(), key=lambda item: item[0]))
    line = duration(wave.longest_s) if wave.work else "-"
    soak = duration(wave.soak_s) if wave.soak_s else "-"
    over = (
        f"{wave.ends_at:%Y-%m-%d %H:%M}" if wave.ends_at is not None and wave.touched else "?" if wave.touched else "-"
    )
    return (
        f"| {escaped(wave.name)} | {len(wave.members):,} | {len(wave.touched):,} | {what or '-'} | {line} | {soak}"
        f" | {over} |"
    )


def _lines(review: Review) -> Iterator[str]:
    if review.lines:
        yield from ("", "#### Lines", "", "| line | devices | bytes | longest device | all devices |")
        yield "|---|---:|---:|---:|---:|"
        slowest = sorted(review.lines, key=lambda each: (-(each.total_s or 0.0), each.line))
        yield from _rows(slowest, _line)


def _line(each: LineTime) -> str:
    about = "" if each.exact else "≤ "
    longest = f"{about}{duration(each.each_s)}" if each.each_s is not None else "-"
    total = f"{about}{duration(each.total_s)}" if each.total_s is not None else "no limit set"
    return f"| {escaped(str(each.line))} | {each.devices:,} | {about}{each.payload_bytes:,} | {longest} | {total} |"


def _payloads(review: Review) -> Iterator[str]:
    sorts: dict[tuple[str, str, str, str, int], tuple[int, float | None]] = {}
    for load in review.loads:
        key = (*_sort(load), str(load.payload), load.line.baud)
        count, _ = sorts.get(key, (0, None))
        sorts[key] = (count + len(load.devices), load.each_s)
    if sorts:
        yield from ("", "#### Payloads", "", "| from | to | type | payload | link | devices | each |")
        yield "|---|---|---|---|---|---:|---:|"
        ranked = sorted(sorts.items(), key=lambda item: (-item[1][0], item[0]))
        yield from _rows(
            ranked,
            lambda item: (
                f"| {escaped(item[0][0])} | {escaped(item[0][1])} | {escaped(item[0][2])} | {escaped(item[0][3])}"
                f" | {f'{item[0][4]} baud' if item[0][4] else 'MQTT'} | {item[1][0]:,}"
                f" | {duration(item[1][1]) if item[1][1] is not None else '-'} |"
            ),
        )


def _sort(load: TransferLoad) -> tuple[str, str, str]:
    if load.sort is None:
        return ("-", "-", "-")
    return (str(load.sort.held) if load.sort.held is not None else "unknown", str(load.sort.wanted), load.sort.type)


def _fits(review: Review) -> Iterator[str]:
    if review.fits:
        yield from ("", "#### Room", "", "| model | type | devices | slot | arena | operators | |")
        yield "|---|---|---:|---:|---:|---|---|"
        yield from _rows(sorted(review.fits, key=lambda fit: fit.fits), _fit)


def _fit(fit: Fit) -> str:
    slot = f"{_figure(fit.slot_needed)} of {fit.slot_bytes:,}"
    arena = f"{_figure(fit.arena_needed)} of {fit.arena_bytes:,}"
    missing = f"lacks {', '.join(fit.missing)}" if fit.missing else "all there"
    verdict = "fits" if fit.fits else "**does not fit**"
    known = "built" if fit.built else "by the model's word"
    model = escaped(str(fit.model))
    return f"| {model} | {escaped(fit.type)} | {fit.devices:,} | {slot} | {arena} | {missing} | {verdict}, {known} |"


def _figure(needed: int) -> str:
    return f"{needed:,}" if needed else "?"


def _changes(review: Review) -> Iterator[str]:
    others = [change for change in review.changes if change.document != "Device"]
    devices = Counter(change.kind for change in review.changes if change.document == "Device")
    if not review.changes:
        yield from ("", "The documents say the same.")
        return
    yield from ("", "<details><summary>Documents</summary>", "")
    if devices:
        yield f"- Devices: {', '.join(f'{count:,} {kind}' for kind, count in sorted(devices.items()))}"
    yield from _rows(others, _change, most=CHANGES_SHOWN)
    yield from ("", "</details>")


def _change(change: DocumentChange) -> str:
    what = f": {escaped(', '.join(change.fields))}" if change.fields else ""
    return f"- {change.document} {escaped(change.name)} {change.kind}{what}"


def _footer(review: Review) -> Iterator[str]:
    told = sorted(review.evidence.gateways.values(), key=lambda each: each.gateway)
    known = sum(len(each.devices) for each in told)
    newest = max((each.at for each in told if each.at is not None), default=None)
    when = f", the newest of {newest:%Y-%m-%d %H:%M UTC}" if newest is not None else ""
    missing = len(review.after.gateways.keys() - review.evidence.gateways.keys())
    silent = f"; {missing} told nothing, and their devices count as being where the base wants them" if missing else ""
    yield (
        f"<sub>{review.at:%Y-%m-%d %H:%M UTC}. Status of {known:,} devices by {len(told)} gateways{when}{silent}."
        " Times are estimates at best: nobody fails, every device answers. ≤ marks what is not built yet.</sub>"
    )


def _rows(rows: Iterable[Row], write: Callable[[Row], str], *, most: int = ROWS_SHOWN) -> Iterator[str]:
    every = list(rows)
    yield from (write(row) for row in every[:most])
    if len(every) > most:
        yield ""
        yield f"*and {len(every) - most:,} more*"


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 1.5 * unit_s:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else "< 1 s"


_SECTIONS: tuple[Callable[[Review], Iterator[str]], ...] = (
    _risks,
    _obstacles,
    _waves,
    _lines,
    _payloads,
    _fits,
    _changes,
)
