# SPDX-License-Identifier: Apache-2.0
"""A short form of `make attack`: an attacker on the link breaches nothing; every seeded bug of the link is found."""

from __future__ import annotations

import pytest

from firmware.attack.campaign import MESSAGES, Attacks, Seeds
from firmware.attack.wear import bound, erases_per_envelope_max
from firmware.powercut.driver import Bug, read_bugs
from firmware.powercut.scripts import FLASHES, Flash
from tests.firmware.host import Geometry, HostLibrary

BUGS = read_bugs(link=True)
SEEDS = 300


@pytest.fixture(scope="session")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Attacks:
    return Attacks(tmp_path_factory.mktemp("attack"))


@pytest.mark.parametrize("flash", FLASHES, ids=lambda flash: flash.name)
def test_an_attacker_on_the_link_changes_no_other_flash(attacks: Attacks, flash: Flash) -> None:
    """Offers in any shape for genuine envelopes, any blocks, in any order, repeated and cut off by power loss."""
    tally = attacks.play(flash, Seeds(1, SEEDS))
    assert tally.problems == ()
    assert tally.breaches == 0
    assert tally.messages > SEEDS * MESSAGES * 0.99
    assert tally.accepted > 2 * SEEDS
    assert tally.cuts > SEEDS / 2


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_seeded_bug_of_the_link_is_found(attacks: Attacks, bug: Bug) -> None:
    assert attacks.hunt(bug) is not None, bug.reason


def test_there_are_more_than_ten_bugs_of_the_link() -> None:
    assert len(BUGS) > 10


def test_the_most_that_an_envelope_erases_is_within_the_bound(host_library: HostLibrary) -> None:
    assert 100 < erases_per_envelope_max(host_library) <= bound(Geometry())
