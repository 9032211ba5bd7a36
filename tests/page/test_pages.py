# SPDX-License-Identifier: Apache-2.0
"""The content of pages, escaping, and size."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import DeviceId, NoChange
from reconciler.page import charts, stylesheet
from reconciler.page.devices import PER_PAGE
from reconciler.page.html import VOID, element, raw
from reconciler.page.page_model import DeviceDetail, PageModel, Urgency, count_by_urgency, reasons
from reconciler.page.routes import committed, files, served
from reconciler.page.urls import Query
from reconciler.report.device_status import PassStamp
from reconciler.report.gateway_status import GatewayFacts, NodeState, SourceState, gateway_status
from tests.page.fleets import (
    COMMIT,
    HOSTILE,
    NOW,
    PUMPS,
    ago,
    detail,
    gateway,
    hostile,
    live_state,
    rich,
    similar,
    status_of,
)


class Reader(HTMLParser):
    """A page as a browser parses it: all elements with their attributes, and the text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self.open: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def ask(fleet: PageModel, path: str, query: str = "") -> Reader:
    page = served(path, query, fleet, lambda name: detail(fleet, name))
    assert page is not None
    return Reader(page)


def every_page(fleet: PageModel) -> list[bytes]:
    def details(name: DeviceId) -> DeviceDetail | None:
        found = detail(fleet, name)
        return found and replace(found, facts=[(HOSTILE, HOSTILE)], failed={HOSTILE: HOSTILE})

    asked = served("/devices", f"reason={HOSTILE}&name={HOSTILE}&rollout={HOSTILE}&sort={HOSTILE}", fleet, details)
    assert asked is not None
    return [asked, committed(replace(fleet, live=None)), *(page for _, page in files(fleet, details))]


def test_names_and_messages_stay_words() -> None:
    pages = every_page(hostile())
    assert len(pages) == 8
    for page in pages:
        seen = Reader(page)
        assert seen.open == []
        assert seen.all("script") == []
        assert not any(name.startswith("on") for _, attributes in seen.found for name in attributes)
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page.decode()
        assert b"\x00" not in page
        links = [each["href"] or "" for each in seen.all("a")]
        assert all(re.fullmatch(r"[\w/.#%?=&+~-]*", link) for link in links), links
    assert any("alert('x')" in Reader(page).text for page in pages)


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_text_is_escaped(text: str, value: str) -> None:
    seen = Reader(str(element("p", text, title=value)).encode())
    assert [tag for tag, _ in seen.found] == ["p"]
    kept = [re.sub(r"[^\w .,;<>&'\"/-]", "", each) for each in ("".join(seen.parts), seen.all("p")[0]["title"] or "")]
    assert kept == [re.sub(r"[^\w .,;<>&'\"/-]", "", each) for each in (text, value)]


def test_raw_content_is_refused_if_it_is_not_our_own() -> None:
    with pytest.raises(ValueError, match="style"):
        raw("style", "</style><script>")
    with pytest.raises(ValueError, match="script"):
        raw("script", "1")


