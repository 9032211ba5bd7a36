# SPDX-License-Identifier: Apache-2.0
"""The page in headless Chromium without JavaScript: layout, accessibility and requests."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from reconciler.page.page_model import PageModel
from reconciler.page.routes import committed, files
from tests.page.browser import DESKTOP, LAPTOP, PHONE, TABLET
from tests.page.conftest import Sight
from tests.page.fleets import detail, hostile
from tests.page.pictures import BUILT, MAX_BYTES, SHOWN, VIEWS, View, colours, size_of
from tests.page.server import serving

SIZES = {"desktop": DESKTOP, "laptop": LAPTOP, "tablet": TABLET, "phone": PHONE}
PATHS = ("/", "/devices", "/devices?reason=NotReporting&sort=name", "/devices/pump-2003", "/rollouts/pump-vibration")


def names_of(tree: list[dict[str, Any]], role: str) -> Iterator[str]:
    """Return the names of the nodes with a role, in reading order."""
    for node in tree:
        if node["role"]["value"] == role:
            yield node.get("name", {}).get("value", "")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("path", PATHS)
def test_a_page_needs_no_other_request_logs_no_error_and_does_not_scroll_sideways(
    sight: Sight, path: str, size: tuple[int, int]
) -> None:
    sight.browser.see(sight.address + path, size)
    assert sight.browser.requests() == [sight.address + path]
    assert sight.browser.log("browser") == []
    wide = sight.browser.evaluate("return document.documentElement.scrollWidth")
    assert wide == size[0]
    beyond = """
        const wide = document.documentElement.clientWidth, seen = e => !e.closest('thead, .skip');
        return [...document.querySelectorAll('body *')].filter(seen)
            .filter(e => e.getBoundingClientRect().right > wide + 1).map(e => e.outerHTML.slice(0, 200))
    """
    assert sight.browser.evaluate(beyond) == []


def test_scripts_are_disabled_and_blocked_by_the_policy(sight: Sight) -> None:
    sight.browser.see(f"{sight.address}/")
    inserted = """
        const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);
        const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);
        return window.ran === undefined
    """
    assert sight.browser.evaluate(inserted) is True
    console = " ".join(entry["message"] for entry in sight.browser.log("browser"))
    assert "x.png" in console
    assert "Content Security Policy" in console


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_accessibility_tree_has_landmarks_headings_and_tables(sight: Sight, size: tuple[int, int]) -> None:
    sight.browser.see(f"{sight.address}/", size)
    tree = sight.browser.tree()
    roles = Counter(node["role"]["value"] for node in tree)
    assert [roles[role] for role in ("banner", "main", "contentinfo")] == [1, 1, 1]
    assert list(names_of(tree, "navigation")) == ["Pages"]
    headings = list(names_of(tree, "heading"))
    assert headings[:2] == ["Fleet status", "Needs attention"]
    assert {"Rollouts", "In progress or waiting", "Links", "Scores", "vibration@1.3.0"} <= set(headings)
    tables = list(names_of(tree, "table"))
    assert "Rollouts with devices of this gateway" in tables
    assert "" not in tables
    assert {"Rollout", "Model", "State", "At risk"} <= set(names_of(tree, "columnheader"))
    assert "pump-vibration" in set(names_of(tree, "rowheader"))
    assert roles["cell"] > 2 * roles["row"] > 50
    pictures = list(names_of(tree, "image"))
    assert any(name.startswith("Scores of vibration@1.3.0") for name in pictures)
    assert "" not in pictures


def test_every_form_field_has_a_label_and_works_without_a_script(sight: Sight) -> None:
    browser = sight.browser
    browser.see(f"{sight.address}/devices")
    tree = browser.tree()
    assert {"State", "Rollout", "Sort by"} <= set(names_of(tree, "combobox"))
    assert "Name contains" in set(names_of(tree, "searchbox"))
    browser.evaluate("document.getElementById('name').value = 'pump-30'; document.getElementById('name').focus()")
    browser.press("\ue007")  # enter
    browser.wait_until("return location.search.includes('name=pump-30') && document.readyState === 'complete'")
    assert browser.evaluate("return location.pathname") == "/devices"
    assert browser.evaluate("return document.querySelectorAll('tbody tr').length") == 9


def test_the_keyboard_reaches_everything_in_order(sight: Sight) -> None:
    browser = sight.browser
    browser.see(f"{sight.address}/")
    here = "const a = document.activeElement, r = a.getBoundingClientRect(); return [a.textContent, r.left >= 0]"
    reached = []
    for _ in range(4):
        browser.press("\ue004")  # tab
        reached.append(browser.evaluate(here))
    assert reached == [["Skip to content", True], ["Overview", True], ["Devices", True], ["2\u202f003 devices", True]]
    outline = "const s = getComputedStyle(document.activeElement); return [s.outlineStyle, parseFloat(s.outlineWidth)]"
    assert browser.evaluate(outline) == ["solid", 3]


def test_the_dark_scheme_is_dark(sight: Sight) -> None:
    back = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    sight.browser.see(f"{sight.address}/", scheme="light")
    light = sight.browser.evaluate(back)
    sight.browser.see(f"{sight.address}/", scheme="dark")
    dark = sight.browser.evaluate(back)
    assert min(light) - max(dark) > 150


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_hostile_text_does_nothing_and_stays_within_the_page(sight: Sight, size: tuple[int, int]) -> None:
    fleet = hostile()
    paths = ("/", "/devices", *(f"/{kind}/{quote(name, safe='')}" for kind, name in names_in(fleet)))
    with serving(fleet) as address:
        for path in paths:
            sight.browser.see(address + path, size)
            assert sight.browser.evaluate("return document.querySelectorAll('script, [onload]').length") == 0
            assert "alert('x')" in sight.browser.evaluate("return document.body.innerText")
            assert sight.browser.evaluate("return document.documentElement.scrollWidth") == size[0], path
            assert sight.browser.requests() == [address + path]
            assert sight.browser.log("browser") == []


def names_in(fleet: PageModel) -> list[tuple[str, str]]:
    return [("devices", fleet.devices[0].device), ("rollouts", fleet.rollouts[0].facts.rollout)]


def test_files_look_the_same_without_a_server(sight: Sight, tmp_path: Path) -> None:
    some = {each.device for each in sight.fleet.devices if each.device.startswith("pump-20")}
    fleet = replace(sight.fleet, devices=[each for each in sight.fleet.devices if each.device in some])
    for name, page in files(fleet, lambda device: detail(fleet, device)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(page)
    (tmp_path / "committed.html").write_bytes(committed(replace(fleet, live=None)))
    browser = sight.browser
    for name in ("index.html", "devices.html", "devices/pump-2003.html", "rollouts/door-sound.html", "committed.html"):
        browser.see((tmp_path / name).as_uri())
        assert browser.requests() == [(tmp_path / name).as_uri()]
        assert browser.log("browser") == []
        assert browser.evaluate("return getComputedStyle(document.querySelector('h1')).fontSize") == "32px"


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_pictures_for_the_documents_are_not_blank(sight: Sight, view: View) -> None:
    sight.browser.see(sight.address + view.path, view.size, view.scheme)
    if view.at:
        sight.browser.evaluate(f"document.getElementById('{view.at}').scrollIntoView()")
    png = sight.browser.screenshot()
    folder = SHOWN if os.environ.get("TINYFLEET_PICTURES") == "docs" else BUILT
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{view.name}.png").write_bytes(png)
    assert size_of(png) == view.size
    assert len(png) < MAX_BYTES
    assert colours(png) > 50
    sight.browser.see("about:blank", view.size)
    assert colours(sight.browser.screenshot()) < 10


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_pictures_in_the_documents_show_these_views(view: View) -> None:
    picture = (SHOWN / f"{view.name}.png").read_bytes()
    assert size_of(picture) == view.size
    assert len(picture) < MAX_BYTES
    assert colours(picture) > 50
    assert f"pictures/{view.name}.png" in (SHOWN.parent / "fleet-page.md").read_text(encoding="utf-8")
