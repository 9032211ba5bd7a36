# SPDX-License-Identifier: Apache-2.0
"""One browser and one server for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from reconciler.page.page_model import PageModel
from tests.page.browser import Browser, chromium
from tests.page.fleets import rich
from tests.page.server import serving


@dataclass(frozen=True)
class Sight:
    """A browser, the address of the server, and the fleet that it serves."""

    browser: Browser
    address: str
    fleet: PageModel


@pytest.fixture(scope="session")
def fleet() -> PageModel:
    return rich()


@pytest.fixture(scope="session")
def address(fleet: PageModel) -> Iterator[str]:
    with serving(fleet) as found:
        yield found


@pytest.fixture(scope="session")
def sight(tmp_path_factory: pytest.TempPathFactory, fleet: PageModel, address: str) -> Iterator[Sight]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield Sight(browser, address, fleet)
