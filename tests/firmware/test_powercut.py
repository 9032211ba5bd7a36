# SPDX-License-Identifier: Apache-2.0
"""A short form of `make powercut`: every script with single cuts; every seeded bug is found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from firmware.powercut.campaign import Campaign, Run
from firmware.powercut.driver import Bug, BuildError, read_bug, read_bugs
from firmware.powercut.scripts import FLASHES, SCRIPTS, Flash

BUGS = read_bugs(link=False)


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return Campaign(tmp_path_factory.mktemp("powercut"))


@pytest.mark.parametrize("flash", FLASHES, ids=lambda flash: flash.name)
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_cut_leaves_old_or_new(campaign: Campaign, script: str, flash: Flash) -> None:
    """Cut before, during and after each operation. The update then completes with at most one block sent again."""
    tally = campaign.play(Run(script, flash, depth=1, torn_first=3))
    assert tally.problems == ()
    assert tally.bricks == 0
    assert tally.cuts > 10
    assert tally.torn * 5 == tally.cuts * 3
    assert tally.resent_blocks_max <= 1


def test_a_second_cut_at_every_operation_of_the_recovery(campaign: Campaign) -> None:
    tally = campaign.play(Run("update", FLASHES[1], depth=2, torn_first=1))
    assert tally.problems == ()
    assert tally.recoveries > 4000


def test_a_simulation_can_be_forked(campaign: Campaign) -> None:
    """The core keeps no data outside of the structs that it is given, or forked simulations would share it."""
    objects = sorted(campaign.workshop.folder.glob("core-*.o"))
    listing = subprocess.run(["size", "-A", *objects], check=True, capture_output=True, text=True).stdout
    sizes = [line.split()[:2] for line in listing.splitlines() if line.startswith((".data ", ".bss "))]
    assert len(sizes) == 2 * len(objects) > 20
    assert {size for _, size in sizes} == {"0"}


def test_there_are_more_than_a_dozen_bugs() -> None:
    assert len(BUGS) > 12


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_seeded_bug_is_found(campaign: Campaign, bug: Bug) -> None:
    assert campaign.hunt(bug) is not None, bug.reason


def test_a_bug_says_why_it_is_fatal() -> None:
    for bug in BUGS:
        assert bug.reason.endswith(".")
        assert bug.source.is_file()


def test_a_bug_without_a_reason_is_refused(tmp_path: Path) -> None:
    _, marker, change = BUGS[0].patch.read_text().partition("--- a/")
    bare = tmp_path / "bare.patch"
    bare.write_text(marker + change)
    with pytest.raises(BuildError, match="reason"):
        read_bug(bare)


def test_a_patch_that_no_longer_applies_is_an_error(campaign: Campaign, tmp_path: Path) -> None:
    bug = BUGS[0]
    stale = tmp_path / "stale.patch"
    stale.write_text(bug.patch.read_text().replace("\n-", "\n-no such line "))
    with pytest.raises(BuildError, match="patch"):
        campaign.workshop.mutant(Bug("stale", bug.reason, stale, bug.source))
