# SPDX-License-Identifier: Apache-2.0
"""Pages as text: what stands in them, what can't get into them, and what they cost."""

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
from reconciler.page.page_model import Detail, Mood, PageModel, moods, reasons
from reconciler.page.routes import committed, files, served
from reconciler.page.urls import Query
from tests.page.fleets import HOSTILE, NOW, PUMPS, ago, alike, detail, gateway, hostile, moment, rich, told


class Reader(HTMLParser):
    """What a browser would make of it: all elements with their attributes, and the words between them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
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
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def ask(fleet: PageModel, path: str, query: str = "") -> Reader:
    page = served(path, query, fleet, lambda name: detail(fleet, name))
    assert page is not None
    return Reader(page)


def every_page(fleet: PageModel) -> list[bytes]:
    def details(name: DeviceId) -> Detail | None:
        found = detail(fleet, name)
        return found and replace(found, facts=[(HOSTILE, HOSTILE)], failed={HOSTILE: HOSTILE})

    asked = served("/devices", f"reason={HOSTILE}&name={HOSTILE}&rollout={HOSTILE}&sort={HOSTILE}", fleet, details)
    assert asked is not None
    return [asked, committed(replace(fleet, present=None)), *(page for _, page in files(fleet, details))]


def test_names_and_messages_stay_words() -> None:
    pages = every_page(hostile())
    assert len(pages) == 7
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
def test_whatever_is_said_is_read_as_it_was_said(words: str, value: str) -> None:
    seen = Reader(str(element("p", words, title=value)).encode())
    assert [tag for tag, _ in seen.found] == ["p"]
    kept = [re.sub(r"[^\w .,;<>&'\"/-]", "", each) for each in ("".join(seen.words), seen.all("p")[0]["title"] or "")]
    assert kept == [re.sub(r"[^\w .,;<>&'\"/-]", "", each) for each in (words, value)]


def test_nothing_of_others_is_let_through_raw() -> None:
    with pytest.raises(ValueError, match="style"):
        raw("style", "</style><script>")
    with pytest.raises(ValueError, match="script"):
        raw("script", "1")


@pytest.mark.parametrize("path", ["/", "/devices", "/devices/pump-2003", "/rollouts/pump-vibration"])
def test_a_page_has_its_landmarks_its_headings_in_order_and_nothing_from_outside(path: str) -> None:
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


def test_what_is_stuck_is_told_with_why_since_when_and_what_to_do() -> None:
    text = ask(rich(), "/").text
    assert "9 devices ! NotReporting What to do: check the power, the link and the public key of the device" in text
    assert "2026-05-04 08:38 · 52 min two devices answer in its name" in text
    assert "What to do: find out who speaks in its name." in text
    assert text.index("NotReporting") < text.index("HeldWave")
    assert "1 in 21 277" in text
    assert "181 B/s" in text


def test_a_fleet_without_trouble_says_so() -> None:
    fleet = PageModel(gateway(), [told(NoChange(DeviceId("a"), "runs it"), NOW, "m@1")], ())
    text = Reader(committed(fleet)).text
    assert "1 of 1 device where Git wants it" in text
    assert "On its way" not in text
    nobody = Reader(committed(PageModel(None, [], ())))
    assert "has told nothing yet" in nobody.text
    assert "Nothing needs anybody." in nobody.text


def test_histograms_have_words_that_say_the_same() -> None:
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


def test_the_list_is_asked_by_its_address() -> None:
    fleet = rich()
    assert rows(ask(fleet, "/devices")) == PER_PAGE
    assert rows(ask(fleet, "/devices", "page=21")) == len(fleet.devices) - 20 * PER_PAGE
    assert rows(ask(fleet, "/devices", "page=99999")) == len(fleet.devices) - 20 * PER_PAGE
    assert rows(ask(fleet, "/devices", "reason=NotReporting")) == 9
    assert rows(ask(fleet, "/devices", "name=PUMP-300&reason=NotReporting")) == 2
    assert rows(ask(fleet, "/devices", f"rollout={PUMPS}&reason=Quarantined")) == 1
    assert "No device is like that." in ask(fleet, "/devices", "name=nobody").text
    first = ask(fleet, "/devices", "sort=name").text
    assert first.index("door-100") < first.index("door-101") < first.index("door-17")
    by_time = ask(fleet, "/devices", "sort=since").text
    assert by_time.index("meter-0000") < by_time.index("meter-0001")
    assert "door-sound@2.0.1" in ask(fleet, "/devices", "sort=model").text


@settings(deadline=None)
@given(st.text())
def test_any_question_is_read(text: str) -> None:
    query = Query.parsed(text)
    assert 1 <= query.page <= 10**6
    assert Query.parsed(str(query)) == query


def test_a_question_with_too_many_parts_is_none() -> None:
    assert Query.parsed("&".join(["reason=Ready"] * 11)) == Query()
    assert Query.parsed("page=3&page=4&sort=odd") == Query(page=4)


def test_only_what_is_going_on_is_told_of_the_moment() -> None:
    quiet = replace(moment(), in_progress_count=0, building=())
    assert "At this moment" not in ask(replace(rich(), present=quiet), "/").text
    text = ask(replace(rich(), present=replace(quiet, waiting_count=3)), "/").text
    assert "At this moment: 3 devices to be tried again." in text


def test_a_device_that_left_while_files_are_written_has_none() -> None:
    written = dict(files(replace(rich(), devices=alike(2)), lambda _: None))
    assert {name for name in written if name.startswith("devices")} == {"devices.html"}


def test_a_device_of_no_rollout_without_a_model_shows_its_digest() -> None:
    name = DeviceId("spare-1")
    fleet = PageModel(gateway(), [told(NoChange(name, "no rollout names it"), NOW, None)], (), moment())
    assert "8b1a998b1a99" in ask(fleet, "/devices").text
    page = served("/devices/spare-1", "", fleet, lambda _: Detail(fleet.devices[0], None, [], {}))
    assert page is not None
    assert "rollout \N{EN DASH} model \N{EN DASH} running 8b1a998b1a99" in Reader(page).text
    assert "seen never" in Reader(page).text


def test_what_is_not_there_is_not_there() -> None:
    fleet = rich()
    for path in ("/nothing", "/devices/nobody", "/rollouts/none", "/devices/", "/devices/..%2f..%2fetc", ""):
        assert served(path, "", fleet, lambda name: detail(fleet, name)) is None, path


def test_ten_thousand_devices_cost_a_page_and_not_ten_thousand_rows() -> None:
    fleet = PageModel(gateway(), alike(10_000), rich().rollouts, moment())
    small = PageModel(gateway(), alike(100), rich().rollouts, moment())
    assert moods(fleet.devices) == {Mood.GOOD: 9000, Mood.WAIT: 0, Mood.ACT: 1000}
    assert [(each.name, len(each.devices)) for each in reasons(fleet.devices)] == [("NotReporting", 1000)]
    for path in ("/", "/devices"):
        large_page, small_page = (served(path, "", each, lambda _: None) for each in (fleet, small))
        assert large_page is not None
        assert small_page is not None
        assert len(large_page) < 1.3 * len(small_page) < 120_000, path
    assert len(committed(replace(fleet, present=None))) < 60_000


def test_the_committed_page_is_the_same_at_any_time() -> None:
    fleet = rich(present=False)
    page = committed(fleet)
    assert page == committed(PageModel(fleet.gateway, tuple(reversed(fleet.devices)), tuple(reversed(fleet.rollouts))))
    text = Reader(page).text
    assert "31 h" not in text
    assert "Links" not in text
    with pytest.raises(ValueError, match="commit of every pass"):
        committed(rich())
    assert {"devices/pump-2003.yaml", "rollouts/pump-vibration.yaml"} <= {
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
def test_words_and_shapes_can_be_told_from_what_is_behind_them(palette: dict[str, str]) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    words = {pair: contrast(palette[pair[0]], palette[pair[1]]) for pair in stylesheet.WORDS}
    shapes = {pair: contrast(palette[pair[0]], palette[pair[1]]) for pair in stylesheet.SHAPES}
    assert {pair: ratio for pair, ratio in words.items() if ratio < 4.5} == {}
    assert {pair: ratio for pair, ratio in shapes.items() if ratio < 3} == {}


def test_time_is_told_in_units_that_fit() -> None:
    text = ask(
        PageModel(gateway(), [told(NoChange(DeviceId("a"), ""), ago(seconds=5), "m@1")], (), moment()), "/devices"
    ).text
    assert "· 5 s" in text