@pytest.mark.parametrize(
    "path", ["/", "/devices", "/devices/pump-2003", "/rollouts/pump-vibration", "/contests/pump-vibration"]
)
def test_a_page_has_landmarks_ordered_headings_and_no_external_resources(path: str) -> None:
    seen = ask(rich(), path)
    assert seen.all("html") == [{"lang": "en"}]
    assert [len(seen.all(tag)) for tag in ("header", "main", "footer", "h1", "title")] == [1] * 5
    levels = [int(tag[1]) for tag, _ in seen.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    names = [each["id"] for _, each in seen.found if "id" in each]
    assert len(names) == len(set(names))
    tables = len(seen.all("table"))
    assert tables == len(seen.all("caption")) > 0
    assert all(each.get("scope") in {"col", "row"} for each in seen.all("th"))
    for picture in seen.all("svg"):
        assert picture.get("aria-label") or picture.get("aria-hidden") == "true"
    outside = [value for _, each in seen.found for key in ("src", "href", "action") if (value := each.get(key))]
    assert all(value.startswith(("/", "#", "data:,")) for value in outside)


def test_what_needs_attention_is_listed_with_reason_time_and_remedy() -> None:
    text = ask(rich(), "/").text
    assert "9 devices ! NotReporting What to do: check the power, the link and the public key of the device" in text
    assert "2026-05-04 08:38 · 52 min two devices answer in its name" in text
    assert "What to do: find out who sends in its name." in text
    assert text.index("NotReporting") < text.index("HeldWave")
    assert "1 in 21 277" in text
    assert "181 B/s" in text


def test_a_contest_shows_its_champion_the_limits_the_ranks_and_what_it_waits_for() -> None:
    text = ask(rich(), "/contests/pump-vibration").text
    for part in (
        "Champion vibration@1.3.0 at 0.65",
        "Since 2026-05-01 09:30 UTC · 3 d",
        "Successor vibration@1.2.0 at 0.65",
        "pump-0007 7 of 5 0 of 5",
        "and 7 more devices; 1 must reach a limit",
        "vibration@1.3.0 at 0.65 (champion) -118",
        "vibration@1.2.0 at 0.65 +640 1 412 4.0 0.0 yes",
        "+612 1 412 29.0 1.0 too many false alarms",
        "Decided windows 1 412 of at least 50",
        "Replacements 1 of at most 3",
        "propose/hall-north/pump-vibration proposes vibration@1.2.0 at 0.65",
        "KnowledgeKept",
    ):
        assert part in text, part


def test_an_open_proposal_needs_attention_until_it_is_merged() -> None:
    text = ask(rich(), "/").text
    assert "Contest pump-vibration propose/hall-north/pump-vibration proposes" in text
    assert "What to do: review and merge the branch, or remove it." in text


def test_trainings_show_their_progress_and_what_waits_for_a_person() -> None:
    fleet = rich()
    text = ask(fleet, "/").text
    assert "13 of 40" in text
    assert "vibration@20261129-5f0c3b9e" in text
    assert "propose/hall-north/training_pump-forests proposes" in text
    newer = replace(fleet.trainings[1].figures, done=29)
    live = replace(live_state(), trainings={newer.training: newer})
    assert "29 of 40" in ask(replace(fleet, live=live), "/").text


def test_operations_show_their_calls_and_a_function_that_fails_needs_attention() -> None:
    fleet = rich()
    text = ask(fleet, "/").text
    assert "by rms 1.2.0" in text
    assert re.search(r"Function peaks \S* ?OutOfFuel", text)
    assert "the last call failed: it used up its fuel" in text
    newer = replace(fleet.functions[0].figures, calls=98_765)
    live = replace(live_state(), functions={newer.function: newer})
    assert "98 765" in ask(replace(fleet, live=live), "/").text
    assert "Operations" not in ask(replace(fleet, functions=()), "/").text


def test_a_node_shows_its_state_and_how_full_its_buckets_are() -> None:
    serving = NodeState(good=False, reason="RequestsRefused", message="the broker refuses the subscription")
    facts = GatewayFacts("hall-north", SourceState(good=True, reason="Fetched", message="ok"), node=serving)
    fleet = replace(rich(), functions=(), gateway=gateway_status(facts, PassStamp(NOW, COMMIT), None))
    text = ask(fleet, "/").text
    assert re.search(r"RequestsRefused the broker refuses the subscription", text)
    assert re.search(r"vibration\s+98.412\s+61.204.331", text)
    quiet = ask(replace(fleet, live=replace(live_state(), buckets=())), "/").text
    assert "RequestsRefused" in quiet
    assert "Buckets of the local storage" not in quiet


def test_pipelines_show_who_runs_each_stage() -> None:
    fleet = rich()
    page = ask(fleet, "/")
    assert "1: cam-1" in page.text
    assert "2: gateway for cam-2" in page.text
    assert "84 ms measured, 80 ms predicted" in page.text
    classes = [attributes.get("class") for tag, attributes in page.found if tag == "li"]
    assert [each for each in classes if each and each.startswith("stage ")] == ["stage good", "stage wait"]
    newer = replace(fleet.pipelines[0].figures, answered=77_000)
    live = replace(live_state(), pipelines={newer.pipeline: newer})
    assert "77 000 inputs" in ask(replace(fleet, live=live), "/").text


def test_the_served_page_has_the_newest_figures_of_a_contest() -> None:
    fleet = rich()
    newer = replace(fleet.contests[0].figures, undecided=77_000)
    live = replace(live_state(), contests={newer.contest: newer})
    assert "77 000" in ask(replace(fleet, live=live), "/contests/pump-vibration").text
    assert "77 000" not in ask(fleet, "/contests/pump-vibration").text


def test_the_phases_of_a_model_are_a_ring_with_an_equivalent_text() -> None:
    labels = [each.get("aria-label") or "" for each in ask(rich(), "/").all("svg")]
    assert "6 of 6 phases are done: Adapted, Verified, Packaged, Released, Configured, Monitored" in labels
    assert "5 of 6 phases are done: Adapted, Verified, Packaged, Configured, Monitored" in labels
    assert "Phases of vibration@1.3.0" not in ask(rich(), "/").text


def test_a_gateway_without_contests_has_no_section_for_them() -> None:
    text = ask(replace(rich(), contests=(), models=()), "/").text
    assert "Contests" not in text
    assert "Models that" not in text


def test_a_fleet_without_problems() -> None:
    fleet = PageModel(gateway(), [status_of(NoChange(DeviceId("a"), "runs it"), NOW, "m@1")], ())
    text = Reader(committed(fleet)).text
    assert "1 of 1 device ready" in text
    assert "In progress or waiting" not in text
    empty = Reader(committed(PageModel(None, [], ())))
    assert "has not reported yet" in empty.text
    assert "Nothing needs attention." in empty.text


def test_histograms_have_an_equivalent_text() -> None:
    pictures = [each for each in ask(rich(), "/").all("svg") if "Scores" in (each.get("aria-label") or "")]
    assert len(pictures) == 2
    assert "128\N{EN DASH}2Ki: 80 %" in (pictures[1]["aria-label"] or "")
    names = [charts.bin_name(index, 8).replace("\N{EN DASH}", "-") for index in range(8)]
    assert names == [
        "0-7", "8-127", "128-2Ki", "2Ki-32Ki", "32Ki-512Ki", "512Ki-8Mi", "8Mi-128Mi", "128Mi or more",
    ]  # fmt: skip
    assert [charts.share(part, 1000) for part in (0, 1, 500, 999, 1000)] == ["0 %", "<1 %", "50 %", ">99 %", "100 %"]


def rows(seen: Reader) -> int:
    return sum(each.get("scope") == "row" for each in seen.all("th"))


def test_the_list_is_filtered_and_sorted_by_its_query() -> None:
    fleet = rich()
    assert rows(ask(fleet, "/devices")) == PER_PAGE
    assert rows(ask(fleet, "/devices", "page=21")) == len(fleet.devices) - 20 * PER_PAGE
    assert rows(ask(fleet, "/devices", "page=99999")) == len(fleet.devices) - 20 * PER_PAGE
    assert rows(ask(fleet, "/devices", "reason=NotReporting")) == 9
    assert rows(ask(fleet, "/devices", "name=PUMP-300&reason=NotReporting")) == 2
    assert rows(ask(fleet, "/devices", f"rollout={PUMPS}&reason=Quarantined")) == 1
    assert "No device matches." in ask(fleet, "/devices", "name=nobody").text
    first = ask(fleet, "/devices", "sort=name").text
    assert first.index("door-100") < first.index("door-101") < first.index("door-17")
    by_time = ask(fleet, "/devices", "sort=since").text
    assert by_time.index("meter-0000") < by_time.index("meter-0001")
    assert "door-sound@2.0.1" in ask(fleet, "/devices", "sort=model").text


@settings(deadline=None)
@given(st.text())
def test_any_query_is_parsed(text: str) -> None:
    query = Query.parsed(text)
    assert 1 <= query.page <= 10**6
    assert Query.parsed(str(query)) == query


def test_a_query_with_too_many_fields_is_ignored() -> None:
    assert Query.parsed("&".join(["reason=Ready"] * 11)) == Query()
    assert Query.parsed("page=3&page=4&sort=odd") == Query(page=4)


def test_current_activity_is_shown_only_if_there_is_any() -> None:
    quiet = replace(live_state(), in_progress_count=0, building=())
    assert "Now:" not in ask(replace(rich(), live=quiet), "/").text
    text = ask(replace(rich(), live=replace(quiet, waiting_count=3)), "/").text
    assert "Now: 3 devices waiting to retry." in text


def test_a_device_that_was_removed_meanwhile_has_no_file() -> None:
    written = dict(files(replace(rich(), devices=similar(2)), lambda _: None))
    assert {name for name in written if name.startswith("devices")} == {"devices.html"}


def test_a_device_without_rollout_and_model_shows_its_digest() -> None:
    name = DeviceId("spare-1")
    fleet = PageModel(gateway(), [status_of(NoChange(name, "no rollout names it"), NOW, None)], (), live_state())
    assert "8b1a998b1a99" in ask(fleet, "/devices").text
    page = served("/devices/spare-1", "", fleet, lambda _: DeviceDetail(fleet.devices[0], None, [], {}))
    assert page is not None
    assert "rollout \N{EN DASH} model \N{EN DASH} running 8b1a998b1a99" in Reader(page).text
    assert "seen never" in Reader(page).text


def test_unknown_paths_have_no_page() -> None:
    fleet = rich()
    for path in (
        "/nothing",
        "/devices/nobody",
        "/rollouts/none",
        "/contests/none",
        "/devices/",
        "/devices/..%2f..%2fetc",
        "",
    ):
        assert served(path, "", fleet, lambda name: detail(fleet, name)) is None, path


def test_the_size_of_a_page_does_not_grow_with_the_fleet() -> None:
    fleet = PageModel(gateway(), similar(10_000), rich().rollouts, live_state())
    small = PageModel(gateway(), similar(100), rich().rollouts, live_state())
    assert count_by_urgency(fleet.devices) == {Urgency.GOOD: 9000, Urgency.WAIT: 0, Urgency.ACT: 1000}
    assert [(each.name, len(each.devices)) for each in reasons(fleet.devices)] == [("NotReporting", 1000)]
    for path in ("/", "/devices"):
        large_page, small_page = (served(path, "", each, lambda _: None) for each in (fleet, small))
        assert large_page is not None
        assert small_page is not None
        assert len(large_page) < 1.3 * len(small_page) < 120_000, path
    assert len(committed(replace(fleet, live=None))) < 60_000


def test_the_committed_page_does_not_depend_on_the_time() -> None:
    fleet = rich(live=False)
    page = committed(fleet)
    devices, rollouts = tuple(reversed(fleet.devices)), tuple(reversed(fleet.rollouts))
    contests, models = tuple(reversed(fleet.contests)), tuple(reversed(fleet.models))
    trainings, pipelines = tuple(reversed(fleet.trainings)), tuple(reversed(fleet.pipelines))
    functions = tuple(reversed(fleet.functions))
    assert page == committed(
        PageModel(fleet.gateway, devices, rollouts, None, contests, models, trainings, pipelines, functions)
    )
    text = Reader(page).text
    assert "31 h" not in text
    assert "Links" not in text
    with pytest.raises(ValueError, match="commit on every pass"):
        committed(rich())
    assert {"devices/pump-2003.yaml", "rollouts/pump-vibration.yaml", "contests/pump-vibration.yaml"} <= {
        each["href"] for each in Reader(page).all("a")
    }


def test_files_link_only_to_files_that_are_written() -> None:
    fleet = rich()
    fleet = replace(fleet, devices=[each for each in fleet.devices if "9" in each.device])
    written = dict(files(fleet, lambda name: detail(fleet, name)))
    assert {"index.html", "devices.html", "devices-2.html", "rollouts/pump-vibration.html"} <= written.keys()
    for name, page in written.items():
        folder = name.rpartition("/")[0]
        links = [each["href"] or "" for each in Reader(page).all("a")]
        targets = {
            link.removeprefix("../") if link.startswith("../") else f"{folder}/{link}".lstrip("/") for link in links
        }
        assert {target.rpartition("#")[0] or target for target in targets if "#main" not in target} <= written.keys(), (
            name
        )


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [stylesheet.LIGHT, stylesheet.DARK], ids=["light", "dark"])
def test_text_and_shapes_have_enough_contrast(palette: dict[str, str]) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    texts = {pair: contrast(palette[pair[0]], palette[pair[1]]) for pair in stylesheet.TEXT_PAIRS}
    shapes = {pair: contrast(palette[pair[0]], palette[pair[1]]) for pair in stylesheet.SHAPE_PAIRS}
    assert {pair: ratio for pair, ratio in texts.items() if ratio < 4.5} == {}
    assert {pair: ratio for pair, ratio in shapes.items() if ratio < 3} == {}


def test_durations_have_a_suitable_unit() -> None:
    text = ask(
        PageModel(gateway(), [status_of(NoChange(DeviceId("a"), ""), ago(seconds=5), "m@1")], (), live_state()),
        "/devices",
    ).text
    assert "· 5 s" in text
